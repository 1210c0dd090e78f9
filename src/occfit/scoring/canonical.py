"""JSON that is the same text whenever the numbers are the same."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from occfit.errors import OccfitError

SIGNIFICANT_DIGITS = 8
SCORE_FIRST = "Score the run first: occfit evaluate checkpoint=..."


def canonical(value: Any) -> Any:
    """`value` in plain JSON types: floats cut to 8 significant digits, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return canonical(value.tolist())
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.{SIGNIFICANT_DIGITS}g}") + 0.0 if math.isfinite(value) else None
    if value is None or isinstance(value, str):
        return value
    return str(value)


def read_json(path: Path) -> Any:
    """A run's file of JSON.

    Raises:
        OccfitError: there is none, or it is torn.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OccfitError(f"The scores can't be read: {error.strerror}", path, SCORE_FIRST) from error
    except json.JSONDecodeError as error:
        raise OccfitError("The file isn't JSON", path, "Score the run again.") from error


def write_json(path: Path, value: Any) -> None:
    """Writes canonical JSON, whole or not at all.

    Raises:
        OccfitError: the file can't be written.
    """
    text = json.dumps(canonical(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, whole or not at all.

    Raises:
        OccfitError: the file can't be written.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        raise OccfitError(
            f"The file can't be written: {error.strerror}", path, "Choose a folder that you may write to."
        ) from error
