"""What several command lines have in common: the flags that say which runs, and Hydra overrides among flags."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

OVERRIDE = re.compile(r"[+~]{0,2}[\w.@]+=")


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Adds `--preset`, `--seeds` and `--runs`: which runs are meant, and the folder that they are in."""
    parser.add_argument("--preset", default="laptop", help="of the runs (laptop)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="(0 1 2)")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs are (runs)"
    )


def parse_arguments(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """The parser's flags; every KEY=VALUE goes to its positional `overrides`, also behind a flag of many values.

    Args:
        arguments: by default the command line's.
    """
    given = sys.argv[1:] if arguments is None else arguments
    chosen = parser.parse_intermixed_args([text for text in given if not OVERRIDE.match(text)])
    chosen.overrides = [text for text in given if OVERRIDE.match(text)] + chosen.overrides
    return chosen
