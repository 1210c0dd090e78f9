"""Systems small enough to ship: weights in half precision, and beside them what they say of themselves.

FOLDER/system.safetensors   the networks' entries, float16
FOLDER/system.json          a checkpoint's `occfit` entry, and the version of the built-in face model
"""

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from occfit.errors import OccfitError
from occfit.face_model.builtin.model import VERSION, builtin_face_model
from occfit.runs.checkpoint import FORMAT
from occfit.runs.schema import require_plain

WEIGHTS, ENTRY = "system.safetensors", "system.json"
BUILTIN_VERSION = "builtin_face_model"
SMALL = Path(str(files("occfit"))) / "assets" / "small"
"""The system that the package ships; its model card lies beside it."""


def read_release(folder: Path) -> dict[str, Any]:
    """The released system as a checkpoint, float32.

    The digest of the built-in face model is taken from the one that is built here: of one version they differ in no
    more than the rounding of math libraries, some 1e-4 mm.

    Raises:
        OccfitError: a file is missing or damaged, or it is of another version of the package, or its configuration
            isn't plain data.
    """
    try:
        entry = json.loads((folder / ENTRY).read_text())
        state = load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise OccfitError("There is no released system", folder, f"It needs {WEIGHTS} and {ENTRY}") from error
    except (OSError, ValueError, SafetensorError) as error:
        raise OccfitError("The released system can't be read; it is damaged", folder) from error
    if not isinstance(entry, Mapping) or not entry.keys() >= {"format", "config", "size", "system"}:
        raise OccfitError("The file doesn't describe a released system", folder / ENTRY)
    if entry["format"] != FORMAT or entry.get(BUILTIN_VERSION) != VERSION:
        raise OccfitError("The released system is of another version of occfit", folder, "Install that one")
    require_plain(entry, folder / ENTRY)
    digest = builtin_face_model(_resolution(entry["config"], folder)).digest()
    return {
        "occfit": {**entry, "face_model": digest},
        "state_dict": {
            key: value.float() if value.is_floating_point() else value for key, value in state.items()
        },
    }


def _resolution(config: Any, where: Path) -> Any:
    """What a released system's configuration calls the resolution of its face model."""
    node = config.get("face_model") if isinstance(config, Mapping) else None
    if not isinstance(node, Mapping):
        raise OccfitError("The configuration has no face_model", where)
    return node.get("resolution", "coarse")
