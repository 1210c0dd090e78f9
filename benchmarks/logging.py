"""What logging costs a training step.

    python -m benchmarks.logging [--steps 300] [KEY=VALUE ...]

Trains the first stage of `preset=laptop`, from the prepared data, with each logger and prints the ratio of the times a
step. Weights & Biases runs offline. Nothing is taken from the cache of finished stages or added to it.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from occfit.apps.arguments import parse_arguments
from occfit.cli import exit_code_of

LOGGERS = ("csv", "wandb", "tensorboard")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3, help="of all loggers; each one's fastest counts")
    parser.add_argument("overrides", nargs="*")
    chosen = parse_arguments(parser, arguments)
    os.environ["WANDB_MODE"] = "offline"
    seconds: dict[str, list[float]] = {logger: [] for logger in LOGGERS}
    for _ in range(chosen.rounds):
        for logger in LOGGERS:
            seconds[logger].append(time_stage(logger, chosen.steps, chosen.overrides))
    table = Table(
        title=f"{chosen.steps} steps of the initialisation, a log line every 10", title_justify="left"
    )
    for heading in ("logger", "ms a step", "ratio"):
        table.add_column(heading)
    best = {logger: min(times) / chosen.steps for logger, times in seconds.items()}
    for logger, one in best.items():
        table.add_row(logger, f"{1000 * one:.1f}", f"{one / best['csv']:.3f}")
    Console().print(table)
    return 0


def time_stage(logger: str, steps: int, overrides: Sequence[str]) -> float:
    """Seconds of a stage, its start and its end included."""
    from occfit.cache import cache_dir
    from occfit.runs.config import compose
    from occfit.runs.run_folder import RunFolder
    from occfit.runs.stage_store import RECORD, StageStore
    from occfit.runs.stage_training import fit_stage
    from occfit.runs.stages import keys_of, prepare_run

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = [f"logger={logger}", f"stages.initialise.steps={steps}", "trainer.progress=false"]
        config = compose(["pipeline=pretrained", *settings, f"output={folder / 'run'}", *overrides])
        run, _ = prepare_run(config, RunFolder(folder / "run"), StageStore(cache_dir() / "stages"))
        fit_stage(run, keys_of(run)[0], folder)
        return json.loads((folder / RECORD).read_text())["seconds"]


if __name__ == "__main__":
    raise SystemExit(exit_code_of(main))
