"""Makes a trained system small enough to ship: two files, whose layout `occfit.runs.released` describes."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from occfit.errors import OccfitError
from occfit.face_model.builtin.model import VERSION
from occfit.runs.checkpoint import read_checkpoint
from occfit.runs.released import BUILTIN_VERSION, ENTRY, WEIGHTS

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


def _halved(value: torch.Tensor) -> torch.Tensor:
    return (value.half() if value.is_floating_point() else value).contiguous()
