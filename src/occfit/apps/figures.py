"""`occfit figures`: the paper's figures from trained runs."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from occfit.apps.tables import EXPERIMENTS
from occfit.publishing.paper_figures import FigureSpec, read_figures
from occfit.publishing.table_formats import train_command


def main(arguments: Sequence[str]) -> int:
    """The exit code; see `occfit figures --help`."""
    parser = argparse.ArgumentParser(
        prog="occfit figures",
        description="Draws figures of trained runs. Each says by which rule its pictures were chosen; one that needs a "
        "run which isn't there is left out, and the command that makes the run is named.",
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs are (runs)"
    )
    parser.add_argument("--preset", default="laptop", help="of the runs (laptop)")
    parser.add_argument("--seed", type=int, default=0, help="of the runs, and of random choices (0)")
    parser.add_argument(
        "--figures", type=Path, default=EXPERIMENTS / "figures.yaml", metavar="FILE", help="(%(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write to (experiments/results/PRESET/figures)"
    )
    chosen = parser.parse_args(arguments)
    output = chosen.out or EXPERIMENTS / "results" / chosen.preset / "figures"
    specs = read_figures(chosen.figures)
    written = make_figures(specs, chosen.runs, chosen.preset, chosen.seed, output, Console())
    print(f"{len(written)} figures: {output}")
    return 0


def make_figures(
    specs: Sequence[FigureSpec], runs: Path, preset: str, seed: int, output: Path, console: Console
) -> list[Path]:
    """Writes `NAME.jpg` of every figure whose runs are there, and says which runs the others need.

    Raises:
        OccfitError: a run can't be used, or the folder can't be written.
    """
    from PIL import Image

    from occfit.publishing.paper_figures import choose, draw_figure
    from occfit.scoring.experiments import Runs
    from occfit.scoring.scored_system import load_run, run_test_sets

    scored = {row: run for (row, at), run in Runs(runs, preset).found.items() if at == seed}
    needed = list(dict.fromkeys(row for spec in specs for row in spec.rows))
    missing = [row for row in needed if row not in scored]
    for row in missing:
        command = train_command(row, preset, seed, str(runs))
        console.print(f"missing: {command}", style="yellow", highlight=False, markup=False, soft_wrap=True)
    trained = {
        row: load_run(scored[row].folder / "checkpoints" / "last.ckpt") for row in needed if row in scored
    }
    if not trained:
        return []
    stores = run_test_sets(next(iter(trained.values())))
    systems = {row: one.systems["system"] for row, one in trained.items()}
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for spec in specs:
        if set(spec.rows) <= set(trained):
            picture = draw_figure(spec, choose(spec, stores, scored, seed), stores, systems, seed)
            path = output / f"{spec.name}.jpg"
            Image.fromarray(picture).save(path, quality=88)
            written.append(path)
    return written
