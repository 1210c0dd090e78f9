"""Systems small enough to ship: weights in half precision, and beside them what they say of themselves.

FOLDER/system.safetensors   the networks' entries, float16
FOLDER/system.json          a checkpoint's `occfit` entry, and the version of the built-in face model
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from occfit.errors import OccfitError
from occfit.face_model.builtin.model import VERSION, builtin_face_model
from occfit.runs.checkpoint import FORMAT, read_checkpoint
from occfit.runs.schema import require_plain

WEIGHTS, ENTRY = "system.safetensors", "system.json"
BUILTIN_VERSION = "builtin_face_model"
LOGIT_BIAS = "segmenter.head.bias"
BUILTIN_TARGET = "occfit.face_model.builtin.model.builtin_face_model"


def write_release(checkpoint: Path, folder: Path, log_odds: float = 0.0) -> None:
    """Makes the two files of a run's checkpoint, which must have been trained with the built-in face model.

    Args:
        log_odds: added to the segmenter's logits. Training pictures may be hidden more often than what it shall see;
            by Bayes' rule such a change of the prior shifts the logits.

    Raises:
        OccfitError: the checkpoint can't be read or has another face model, or the folder can't be written; or there is
            no segmenter whose logits could be shifted.
    """
    content = read_checkpoint(checkpoint)
    entry = content["occfit"]
    if entry["config"]["face_model"]["_target_"] != BUILTIN_TARGET:
        raise OccfitError(
            "Only a system with the built-in face model can be released",
            checkpoint,
            "Other face models have licences of their own; share the checkpoint under them",
        )
    state = {
        key: _halved(value) for key, value in shifted(content["state_dict"], log_odds, checkpoint).items()
    }
    entry = {**entry, "config": {**entry["config"], "output": Path(entry["config"]["output"]).name}}
    text = json.dumps({**entry, BUILTIN_VERSION: VERSION, "log_odds": log_odds}, indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(state, folder / WEIGHTS)
        (folder / ENTRY).write_text(text + "\n")
    except OSError as error:
        raise OccfitError(f"The folder can't be written ({error.strerror})", folder) from error


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


def shifted(state: Mapping[str, torch.Tensor], log_odds: float, where: Path) -> dict[str, torch.Tensor]:
    """The weights with `log_odds` added to every logit of the segmenter.

    Raises:
        OccfitError: there is no segmenter.
    """
    if not log_odds:
        return dict(state)
    if LOGIT_BIAS not in state:
        raise OccfitError("The system has no segmenter whose logits could be shifted", where)
    return {**state, LOGIT_BIAS: state[LOGIT_BIAS] + log_odds}


def _resolution(config: Any, where: Path) -> Any:
    """What a released system's configuration calls the resolution of its face model."""
    node = config.get("face_model") if isinstance(config, Mapping) else None
    if not isinstance(node, Mapping):
        raise OccfitError("The configuration has no face_model", where)
    return node.get("resolution", "coarse")


def _halved(value: torch.Tensor) -> torch.Tensor:
    return (value.half() if value.is_floating_point() else value).contiguous()
