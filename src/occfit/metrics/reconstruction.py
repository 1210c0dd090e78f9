"""How well the rendered face explains the photograph."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from occfit.metrics.per_image import NAN, PerImageMetric, PerImageScore, count, ratio
from occfit.types import FaceBatch, Image, Landmarks, Mask, Rendering

OUTER_EYE_CORNERS = (36, 45)


def masked_rmse(image: Image, rendered: Image, where: Mask) -> PerImageScore:
    """Root of the mean squared difference over the masked pixels and the three channels, on the scale 0..255.

    The rendering is clamped to [0, 1], as it is when it is saved. NaN where the mask is empty.
    """
    inside = (where > 0.5).double()
    squares = (image.double() - rendered.double().clamp(0, 1)).square() * inside
    total = squares.flatten(1).sum(dim=1)
    return 255 * ratio(total, 3 * count(where > 0.5), NAN).sqrt()


def coverage(true_visible: Mask, face_region: Mask) -> PerImageScore:
    """Share of the true visible face that the rendering covers; NaN where no face is visible.

    It belongs beside every masked error: a shrinking region leaves out the pixels that are hard to explain.
    """
    visible = true_visible > 0.5
    return ratio(count(visible & (face_region > 0.5)), count(visible), NAN)


def common_rmse(
    image: Image, rendered: Sequence[Image], face_regions: Sequence[Mask], true_visible: Mask
) -> Float[Tensor, "systems b"]:
    """Several systems' RMSE on the true visible face where all of them project, so that no region's size helps."""
    where = true_visible
    for region in face_regions:
        where = where * region
    return torch.stack([masked_rmse(image, picture, where) for picture in rendered])


def landmark_nme(found: Landmarks, true: Landmarks) -> PerImageScore:
    """Mean distance of the 68 points over the distance between the true outer corners of the eyes (a fraction)."""
    found, true = found.double(), true.double()
    left, right = (true[:, corner] for corner in OUTER_EYE_CORNERS)
    between = (left - right).norm(dim=1)
    return torch.where(between > 0, (found - true).norm(dim=2).mean(dim=1) / between, NAN)


class ReconstructionScores(PerImageMetric):
    """Collects RMSE inside the true visible face and the rendered region, coverage, and landmark error."""

    keys = ("rmse", "coverage", "landmark_nme")

    def update(self, batch: FaceBatch, rendering: Rendering) -> None:
        """Adds a batch. The first two scores are NaN where the true mask isn't known."""

        def score(one: slice) -> dict[str, PerImageScore]:
            scores = {"landmark_nme": landmark_nme(rendering.landmarks[one], batch.landmarks[one])}
            if batch.visibility is None:
                unknown = torch.full((1,), NAN, device=rendering.image.device)
                return {**scores, "rmse": unknown, "coverage": unknown}
            truth, region = batch.visibility[one], rendering.face_region[one]
            where = (truth > 0.5).float() * region
            rmse = masked_rmse(batch.image[one], rendering.image[one], where)
            return {**scores, "rmse": rmse, "coverage": coverage(truth, region)}

        self.keep(batch.index, score)
