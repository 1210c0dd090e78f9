"""`occfit compare`: several runs on the pixels that all of them explain."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> int:
    """The exit code; see `occfit compare --help`."""
    parser = argparse.ArgumentParser(
        prog="occfit compare",
        description="Scores runs of one preset and seed by RMSE over the pixels of the true visible face that all of"
        " them render, and writes metrics.json and scores.csv for `occfit tables`.",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    chosen = parser.parse_args(arguments)
    compare(chosen.runs, chosen.out, chosen.device)
    return 0


def compare(folders: Sequence[Path], output: Path, device: str = "cpu") -> None:
    """Names each run by its system.

    Raises:
        OccfitError: two runs are of one system, or see `compare_runs`.
    """
    from occfit.errors import OccfitError
    from occfit.runs.machine import prepare_machine
    from occfit.scoring.canonical import read_json
    from occfit.scoring.common_region import compare_runs

    prepare_machine("cpu" if device == "cpu" else "gpu", "32-true", None)
    rows: dict[str, Path] = {}
    for folder in folders:
        system = read_json(folder / "metrics.json")["system"]
        if system in rows:
            raise OccfitError(f"Two runs are of {system}: {rows[system]} and {folder}")
        rows[system] = folder
    compare_runs(rows, output, device)
