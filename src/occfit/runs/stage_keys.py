"""What decides a stage's result: the keys of the stage store."""

from collections.abc import Mapping
from typing import Any

import torch

from occfit.rendering.rasterize import resolve_rasterizer
from occfit.runs.build import asset_files
from occfit.runs.machine import Machine
from occfit.runs.stage_store import StageKey, file_digest

VERSIONS = {"recognition": 2, "initialise": 2, "warm_up": 2, "alternate": 3, "reconstruct": 1}
"""To be raised by hand when a stage's code computes something else from the same configuration."""

GROUPS = ("data", "augmentation", "face_model", "rasterizer", "encoder", "recognition")
OBJECTIVES = {
    "initialise": ("initialisation",),
    "warm_up": ("initialisation", "warm_up"),
    "alternate": ("reconstruction", "segmentation"),
    "reconstruct": ("reconstruction",),
}
WITHOUT_SEGMENTER = ("initialise", "reconstruct")
WITHOUT_EFFECT = ("path", "weights", "cache", "workers")
"""Arguments that say where something is or who fetches it. The digest of a file they name is in the key."""


def stage_key(
    name: str,
    config: Mapping[str, Any],
    machine: Machine,
    parent: str | None,
    files: Mapping[str, str],
) -> StageKey:
    """The key of stage `name`, which is the same for all systems that share the stage.

    Args:
        parent: the digest of the stage before it.
        files: digests of what came from outside or from other stages: data, face model, recognition network.
    """
    groups = GROUPS if name in WITHOUT_SEGMENTER else (*GROUPS, "segmenter")
    subtree = {group: without_paths(config[group]) for group in groups} | {
        "rasterizer": drawn_with(config["rasterizer"], machine),
        "size": config["size"],
        "objective": {
            part: config["objective"][part] for part in OBJECTIVES[name] if part in config["objective"]
        },
        "optimizer": config["optimizer"][name],
        "stage": config["stages"][name],
    }
    weights = {
        f"{group}.{key}": file_digest(path)
        for group in groups
        for key, path in asset_files(config[group]).items()
    }
    return StageKey(
        stage=name,
        version=VERSIONS[name],
        config=subtree,
        seed=config["seed"],
        precision=machine.precision,
        batch=config["stages"][name]["batch"],
        threads=machine.threads,
        device=machine.device,
        torch=torch.__version__,
        parent=parent,
        files={**files, **weights},
    )


def drawn_with(rasterizer: Mapping[str, Any], machine: Machine) -> dict[str, Any]:
    """The rasterizer's node; on a GPU `auto` depends on what is installed, and draws other silhouettes with it."""
    if machine.device != "cuda":
        return dict(rasterizer)
    return {**rasterizer, "name": resolve_rasterizer(rasterizer["name"], machine.device)}


def recognition_key(config: Mapping[str, Any], machine: Machine, files: Mapping[str, str]) -> StageKey:
    """The key of the recognition network that is trained on synthetic people; `files` has the world's digest."""
    return StageKey(
        stage="recognition",
        version=VERSIONS["recognition"],
        config={"recognition": without_paths(config["recognition"]), "size": config["size"]},
        seed=config["seed"],
        precision=machine.precision,
        batch=config["recognition"]["batch"],
        threads=machine.threads,
        device=machine.device,
        torch=torch.__version__,
        files=files,
    )


def without_paths(node: Any) -> Any:
    """The configuration without the arguments that have no effect on a result."""
    if isinstance(node, Mapping):
        return {
            key: without_paths(value) for key, value in node.items() if not _is_without_effect(key, value)
        }
    return [without_paths(item) for item in node] if isinstance(node, list) else node


def _is_without_effect(key: str, value: Any) -> bool:
    """An objective's `weights` are a mapping, a network's are a file."""
    return key in WITHOUT_EFFECT and not isinstance(value, Mapping)
