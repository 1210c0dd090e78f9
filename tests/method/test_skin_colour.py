"""The skin detector, against scipy's Gaussians."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from occfit.errors import OccfitError
from occfit.method.skin_colour import SMALLEST_SPREAD, SkinColour

pytestmark = pytest.mark.unit


@pytest.fixture
def pixels(generator):
    mixing = torch.tensor([[0.1, 0.02, 0.0], [0.0, 0.08, 0.03], [0.0, 0.0, 0.05]])
    skin = torch.tensor([0.7, 0.5, 0.4]) + torch.randn(500, 3, generator=generator) @ mixing
    return skin, torch.rand(700, 3, generator=generator)


def test_it_is_bayes_rule(pixels, generator):
    detector = SkinColour(prior=0.7).fit(*pixels)
    image = torch.rand(2, 3, 5, 4, generator=generator)
    densities = [
        multivariate_normal.pdf(
            image.permute(0, 2, 3, 1).double().numpy(),
            part.double().numpy().mean(0),
            np.cov(part.double().numpy().T) + SMALLEST_SPREAD**2 * np.eye(3),  # pyright: ignore[reportArgumentType]
        )
        for part in pixels
    ]
    expected = 0.7 * densities[0] / (0.7 * densities[0] + 0.3 * densities[1])
    assert detector(image)[:, 0].numpy() == pytest.approx(expected, abs=1e-4)


def test_what_has_the_skins_colour_is_skin(pixels):
    detector = SkinColour().fit(*pixels)
    colours = torch.tensor([[0.7, 0.5, 0.4], [0.1, 0.2, 0.9]])
    assert (detector(colours.reshape(2, 3, 1, 1)).flatten() > 0.5).tolist() == [True, False]


def test_one_flat_colour_can_be_learned():
    detector = SkinColour().fit(torch.full((9, 3), 0.5), torch.zeros(9, 3))
    assert detector(torch.full((1, 3, 2, 2), 0.5)).min() > 0.99


def test_too_few_pixels_are_refused(pixels):
    with pytest.raises(OccfitError, match="3 other pixels"):
        SkinColour().fit(pixels[0], pixels[1][:3])
