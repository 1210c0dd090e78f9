"""The names and numbers of the log: `train/segmentation/neighbour`, `val/occlusion/f1`."""

import torch
from jaxtyping import Float
from torch import Tensor

from occfit.networks.segmenter import VISIBLE_THRESHOLD
from occfit.types import Mask

BINS = 10

PIXELS = ("region", "visible", "called_visible")
"""What `count_pixels` counts."""

_GROUPS = {
    "visible": ("accuracy", "precision", "recall", "f1", "iou"),
    "occlusion": ("occlusion_f1", "occlusion_iou"),
    "reconstruction": ("rmse", "coverage", "landmark_nme", "vertex_error", "normal_error"),
}
SCORE_KEYS = {
    score: f"val/{group}/{score.removeprefix('occlusion_')}"
    for group, scores in _GROUPS.items()
    for score in scores
}


def score_key(score: str) -> str:
    """The log key of a score of `FaceScores`: `occlusion_f1` is `val/occlusion/f1`."""
    return SCORE_KEYS.get(score, f"val/other/{score}")


def mask_sums(visibility: Mask, face_region: Mask) -> Float[Tensor, " n"]:
    """The mask inside the rendered regions of a batch: its sum, then how many pixels are in each tenth of [0, 1]."""
    values = visibility.detach()[face_region > 0].float()
    histogram = torch.bincount((values * BINS).long().clamp(0, BINS - 1), minlength=BINS)
    return torch.cat([values.sum().view(1), histogram.to(values)])


def describe_mask(sums: Float[Tensor, " n"]) -> dict[str, Tensor]:
    """The mean of the mask and the share of pixels in each tenth of [0, 1], from `mask_sums` of a whole batch."""
    total, *histogram = sums / sums[1:].sum().clamp(min=1)
    return {"visibility/mean": total} | {
        f"visibility/bin_{index}": share for index, share in enumerate(histogram)
    }


def count_pixels(visibility: Mask, face_region: Mask) -> dict[str, Tensor]:
    """Of a batch: the rendered pixels, the sum of their visibility, and those that are called visible."""
    called = (visibility > VISIBLE_THRESHOLD) & (face_region > 0)
    counts = (face_region.sum(), (face_region * visibility.detach()).sum(), called.sum())
    return dict(zip(PIXELS, counts, strict=True))
