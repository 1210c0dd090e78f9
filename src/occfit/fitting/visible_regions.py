"""How much of each part of a face is visible."""

import torch
from jaxtyping import Bool
from torch import Tensor

from occfit.face_model.regions import REGIONS, face_regions
from occfit.rendering.renderer import FaceRenderer
from occfit.types import Rendering


def draw_regions(renderer: FaceRenderer, rendering: Rendering) -> Bool[Tensor, "b r h w"]:
    """Where each of `REGIONS` is seen in a rendering, were nothing before it."""
    labels = face_regions(renderer.face_model).T.unsqueeze(0)
    return renderer.draw(rendering.vertices, labels.float()) > 0.5


def visible_fractions(visible: Bool[Tensor, "1 1 h w"], regions: Bool[Tensor, "1 r h w"]) -> dict[str, float]:
    """The visible share of each region's pixels; NaN for one that the camera doesn't see."""
    counts = regions.sum(dim=(0, 2, 3))
    shown = (regions & visible).sum(dim=(0, 2, 3))
    fractions = torch.where(counts > 0, shown / counts.clamp(min=1), torch.nan)
    return dict(zip(REGIONS, fractions.tolist(), strict=True))
