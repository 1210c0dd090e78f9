"""How well the visible face, and what hides it, is found.

Two kinds of score, since each can be good where the other is bad:

- The paper's: `accuracy`, `precision`, `recall`, `f1` of the visible face *inside the rendered region*. Pixels
  that the rendering doesn't cover don't count, so a fit that misses a part of the face loses nothing.
- Over all pixels: `iou` of the visible face, and `occlusion_f1`, `occlusion_iou` of what hides it. A pixel is
  occluded where the face is but isn't visible: predicted where the model projects and the mask says no, true in
  the whole face's true region without its visible part. Here a fit that misses a part of the face does lose.
  ("Not visible" alone would be no class worth scoring over all pixels: it is mostly background, which no system
  gets wrong.) Where the true region isn't known, as in photographs with labels of the visible face only, the rendered
  region stands in for it.

0/0 of a paper's score is 0 if the photograph shows the face anywhere, so that neither a collapsed mask nor a fit
beside the face is left out of a mean; otherwise it is NaN. The occlusion class is NaN, and so left out, where nothing
truly hides the face: a single pixel would decide between 0 and 1 there, and `recall` tells already how much
of the face is taken for occlusion. `iou` is NaN where there is no face in truth or prediction.

Where the true mask is known in part, "all pixels" are the known ones; where nothing is known, every score is NaN.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from occfit.metrics.per_image import NAN, PerImageMetric, PerImageScore, count, ratio
from occfit.networks.segmenter import VISIBLE_THRESHOLD
from occfit.types import FaceBatch, Mask, Rendering

Pixels = Bool[Tensor, "b 1 h w"]


@dataclass(frozen=True)
class Confusion:
    """How many pixels of each image are truly and falsely positive, and truly and falsely negative."""

    true_positive: Int[Tensor, " b"]
    false_positive: Int[Tensor, " b"]
    false_negative: Int[Tensor, " b"]
    true_negative: Int[Tensor, " b"]


def confusion(predicted: Pixels, truth: Pixels, where: Pixels) -> Confusion:
    """Counts the pixels of `where`."""
    return Confusion(
        true_positive=count(predicted & truth & where),
        false_positive=count(predicted & ~truth & where),
        false_negative=count(~predicted & truth & where),
        true_negative=count(~predicted & ~truth & where),
    )


def accuracy(counts: Confusion, if_empty: Tensor | float = NAN) -> PerImageScore:
    """Share of right pixels (the paper's ACC)."""
    right = counts.true_positive + counts.true_negative
    return ratio(right, right + counts.false_positive + counts.false_negative, if_empty)


def precision(counts: Confusion, if_empty: Tensor | float = NAN) -> PerImageScore:
    """Share of the predicted pixels that are truly positive (the paper's PPV)."""
    return ratio(counts.true_positive, counts.true_positive + counts.false_positive, if_empty)


def recall(counts: Confusion, if_empty: Tensor | float = NAN) -> PerImageScore:
    """Share of the positive pixels that are predicted (the paper's TPR)."""
    return ratio(counts.true_positive, counts.true_positive + counts.false_negative, if_empty)


def f1(counts: Confusion, if_empty: Tensor | float = NAN) -> PerImageScore:
    """2 TP / (2 TP + FP + FN), the harmonic mean of precision and recall."""
    twice = 2 * counts.true_positive
    return ratio(twice, twice + counts.false_positive + counts.false_negative, if_empty)


def iou(counts: Confusion, if_empty: Tensor | float = NAN) -> PerImageScore:
    """TP / (TP + FP + FN)."""
    whole = counts.true_positive + counts.false_positive + counts.false_negative
    return ratio(counts.true_positive, whole, if_empty)


def region_scores(
    visible: Pixels, true_visible: Pixels, face_region: Pixels, known: Pixels | None = None
) -> dict[str, PerImageScore]:
    """The paper's four scores of the visible face, inside the rendered region as far as the truth is known there."""
    known = torch.ones_like(face_region) if known is None else known
    counts = confusion(visible, true_visible, where=face_region & known)
    if_empty = torch.where(count(true_visible & known) > 0, 0.0, NAN)
    return {
        "accuracy": accuracy(counts, if_empty),
        "precision": precision(counts, if_empty),
        "recall": recall(counts, if_empty),
        "f1": f1(counts, if_empty),
    }


def image_scores(
    visible: Pixels,
    true_visible: Pixels,
    face_region: Pixels,
    true_region: Pixels,
    known: Pixels | None = None,
) -> dict[str, PerImageScore]:
    """IoU of the visible face, F1 and IoU of what hides it, over all pixels whose truth is known."""
    known = torch.ones_like(face_region) if known is None else known
    face = confusion(face_region & visible, true_visible, known)
    occlusion = confusion(face_region & ~visible, true_region & ~true_visible, known)
    is_occluded = occlusion.true_positive + occlusion.false_negative > 0
    return {
        "occlusion_f1": torch.where(is_occluded, f1(occlusion), NAN),
        "occlusion_iou": torch.where(is_occluded, iou(occlusion), NAN),
        "iou": iou(face),
    }


class SegmentationScores(PerImageMetric):
    """Collects all of these scores of every image; they are NaN where the true mask isn't known."""

    keys = ("accuracy", "precision", "recall", "f1", "occlusion_f1", "occlusion_iou", "iou")

    def update(self, batch: FaceBatch, rendering: Rendering, visibility: Mask) -> None:
        """Adds a batch; `visibility` is the probability that a pixel shows the face."""
        truth, region = batch.visibility, rendering.face_region > 0.5
        if truth is None:
            unknown = dict.fromkeys(self.keys, torch.full((1,), NAN, device=visibility.device))
            self.keep(batch.index, lambda _: unknown)
            return
        visible, true_visible = visibility > VISIBLE_THRESHOLD, truth > 0.5
        true_region = region if batch.face_region is None else batch.face_region > 0.5
        known = batch.known_pixels() > 0
        self.keep(
            batch.index,
            lambda one: {
                **region_scores(visible[one], true_visible[one], region[one], known[one]),
                **image_scores(visible[one], true_visible[one], region[one], true_region[one], known[one]),
            },
        )
