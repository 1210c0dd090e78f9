"""The file of a trained system: tensors and plain containers only, so that reading it can't run code.

    {"occfit": {"format": 2, "config": {...}, "face_model": digest, "size": pixels, "system": name, ...},
     "state_dict": {"encoder.*": ..., "segmenter.*": ...}}

A checkpoint within a stage holds the trainer's state as well.
"""

import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from occfit.errors import OccfitError
from occfit.runs.schema import require_plain

FORMAT = 2
DESCRIBED = ("system", "size", "face_model", "config")
"""What every checkpoint says of its system."""

KEPT_AS = "A run keeps it as checkpoints/last.ckpt"


def describe_system(config: Mapping[str, Any], face_model: str, **more: Any) -> dict[str, Any]:
    """A checkpoint's `occfit` entry; `face_model` is the model's digest."""
    return {
        "format": FORMAT,
        "system": config["system"],
        "size": config["size"],
        "face_model": face_model,
        "config": dict(config),
        **more,
    }


def network_state(networks: Mapping[str, nn.Module]) -> dict[str, torch.Tensor]:
    """One flat state dict, each network's entries under its name, on the CPU."""
    return {
        f"{name}.{key}": value.detach().cpu()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }


def load_networks(
    networks: Mapping[str, nn.Module], state: Mapping[str, torch.Tensor], where: object
) -> None:
    """Puts `network_state`'s entries back; entries of other networks are left alone.

    Raises:
        OccfitError: an entry is missing or has another shape.
    """
    for name, network in networks.items():
        own = {
            key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")
        }
        try:
            network.load_state_dict(own)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise OccfitError(f"The checkpoint's {name} is another network ({reason})", where) from error


def write_checkpoint(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """Writes a checkpoint so that at every moment `path` is either the old file or the whole new one.

    Raises:
        OccfitError: the folder can't be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            torch.save(dict(checkpoint), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise OccfitError(f"The checkpoint can't be written ({error.strerror})", path) from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint onto the CPU.

    Raises:
        OccfitError: the file is missing, torn, not one of ours, or from another version; or its configuration isn't
            plain data.
    """
    try:
        _require_whole(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise OccfitError("There is no checkpoint", path, KEPT_AS) from error
    except (OSError, zipfile.BadZipFile, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise OccfitError(
            "The checkpoint can't be read; it is torn or something else", path, KEPT_AS
        ) from error
    if not _is_ours(checkpoint):
        raise OccfitError("The file isn't an occfit checkpoint", path, KEPT_AS)
    if checkpoint["occfit"]["format"] != FORMAT:
        is_newer = checkpoint["occfit"]["format"] > FORMAT
        age, remedy = (
            ("a newer", "Update occfit") if is_newer else ("an older", "Train it again, or use that one")
        )
        raise OccfitError(f"The checkpoint is from {age} occfit", path, remedy)
    require_plain({key: checkpoint["occfit"][key] for key in DESCRIBED}, path)
    return checkpoint


def _require_whole(path: Path) -> None:
    """Compares every part of the file with its checksum, which `torch.load` doesn't.

    Raises:
        BadZipFile: it isn't what `torch.save` wrote.
        OSError: it can't be read.
    """
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(f"{damaged} is damaged")


def _is_ours(content: Any) -> bool:
    entry = content.get("occfit") if isinstance(content, dict) else None
    if not isinstance(entry, dict) or not isinstance(content.get("state_dict"), dict):
        return False
    return isinstance(entry.get("format"), int) and entry.keys() >= set(DESCRIBED)
