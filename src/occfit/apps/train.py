"""`occfit train`: a Hydra application that trains a system and scores it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from occfit.runs.config import TrainConfig


def main(arguments: Sequence[str]) -> int:
    """The exit code; see `occfit train --help`."""
    from occfit.runs.config import parse_training
    from occfit.runs.hydra_app import run_app
    from occfit.runs.outcome import read_outcomes, sweep_folder

    with sweep_folder(arguments) as folder:
        code = run_app("train", arguments, lambda plain: train_and_evaluate(parse_training(plain)))
        outcomes = read_outcomes(folder)
    if outcomes:
        from occfit.apps.sweep import print_outcomes

        print_outcomes(outcomes)
    return code or int(any(outcome.error for outcome in outcomes))


def train_and_evaluate(config: "TrainConfig") -> None:
    """Trains what isn't trained yet, then scores it. `metrics.json` is written last: with it the run is finished."""
    from rich.console import Console

    from occfit.publishing.score_tables import print_scores
    from occfit.runs.logs.wandb_log import log_scores
    from occfit.runs.run_folder import RunFolder
    from occfit.runs.stages import train
    from occfit.scoring.scored_system import evaluate_run

    folder, console = RunFolder(Path(config.output)), Console()
    with folder.claimed(config):
        if folder.is_finished():
            console.print(f"The run is finished already: {folder.metrics}", highlight=False, soft_wrap=True)
            return
        run = train(config, folder)
        metrics = evaluate_run(
            folder.checkpoint, folder.path, run.machine.device, progress=config.trainer.progress
        )
        log_scores(config, metrics, folder.logs)
    print_scores(metrics, console)
