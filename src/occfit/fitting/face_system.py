"""What a system makes of aligned photographs: parameters, rendering, mask. Every scored system does this."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from occfit.errors import OccfitError
from occfit.fitting.em.em_fitting import EMFitting
from occfit.method.visibility import VisibilitySource
from occfit.networks.encoder import Encoder
from occfit.networks.segmenter import UNet
from occfit.rendering.renderer import FaceRenderer
from occfit.runs.build import build_networks
from occfit.runs.checkpoint import load_networks
from occfit.runs.config import TrainConfig, instantiate, parse_training
from occfit.runs.stage import find_stage
from occfit.types import Explanation, FaceBatch

Explain = Callable[[FaceBatch], Explanation]


class FaceSystem(nn.Module):
    """Photograph -> encoder -> face model -> rendering -> mask, for prediction only."""

    def __init__(
        self, encoder: Encoder, renderer: FaceRenderer, visibility: VisibilitySource, segmenter: UNet | None
    ):
        super().__init__()
        self.encoder = encoder
        self.renderer = renderer
        self.visibility = visibility
        self.segmenter = segmenter
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, batch: FaceBatch) -> Explanation:
        params = self.encoder(batch.image)
        rendering = self.renderer(params)
        visibility, _ = self.visibility(batch, rendering, self.segmenter)
        return Explanation(params, rendering, visibility)


System = FaceSystem | EMFitting


def build_system(checkpoint: Mapping[str, Any], where: Path) -> System:
    """The system whose weights a checkpoint holds.

    Its mask is that of its last stage: equation 9's after the initialisation alone; none, or the skin colour's, after a
    reconstruction without segmenter. A checkpoint without a stage has no weights: its system fits picture by picture.

    It draws with the rasterizer that suits this machine, whichever it was trained with.

    Raises:
        OccfitError: the configuration is not one of ours, its face model isn't the one that the system was
            trained with, or the weights belong to other networks.
    """
    entry = checkpoint["occfit"]
    config = portable(parse_training(entry["config"], where))
    networks = build_networks(config)
    if networks.face_model.digest() != entry["face_model"]:
        raise OccfitError(
            f"The checkpoint was trained with another face model than '{networks.face_model.name}' is here",
            where,
            "Use the face model file, and the version of occfit, that it was trained with.",
        )
    if config.fitting:
        return instantiate(config.fitting, renderer=networks.renderer, seed=config.seed)
    stage = find_stage(str(entry.get("stage")))
    segmenter = networks.segmenter if stage.has_segmenter else None
    parts = replace(networks, segmenter=segmenter).trained()
    load_networks(parts, checkpoint["state_dict"], where)
    visibility = stage.system_mask(config, networks.visibility)
    return FaceSystem(networks.encoder, networks.renderer, visibility, segmenter)


def portable(config: TrainConfig) -> TrainConfig:
    """The configuration without what only the machine of the training needs to have, its folders among it."""
    return replace(
        config,
        face_model={key: value for key, value in config.face_model.items() if key != "cache"},
        encoder={**config.encoder, "weights": None},
        rasterizer={**config.rasterizer, "name": "auto"},
    )
