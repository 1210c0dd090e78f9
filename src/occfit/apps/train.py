"""`occfit train`: a Hydra application that trains a system and scores it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from occfit.runs.config import TrainConfig
    from occfit.runs.group.processes import Group


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
    """Trains what isn't trained yet, then scores it. `metrics.json` is written last: with it the run is finished.

    Where the configuration asks for several processes, they are started first, and each comes here again.
    """
    from occfit.runs.group.launch import run_together
    from occfit.runs.group.place import must_start

    if must_start(config):
        run_together("occfit.apps.train", config.plain(), config.trainer.devices)
        return
    from occfit.runs.group.processes import joined

    with joined(config.trainer) as group:
        if group.is_first:
            lead(config, group)
        else:
            follow(group)


def lead(config: "TrainConfig", group: "Group") -> None:
    """The run in its first process, or its only one: trains together with the others, and scores alone."""
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
            group.tell(None)
            return
        group.tell(config.plain())
        run = train(config, folder, group)
        group.end_collectives()
        metrics = evaluate_run(
            folder.checkpoint, folder.path, run.machine.device, progress=config.trainer.progress
        )
        log_scores(config, metrics, folder.logs)
    print_scores(metrics, console)


def follow(group: "Group") -> None:
    """The run in its other processes: trains as the first one says."""
    from occfit.runs.config import parse_training
    from occfit.runs.run_folder import RunFolder
    from occfit.runs.stages import train

    plain = group.hear()
    if plain is not None:
        config = parse_training(plain)
        train(config, RunFolder(Path(config.output)), group)
        group.end_collectives()


def take_part() -> int:
    """One of a run's processes, which `run_together` has started."""
    from occfit.runs.config import parse_training
    from occfit.runs.group import launch

    return launch.take_part(lambda plain: train_and_evaluate(parse_training(plain)))


if __name__ == "__main__":
    sys.exit(take_part())
