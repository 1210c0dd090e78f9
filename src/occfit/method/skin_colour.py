"""A skin detector that knows colours only: one Gaussian for skin, one for everything else."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from occfit.errors import OccfitError
from occfit.types import Image, Mask

SKIN_PRIOR = 0.8
"""Of a pixel to be skin, before its colour is seen; the published Deep3D code's."""

SMALLEST_SPREAD = 1 / 255
"""Standard deviation that no colour distribution is narrower than, so that a flat one can be inverted."""


class SkinColour(nn.Module):
    """Probability that a pixel is skin, by Bayes' rule from two Gaussians over RGB (Deng et al. 2019, section 3.1).

    Its state is four buffers: means `2 3`, precisions `2 3 3`, the Gaussians' log-normalisers and the logarithm of the
    prior (` 2`), skin first. Before `fit` it knows nothing: every pixel has the prior.

    Args:
        prior: the probability of skin before a colour is seen.
    """

    mean: Float[Tensor, "2 3"]
    precision: Float[Tensor, "2 3 3"]
    log_normaliser: Float[Tensor, " 2"]
    log_prior: Float[Tensor, " 2"]

    def __init__(self, prior: float = SKIN_PRIOR):
        super().__init__()
        self.register_buffer("mean", torch.zeros(2, 3))
        self.register_buffer("precision", torch.zeros(2, 3, 3))
        self.register_buffer("log_normaliser", torch.zeros(2))
        self.register_buffer("log_prior", torch.tensor([prior, 1 - prior]).log())

    def fit(self, skin: Float[Tensor, "n 3"], rest: Float[Tensor, "m 3"]) -> "SkinColour":
        """Takes mean and covariance of the pixels, RGB in [0, 1].

        Raises:
            OccfitError: there are fewer than four of either.
        """
        for index, (name, pixels) in enumerate((("skin", skin), ("other", rest))):
            if len(pixels) < 4:
                raise OccfitError(f"There are {len(pixels)} {name} pixels to learn colours from")
            colours = pixels.double()
            covariance = torch.cov(colours.T) + SMALLEST_SPREAD**2 * torch.eye(3, dtype=torch.float64)
            self.mean[index] = colours.mean(0)
            self.precision[index] = covariance.inverse()
            self.log_normaliser[index] = -0.5 * covariance.logdet()
        return self

    def log_likelihood(self, image: Image) -> Float[Tensor, "b 2 h w"]:
        """Logarithm of each pixel's density under skin and under the rest, but for the constant that both share."""
        offset = image.flatten(2)[:, None] - self.mean[:, :, None]
        squared = (offset * (self.precision @ offset)).sum(2).unflatten(-1, image.shape[2:])
        return self.log_normaliser[:, None, None] - squared / 2

    def forward(self, image: Image) -> Mask:
        """P(skin | colour)."""
        joint = self.log_likelihood(image) + self.log_prior[None, :, None, None]
        return joint.softmax(dim=1)[:, :1]
