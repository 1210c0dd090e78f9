"""Mask sources: where the visibility mask comes from.

Each is a class here and a file in `conf/visibility/`.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import nn

from occfit.data.store import PreparedStore
from occfit.errors import OccfitError
from occfit.method.losses import robust_mask
from occfit.method.skin_colour import SkinColour
from occfit.networks.segmenter import VISIBLE_THRESHOLD, visibility_from_logits
from occfit.types import FaceBatch, Image, Mask, Rendering

PICTURES = 512
"""Deep3D's colours are learned from as many of the training split's pictures: a million pixels and more."""

NEEDS_MASKS = "A supervised pipeline needs data with visibility; data=synthetic has it"

Segmenter = Callable[[Image, Image], Float[torch.Tensor, "b 1 h w"]]


class VisibilitySource(nn.Module):
    """Where a mask comes from.

    A source has two roles. Called, it gives the mask of a system, which is scored and which a photograph gets. Its
    `teach` gives the mask behind which an encoder learns; for most sources the two are one.
    """

    needs_labels: ClassVar[bool] = False
    """Whether `teach` looks at true masks. The paper's unsupervised systems never do."""

    def prepare(self, train: Sequence[PreparedStore]) -> None:
        """Learns from the training stores what has to be known before training; most sources have nothing to learn."""

    def forward(
        self, batch: FaceBatch, rendering: Rendering, segmenter: Segmenter | None
    ) -> tuple[Mask, Mask | None]:
        """The mask, and the segmenter's logits where the mask is the segmenter's."""
        raise OccfitError(f"{type(self).__name__} is no mask source: it has no `forward`")

    def teach(self, batch: FaceBatch, rendering: Rendering, visibility: Mask) -> Mask:
        """The mask behind which the encoder learns, given the system's own mask `visibility`."""
        return self(batch, rendering, None)[0]


class PredictedVisibility(VisibilitySource):
    """The segmenter's mask: the proposed pipeline and its ablations."""

    def forward(
        self, batch: FaceBatch, rendering: Rendering, segmenter: Segmenter | None
    ) -> tuple[Mask, Mask | None]:
        if segmenter is None:
            remedy = (
                "Choose another mask source, visibility=whole for instance, or a pipeline with a segmenter"
            )
            raise OccfitError("A predicted mask needs a segmenter", remedy=remedy)
        logits = segmenter(batch.image, rendering.image)
        return visibility_from_logits(logits), logits

    def teach(self, batch: FaceBatch, rendering: Rendering, visibility: Mask) -> Mask:
        return visibility


class RobustVisibility(VisibilitySource):
    """Eq. 9's mask: the robust initialisation, which has no segmenter yet.

    Args:
        threshold: xi, a squared RGB distance.
    """

    def __init__(self, threshold: float):
        super().__init__()
        self.threshold = threshold

    def forward(
        self, batch: FaceBatch, rendering: Rendering, segmenter: Segmenter | None
    ) -> tuple[Mask, Mask | None]:
        with torch.no_grad():
            return robust_mask(batch.image, rendering.image, rendering.face_region, self.threshold), None


class WholeFace(VisibilitySource):
    """Everything is visible: the plain model-based autoencoder, which knows no occlusion."""

    def forward(
        self, batch: FaceBatch, rendering: Rendering, segmenter: Segmenter | None
    ) -> tuple[Mask, Mask | None]:
        return torch.ones_like(rendering.face_region), None


class LabelledVisibility(WholeFace):
    """The true mask teaches; a photograph has none, so the system itself calls everything visible.

    Nothing is learned from pixels of which nobody knows whether they show the face.
    """

    needs_labels = True

    def teach(self, batch: FaceBatch, rendering: Rendering, visibility: Mask) -> Mask:
        return true_visibility(batch)


class SkinVisibility(VisibilitySource):
    """Deep3D's mask: a pixel is visible face as far as its colour is skin's.

    What teaches is 1 where the probability is above one half, and the probability below (Deng et al. 2019, eq. 3).
    """

    def __init__(self):
        super().__init__()
        self.detector = SkinColour()

    def prepare(self, train: Sequence[PreparedStore]) -> None:
        """Learns the two colour distributions from the first pictures with true masks, as far as these are known.

        Raises:
            OccfitError: no picture has a true mask.
        """
        labelled = [store for store in train if "visibility" in store.fields]
        if not labelled:
            raise OccfitError("The training images have no true masks", remedy=NEEDS_MASKS)
        batches = [store.batch(range(min(PICTURES // len(labelled), len(store)))) for store in labelled]
        colours = torch.cat([batch.image.permute(0, 2, 3, 1).flatten(0, 2) for batch in batches])
        is_known = torch.cat([batch.known_pixels().flatten() for batch in batches]) > 0
        is_face = torch.cat([true_visibility(batch).flatten() for batch in batches]) > VISIBLE_THRESHOLD
        self.detector.fit(colours[is_face & is_known], colours[~is_face & is_known])

    def forward(
        self, batch: FaceBatch, rendering: Rendering, segmenter: Segmenter | None
    ) -> tuple[Mask, Mask | None]:
        with torch.no_grad():
            return self.detector(batch.image), None

    def teach(self, batch: FaceBatch, rendering: Rendering, visibility: Mask) -> Mask:
        probability, _ = self(batch, rendering, None)
        return torch.where(probability > VISIBLE_THRESHOLD, 1.0, probability)


def true_visibility(batch: FaceBatch) -> Mask:
    """The labelled mask of a batch, 0 where nobody knows it.

    Raises:
        OccfitError: it has none.
    """
    if batch.visibility is None:
        raise OccfitError("The training images have no true masks", remedy=NEEDS_MASKS)
    return batch.visibility
