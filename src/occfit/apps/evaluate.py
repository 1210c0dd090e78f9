"""`occfit evaluate`: scores a checkpoint, on its run's own test sets or on those of other data."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from occfit.errors import OccfitError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from occfit.data.store import PreparedStore


def main(arguments: Sequence[str]) -> int:
    """The exit code; see `occfit evaluate --help`."""
    from rich.console import Console

    from occfit.apps.sweep import print_outcomes
    from occfit.training.hydra_app import run_app
    from occfit.training.outcome import read_outcomes, sweep_folder

    with sweep_folder() as folder:
        code = run_app("evaluate", arguments, evaluate, prepare=take_size)
        outcomes = read_outcomes(folder)
    print_outcomes(outcomes, Console())
    return code or int(any(outcome.error for outcome in outcomes))


def take_size(composed: "DictConfig") -> None:
    """Pictures have the size that the checkpoint's networks know."""
    from occfit.training.checkpoint import read_checkpoint

    composed.size = read_checkpoint(Path(str(composed.checkpoint)))["occfit"]["size"]


def evaluate(config: dict[str, Any]) -> None:
    """Scores the checkpoint and writes `metrics.json`, `scores.csv` and `timing.json` into `output`."""
    from rich.console import Console

    from occfit.evaluation.run import evaluate_run
    from occfit.evaluation.tables import print_scores
    from occfit.training.machine import prepare_machine

    checkpoint = Path(config["checkpoint"])
    output = Path(config["output"])
    if output.resolve() == checkpoint.resolve().parent.parent:
        raise OccfitError("The folder holds the run's own scores", output, "Choose another output=")
    machine = prepare_machine(config["accelerator"], "32-true", config["threads"])
    stores = None if config.get("data") is None else prepare_test_sets(config, checkpoint)
    print_scores(evaluate_run(checkpoint, output, machine.device, stores), Console())


def prepare_test_sets(config: dict[str, Any], checkpoint: Path) -> dict[str, "PreparedStore"]:
    """The test sets of the data that the command line names."""
    from occfit.evaluation.run import TRAINING_SPLITS
    from occfit.training.checkpoint import read_checkpoint
    from occfit.training.config import instantiate
    from occfit.training.prepare import prepare_stores

    face_model = instantiate(read_checkpoint(checkpoint)["occfit"]["config"]["face_model"])
    stores = prepare_stores(config, face_model)
    return {name: store for name, store in stores.items() if name not in TRAINING_SPLITS}
