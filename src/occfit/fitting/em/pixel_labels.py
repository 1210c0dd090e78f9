"""What each pixel of the rendered region is: face, beard or something else (Egger et al. 2018, section 3.1)."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from occfit.face_model.regions import lower_face_vertices
from occfit.method.losses import neighbour_residual
from occfit.rendering.renderer import FaceRenderer
from occfit.types import Image, Mask, Rendering

FACE, BEARD, OTHER = range(3)
LabelProbabilities = Float[Tensor, "b 3 h w"]
"""Of face, beard and something else; they sum to 1."""

IMPOSSIBLE = -1e4


@dataclass(frozen=True)
class LabelModel:
    """How pixels are labelled.

    Attributes:
        sigma: standard deviation of a face pixel's R, G and B around the rendering.
        window: side of the square in which a face pixel may find its rendered match, in pixels. The published one is
            wider; at 64 px it lets lenses match pupils.
        bins: how many the colour histograms have along each of R, G and B.
        smoothness: what each of a pixel's four neighbours of one label adds to its log-probability.
        sweeps: how often the labels are smoothed (mean field).
        beard: prior probability of a beard where one can grow.
        other: prior probability of something else.
    """

    sigma: PositiveFloat = 0.06
    window: PositiveInt = 1
    bins: PositiveInt = 8
    smoothness: NonNegativeFloat = 1.0
    sweeps: PositiveInt = 5
    beard: Annotated[float, Field(gt=0, lt=1)] = 0.01
    other: Annotated[float, Field(gt=0, lt=1)] = 0.7

    def __call__(
        self, image: Image, rendering: Rendering, beard_region: Mask, labels: LabelProbabilities
    ) -> LabelProbabilities:
        """One expectation step: from the rendering, and from the colours that the old labels give to the rest.

        Args:
            rendering: the picture of the current parameters.
            beard_region: 1 where a beard can grow.
            labels: the labels' probabilities after the step before.
        """
        region = rendering.face_region
        squared = neighbour_residual(image, rendering.image, region, self.window, "squared")
        inside = labels * region
        logs = [
            squared / (-2 * self.sigma**2) - 1.5 * math.log(2 * math.pi * self.sigma**2),
            colour_log_density(image, inside[:, BEARD : BEARD + 1] * beard_region, self.bins),
            colour_log_density(image, 1 - region + inside[:, OTHER : OTHER + 1], self.bins),
        ]
        prior = torch.tensor([1 - self.beard - self.other, self.beard, self.other]).log()
        evidence = torch.cat(logs, dim=1) + prior.to(image).view(1, 3, 1, 1)
        grows = torch.cat([torch.ones_like(region), beard_region, torch.ones_like(region)], dim=1)
        return smooth(evidence.where(grows > 0, IMPOSSIBLE), region, self.smoothness, self.sweeps)


def start_labels(face: Mask, region: Mask, beard_region: Mask) -> LabelProbabilities:
    """The labels before there are any: face where the light explains it, else beard or something else."""
    rest = region * (1 - face)
    beard = 0.5 * rest * beard_region
    return torch.cat([face, beard, 1 - face - beard], dim=1)


def colour_log_density(image: Image, weights: Mask, bins: int) -> Mask:
    """Logarithm of each pixel's colour density, from a smoothed histogram of each picture's weighted pixels.

    The density is that of RGB in [0, 1]^3, so it can be compared with a Gaussian's. Every bin has a little weight.
    """
    places = (image * bins).long().clamp(0, bins - 1)
    flat = (places[:, 0] * bins + places[:, 1]) * bins + places[:, 2]
    counts = image.new_zeros(len(image), bins**3).scatter_add(1, flat.flatten(1), weights.flatten(1))
    blurred = counts.view(-1, 1, bins, bins, bins)
    for axis in range(3):
        shape = [3 if axis == other else 1 for other in range(3)]
        kernel = image.new_tensor([0.25, 0.5, 0.25]).view(1, 1, *shape)
        blurred = F.conv3d(blurred, kernel, padding=tuple(size // 2 for size in shape))
    share = (blurred.flatten(1) + 1 / bins**3) / (blurred.flatten(1).sum(1, keepdim=True) + 1)
    return (share * bins**3).log().gather(1, flat.flatten(1)).view_as(weights)


def smooth(
    evidence: Float[Tensor, "b 3 h w"], region: Mask, strength: float, sweeps: int
) -> LabelProbabilities:
    """Probabilities under a Potts prior on the region's four-neighbourhoods, by mean field."""
    kernel = evidence.new_tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]]).expand(3, 1, 3, 3)
    found = evidence.softmax(dim=1)
    for _ in range(sweeps):
        votes = F.conv2d(found * region, kernel, padding=1, groups=3)
        found = (evidence + strength * votes).softmax(dim=1)
    return found


def draw_lower_face(renderer: FaceRenderer, rendering: Rendering) -> Mask:
    """1 where a beard can grow: below the nose, but for the mouth."""
    marked = lower_face_vertices(renderer.face_model).float().view(1, -1, 1)
    return (renderer.draw(rendering.vertices, marked) > 0.5).float()
