"""What a configuration names, built: face model, renderer, networks. The same seed gives the same weights."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from occfit.errors import OccfitError
from occfit.face_model.morphable_model import MorphableModel
from occfit.method.visibility import VisibilitySource
from occfit.networks.encoder import Encoder
from occfit.networks.segmenter import UNet
from occfit.rendering.renderer import FaceRenderer
from occfit.runs.config import TrainConfig, instantiate
from occfit.runs.schema import locate
from occfit.types import PARAMETER_SIZES

NOT_THE_PAPERS = "not the paper's assets"
STAND_INS = f"say face_model=builtin recognition=synthetic; then every result says '{NOT_THE_PAPERS}'"
GET_FACE_MODEL = (
    "Register for the Basel Face Model 2017 with the University of Basel (its licence: research only, not to be "
    "passed on), and put the file there or say face_model.path=FILE"
)


@dataclass(frozen=True)
class Networks:
    """What is trained, and what it draws with."""

    renderer: FaceRenderer
    encoder: Encoder
    segmenter: UNet | None
    visibility: VisibilitySource

    @property
    def face_model(self) -> MorphableModel:
        return self.renderer.face_model

    def trained(self) -> dict[str, nn.Module]:
        """The networks by the names that their weights have in a checkpoint."""
        networks = {"encoder": self.encoder, "segmenter": self.segmenter, "visibility": self.visibility}
        return {name: network for name, network in networks.items() if network is not None}


def build_networks(config: TrainConfig) -> Networks:
    """Builds the networks with the weights they start from, which depend on `seed` alone.

    Raises:
        OccfitError: the face model has other numbers of parameters than the encoder's answer has.
    """
    face_model = instantiate(config.face_model)
    require_sizes(face_model)
    return Networks(
        FaceRenderer(face_model, instantiate(config.rasterizer), config.size),
        encoder=build_seeded(config.encoder, config.seed, "encoder"),
        segmenter=build_seeded(config.segmenter, config.seed, "segmenter"),
        visibility=instantiate(config.visibility),
    )


def require_sizes(face_model: MorphableModel) -> None:
    """Checks that the face model takes the 80 + 64 + 80 parameters that `FaceParams` has.

    Raises:
        OccfitError: it takes others.
    """
    for kind, size in face_model.sizes.items():
        if size != PARAMETER_SIZES[kind]:
            raise OccfitError(
                f"The face model has {size} {kind} components, but an encoder answers with {PARAMETER_SIZES[kind]}",
                face_model.name,
                f"Say face_model.{kind}={PARAMETER_SIZES[kind]}; encoder.components=N uses fewer of them",
            )


def build_seeded(node: Mapping[str, Any], seed: int, name: str) -> Any:
    """Instantiates `node` with torch's generator seeded from (seed, name), and leaves the generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, name))
        return instantiate(node)


def derive_seed(seed: int, *names: str) -> int:
    """A seed for one purpose: streams of different names have nothing to do with each other."""
    text = "/".join([str(seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def has_papers_assets(config: TrainConfig) -> bool:
    """Whether the face model comes from a file, and the recognition network is the paper's: VGGFace2's."""
    is_vggface2 = config.recognition["_target_"] == "occfit.networks.recognition.VGGFace2ResNet50"
    return is_vggface2 and all(asset_files(node) for node in (config.face_model, config.recognition))


def asset_files(node: Mapping[str, Any]) -> dict[str, Path]:
    """The external files a node names: its arguments `path` and `weights`."""
    return {key: Path(node[key]) for key in ("path", "weights") if node.get(key) is not None}


def require_assets(config: TrainConfig) -> None:
    """Checks that every external file is there before hours are spent.

    Raises:
        OccfitError: one is missing; says which, where it was looked for, whose licence it has and what stands in.
    """
    nodes = {"face_model": config.face_model, "recognition": config.recognition, "encoder": config.encoder}
    for group, node in nodes.items():
        for key, path in asset_files(node).items():
            if not path.is_file():
                what = f"A licensed file that {group} needs is missing"
                remedy = getattr(locate(node["_target_"]), "remedy", GET_FACE_MODEL)
                raise OccfitError(what, f"{group}.{key}={path}", f"{remedy}. Or {STAND_INS}")
