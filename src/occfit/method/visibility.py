"""Where the mask comes from: the segmenter, equation 9, the skin's colour, or nowhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import nn

from occfit.data.store import PreparedStore
from occfit.errors import OccfitError
from occfit.method.evidence import true_visibility
from occfit.method.losses import robust_mask
from occfit.method.skin_colour import SkinColour
from occfit.networks.segmenter import VISIBLE_THRESHOLD, visibility_from_logits
from occfit.types import FaceBatch, Image, Mask, Rendering

PICTURES = 512
"""Deep3D's colours are learned from as many of the training split's pictures: a million pixels and more."""

Segmenter = Callable[[Image, Image], Float[torch.Tensor, "b 1 h w"]]


@runtime_checkable
class VisibilitySource(Protocol):
    """Where the mask comes from. Returns it, and the segmenter's logits where it is the segmenter's."""

    def __call__(
        self, batch: FaceBatch, rendering: Rendering, segmenter: Segmenter | None
    ) -> tuple[Mask, Mask | None]: ...


@dataclass(frozen=True)
class PredictedVisibility:
    """The segmenter's mask: the proposed pipeline and its ablations."""

    def __call__(
        self, batch: FaceBatch, rendering: Rendering, segmenter: Segmenter | None
    ) -> tuple[Mask, Mask | None]:
        if segmenter is None:
            raise OccfitError("A predicted mask needs a segmenter")
        logits = segmenter(batch.image, rendering.image)
        return visibility_from_logits(logits), logits


@dataclass(frozen=True)
class RobustVisibility:
    """Eq. 9's mask: the robust initialisation, which has no segmenter yet."""

    threshold: float

    def __call__(
        self, batch: FaceBatch, rendering: Rendering, segmenter: Segmenter | None
    ) -> tuple[Mask, Mask | None]:
        with torch.no_grad():
            return robust_mask(batch.image, rendering.image, rendering.face_region, self.threshold), None


@dataclass(frozen=True)
class WholeFace:
    """Everything is visible: the plain model-based autoencoder, which knows no occlusion."""

    def __call__(
        self, batch: FaceBatch, rendering: Rendering, segmenter: Segmenter | None
    ) -> tuple[Mask, Mask | None]:
        return torch.ones_like(rendering.face_region), None


class SkinVisibility(nn.Module):
    """Deep3D's mask: a pixel is visible face as far as its colour is skin's."""

    def __init__(self, detector: SkinColour):
        super().__init__()
        self.detector = detector

    def forward(
        self, batch: FaceBatch, rendering: Rendering, segmenter: Segmenter | None
    ) -> tuple[Mask, Mask | None]:
        with torch.no_grad():
            return self.detector(batch.image), None


def visibility_of(config: Mapping[str, Any], stage: str, skin: SkinColour | None) -> VisibilitySource:
    """Where a stage's mask comes from, before the objective has its say (`mask`)."""
    match stage:
        case "initialise":
            return RobustVisibility(config["initialisation"]["threshold"])
        case "reconstruct":
            return WholeFace() if skin is None else SkinVisibility(skin)
        case _:
            return PredictedVisibility()


def fit_skin_colour(detector: SkinColour, train: PreparedStore) -> None:
    """Learns the two colour distributions from the training split's first pictures and their labelled faces.

    Raises:
        OccfitError: the pictures have no labels.
    """
    batch = train.batch(range(min(PICTURES, len(train))))
    is_face = true_visibility(batch)[:, 0] > VISIBLE_THRESHOLD
    colours = batch.image.permute(0, 2, 3, 1)
    detector.fit(colours[is_face], colours[~is_face])
