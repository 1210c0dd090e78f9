"""What decides a stage's result: the keys of the stage store."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from occfit.rendering.rasterize import resolve_rasterizer
from occfit.runs.build import asset_files
from occfit.runs.config import TrainConfig
from occfit.runs.machine import Machine
from occfit.runs.stage import Stage
from occfit.runs.stage_store import StageKey, file_digest

RECOGNITION_VERSION = 2
"""To be raised by hand when the recognition network's training computes something else; stages have their own."""

GROUPS = ("data", "augmentation", "face_model", "encoder", "recognition")
"""What every stage's result depends on, besides the rasterizer and the size."""

PACKAGES = ("numpy", "numba", "opencv-python-headless", "albumentations")
"""What pixels are made with, besides torch."""

TESTS = ("test", "tests", "also")
"""Arguments of data sources, the number of test pictures and the like, which no training sees."""

WITHOUT_EFFECT = ("path", "weights", "cache", "workers")
"""Arguments that say where something is or who fetches it. The digest of a file they name is in the key."""


def stage_key(
    stage: Stage,
    config: TrainConfig,
    machine: Machine,
    parent: str | None,
    files: Mapping[str, str],
) -> StageKey:
    """The key of a stage, which is the same for all systems that share it.

    Args:
        parent: the digest of the stage before it.
        files: digests of what came from outside or from other stages: data, face model, recognition network.
    """
    shared = {group: getattr(config, group) for group in GROUPS}
    own = stage.subtree(config)
    nodes = shared | {group: own[group] for group in ("segmenter", "visibility") if group in own}
    subtree = own | {group: without_paths(node) for group, node in nodes.items()}
    subtree |= {"rasterizer": drawn_with(config.rasterizer, machine), "size": config.size}
    subtree["data"] = without_tests(subtree["data"])
    weights = {
        f"{group}.{key}": file_digest(path)
        for group, node in nodes.items()
        if group != "data"  # whose stores have digests of their own among `files`
        for key, path in asset_files(node).items()
    }
    return StageKey(
        stage=stage.name,
        version=stage.version,
        config=subtree,
        seed=config.seed,
        precision=machine.precision,
        batch=stage.length(config).batch,
        threads=machine.threads,
        device=machine.device,
        torch=torch.__version__,
        packages=package_versions(),
        parent=parent,
        files={**files, **weights},
        processes=machine.processes,
    )


def package_versions() -> dict[str, str]:
    return {package: version(package) for package in PACKAGES}


def drawn_with(rasterizer: Mapping[str, Any], machine: Machine) -> dict[str, Any]:
    """The rasterizer's node; on a GPU `auto` depends on what is installed, and draws other silhouettes with it."""
    if machine.device != "cuda":
        return dict(rasterizer)
    return {**rasterizer, "name": resolve_rasterizer(rasterizer["name"], machine.device)}


def recognition_key(config: TrainConfig, machine: Machine, files: Mapping[str, str]) -> StageKey:
    """The key of the recognition network that is trained on synthetic people; `files` has the world's digest."""
    return StageKey(
        stage="recognition",
        version=RECOGNITION_VERSION,
        config={"recognition": without_paths(config.recognition), "size": config.size},
        seed=config.seed,
        precision=machine.precision,
        batch=config.recognition["batch"],
        threads=machine.threads,
        device=machine.device,
        torch=torch.__version__,
        packages=package_versions(),
        files=files,
    )


def without_tests(node: Any) -> Any:
    """A data source's configuration without what only decides which test pictures there are."""
    if not isinstance(node, Mapping):
        return node
    return {key: without_tests(value) for key, value in node.items() if key not in TESTS}


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
