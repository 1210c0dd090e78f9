"""All scores of a system on a set of photographs."""

from torch import nn

from occfit.metrics.geometry import GeometryScores
from occfit.metrics.per_image import PerImage
from occfit.metrics.reconstruction import ReconstructionScores
from occfit.metrics.segmentation import SegmentationScores
from occfit.types import FaceBatch, Mask, Rendering


class FaceScores(nn.Module):
    """Collects every score of every image; the same whatever the batches and the number of processes.

        scores = FaceScores()
        for batch in loader:
            scores.update(batch, rendering, visibility)
        scores.compute()["f1"].mean

    Where there are several processes, each needs at least one batch, as `occfit.data.order.ScoringBatches` gives them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.segmentation = SegmentationScores()
        self.reconstruction = ReconstructionScores()
        self.geometry = GeometryScores()

    def update(
        self, batch: FaceBatch, rendering: Rendering, visibility: Mask, truth: Rendering | None = None
    ) -> None:
        """Adds a batch.

        Args:
            batch: the photographs, with the true masks if they are known.
            rendering: what the system explains of the batch.
            visibility: the probability that a pixel shows the face.
            truth: the rendering of the true parameters; given for all batches or for none.
        """
        self.segmentation.update(batch, rendering, visibility)
        self.reconstruction.update(batch, rendering)
        if truth is not None:
            self.geometry.update(batch, rendering, truth)

    def compute(self) -> dict[str, PerImage]:
        """Every score by key; those of the geometry only if the truth was given."""
        scores = {**self.segmentation.compute(), **self.reconstruction.compute()}
        return {**scores, **self.geometry.compute()} if self.geometry.update_called else scores

    def reset(self) -> None:
        """Forgets all batches."""
        for metric in (self.segmentation, self.reconstruction, self.geometry):
            metric.reset()
