"""Flags and Hydra overrides on one command line."""

import argparse
import re
import sys
from collections.abc import Sequence

OVERRIDE = re.compile(r"[+~]{0,2}[\w.@]+=")


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
