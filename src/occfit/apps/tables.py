"""`occfit tables`: the paper's tables from scored runs, as Markdown, LaTeX, CSV and one HTML page."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from occfit.apps.arguments import add_runs


def main(arguments: Sequence[str]) -> int:
    """The exit code; see `occfit tables --help`."""
    parser = argparse.ArgumentParser(
        prog="occfit tables",
        description="Writes tables of scored runs. It trains and scores nothing: a run that isn't there is a dash, and "
        "a line that names the command which makes it.",
    )
    add_runs(parser)
    parser.add_argument(
        "--tables", type=Path, nargs="+", metavar="FILE", help="what to compare (experiments/table*.yaml)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write to (experiments/results/PRESET)"
    )
    parser.add_argument(
        "--wandb", metavar="PROJECT", help="log the tables to Weights & Biases too (WANDB_MODE=offline works)"
    )
    chosen = parser.parse_args(arguments)

    from rich.console import Console

    from occfit.publishing.table_pages import log_tables, make_tables, print_tables, shipped_tables
    from occfit.scoring.experiments import results_folder

    output = chosen.out or results_folder(chosen.preset)
    made = make_tables(chosen.runs, chosen.preset, chosen.seeds, chosen.tables or shipped_tables(), output)
    if chosen.wandb:
        log_tables(made, chosen.wandb, output)
    print_tables(made, Console())
    print(f"Markdown, LaTeX, CSV and index.html: {output}")
    return 0
