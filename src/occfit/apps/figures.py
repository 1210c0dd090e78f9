"""`occfit figures`: the paper's figures from trained runs."""

import argparse
from collections.abc import Sequence
from pathlib import Path


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
        "--figures", type=Path, metavar="FILE", help="what to draw (experiments/figures.yaml)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write to (experiments/results/PRESET/figures)"
    )
    chosen = parser.parse_args(arguments)

    from rich.console import Console

    from occfit.publishing.figure_specs import SHIPPED_FIGURES, read_figures
    from occfit.publishing.paper_figures import make_figures
    from occfit.scoring.experiments import results_folder

    output = chosen.out or results_folder(chosen.preset) / "figures"
    specs = read_figures(chosen.figures or SHIPPED_FIGURES)
    written = make_figures(specs, chosen.runs, chosen.preset, chosen.seed, output, Console())
    print(f"{len(written)} figures: {output}")
    return 0
