"""`occfit evaluate`: scores a checkpoint, on its run's own test sets or on those of other data, or another system."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from occfit.errors import OccfitError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from occfit.data.data_source import Splits
    from occfit.runs.config import EvaluateConfig


SOURCES = ("checkpoint", "predictions", "pictures")
STANDARD_SIZE = 64
"""Of the laptop preset's pictures."""


def main(arguments: Sequence[str]) -> int:
    """The exit code; see `occfit evaluate --help`."""
    from occfit.runs.config import parse_evaluation
    from occfit.runs.hydra_app import run_app
    from occfit.runs.outcome import read_outcomes, sweep_folder

    with sweep_folder(arguments) as folder:
        code = run_app(
            "evaluate", arguments, lambda plain: evaluate(parse_evaluation(plain)), prepare=take_size
        )
        outcomes = read_outcomes(folder)
    if outcomes:
        from occfit.apps.sweep import print_outcomes

        print_outcomes(outcomes)
    return code or int(any(outcome.error for outcome in outcomes))


def take_size(composed: "DictConfig") -> None:
    """Pictures have the size that the checkpoint's networks know."""
    require_one(composed)
    if composed.checkpoint is not None:
        from occfit.runs.checkpoint import read_checkpoint

        composed.size = read_checkpoint(Path(str(composed.checkpoint)))["occfit"]["size"]
    elif composed.size is None:
        composed.size = STANDARD_SIZE


def require_one(config: Mapping[Any, Any]) -> None:
    """Checks that there is one thing to do.

    Raises:
        OccfitError: there are none or several, or predictions without data.
    """
    given = [key for key in SOURCES if config.get(key) is not None]
    if len(given) != 1:
        what = "Nothing to score" if not given else f"{' and '.join(given)} don't go together"
        raise OccfitError(what, remedy=f"Say one of {', '.join(f'{key}=...' for key in SOURCES)}")
    if given[0] != "checkpoint" and config.get("data") is None:
        raise OccfitError(f"{given[0]}= needs the data that it is about", remedy="Say data=synthetic")


def evaluate(config: "EvaluateConfig") -> None:
    """Scores a checkpoint or predictions, and writes `metrics.json` and `scores.csv` into `output`."""
    from rich.console import Console

    from occfit.publishing.score_tables import print_scores
    from occfit.runs.machine import prepare_machine
    from occfit.scoring.predictions import evaluate_predictions, write_pictures
    from occfit.scoring.scored_system import evaluate_run

    machine = prepare_machine(config.accelerator, "32-true", config.threads)
    output = Path(config.output)
    splits = None if config.data is None else prepare_data(config)
    if config.pictures is not None:
        assert splits is not None
        count = write_pictures(splits.test, Path(config.pictures))
        print(f"{count} pictures: {config.pictures}")
    elif config.predictions is not None:
        assert splits is not None
        names = (config.system, config.preset, config.seed)
        print_scores(evaluate_predictions(Path(config.predictions), output, splits, *names), Console())
    else:
        assert config.checkpoint is not None
        checkpoint = Path(config.checkpoint)
        if output.resolve() == checkpoint.resolve().parent.parent:
            raise OccfitError("The folder holds the run's own scores", output, "Choose another output=")
        scores = evaluate_run(checkpoint, output, machine.device, splits, config.refine, progress=True)
        print_scores(scores, Console())


def prepare_data(config: "EvaluateConfig") -> "Splits":
    """The data that the command line names, drawn, if it is, with the checkpoint's face model or the built-in one."""
    from occfit.face_model.builtin.model import builtin_face_model
    from occfit.runs.checkpoint import read_checkpoint
    from occfit.runs.config import instantiate
    from occfit.runs.preparation import prepare_splits

    if config.checkpoint is None:
        face_model = builtin_face_model()
    else:
        node = read_checkpoint(Path(config.checkpoint))["occfit"]["config"]["face_model"]
        face_model = instantiate(node)
    assert config.data is not None
    return prepare_splits(config.data, face_model, config.size)
