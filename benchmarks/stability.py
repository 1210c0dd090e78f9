"""Do networks that take turns in blocks learn more steadily than two that learn at once? (Li et al., section 3.1)

    python -m benchmarks.stability [--preset laptop] [--seeds 0 1 2] [--runs runs] [KEY=VALUE ...]

Trains `proposed` with its own schedule and with `schedule=joint`, which changes the learning network at every batch,
looks at the validation pictures every 60 steps, and prints F1 over time: the mean and the standard deviation over
seeds, and how far it moves from one look to the next. Finished runs are taken as they are. A stage that comes from the
store has only the looks that it had when it was trained, so give a new store:
`OCCFIT_CACHE=/some/folder python -m benchmarks.stability`.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.table import Table

from occfit.apps.arguments import add_runs, parse_arguments
from occfit.apps.reproduce import run_one
from occfit.cli import exit_code_of
from occfit.errors import OccfitError

SCHEDULES = {"alternating": [], "joint": ["schedule=joint"]}
EVERY = 60
METRICS = {"F1": "val/visible/f1", "RMSE": "val/reconstruction/rmse"}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_runs(parser)
    parser.add_argument("overrides", nargs="*")
    chosen = parse_arguments(parser, arguments)
    console, curves = Console(), dict[str, list[dict[int, list[float]]]]()
    for schedule, settings in SCHEDULES.items():
        curves[schedule] = []
        for seed in chosen.seeds:
            console.print(f"{schedule}, seed {seed}", highlight=False)
            folder = chosen.runs / "stability" / schedule
            overrides = [*settings, f"trainer.validate_every={EVERY}", *chosen.overrides]
            outcome = run_one("proposed", chosen.preset, seed, folder, overrides)
            if outcome.error:
                raise OccfitError(outcome.error, outcome.folder)
            curves[schedule].append(read_curve(Path(outcome.folder)))
    console.print(over_time(curves))
    console.print(movement(curves))
    return 0


def read_curve(run: Path) -> dict[int, list[float]]:
    """The validation's `METRICS` by the alternation's step.

    Raises:
        OccfitError: the alternation was looked at fewer than three times.
    """
    path = run / "logs" / "alternate" / "metrics.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get(METRICS["F1"])]
    if len(rows) < 3:
        remedy = "It came from the stage store; set OCCFIT_CACHE to a new folder and delete the run"
        raise OccfitError("The alternation's log has no curve", path, remedy)
    return {int(row["step"]): [float(row[key]) for key in METRICS.values()] for row in rows}


def stack(curves: Sequence[dict[int, list[float]]]) -> tuple[list[int], Float[np.ndarray, "seeds steps m"]]:
    """What every seed has."""
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    return steps, np.array([[curve[step] for step in steps] for curve in curves])


def over_time(curves: dict[str, list[dict[int, list[float]]]]) -> Table:
    table = Table(title="Validation pictures; mean and standard deviation over seeds", title_justify="left")
    table.add_column("step")
    found = {schedule: stack(by_seed) for schedule, by_seed in curves.items()}
    for schedule in found:
        for metric in METRICS:
            table.add_column(f"{schedule}, {metric}")
    for step in sorted(set.intersection(*(set(steps) for steps, _ in found.values()))):
        cells = []
        for steps, values in found.values():
            at = values[:, steps.index(step)]
            for digits, mean, spread in zip((3, 2), at.mean(0), at.std(0), strict=True):
                cells.append(f"{mean:.{digits}f} ± {spread:.{digits}f}")
        table.add_row(str(step), *cells)
    return table


def movement(curves: dict[str, list[dict[int, list[float]]]]) -> Table:
    """How far a score moves between looks, in the last half of the stage: the mean of |change|."""
    table = Table(title="Mean change from look to look, second half", title_justify="left")
    for heading in ("schedule", *METRICS):
        table.add_column(heading)
    for schedule, by_seed in curves.items():
        _, values = stack(by_seed)
        late = values[:, values.shape[1] // 2 :]
        moved = np.abs(np.diff(late, axis=1)).mean((0, 1))
        table.add_row(schedule, f"{moved[0]:.4f}", f"{moved[1]:.3f}")
    return table


if __name__ == "__main__":
    raise SystemExit(exit_code_of(main))
