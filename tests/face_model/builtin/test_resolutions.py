"""Coarse and fine show the same faces for the same parameters."""

import pytest
import torch
from scipy.spatial import KDTree

from occfit.face_model.morphable_model import MorphableModel

pytestmark = [pytest.mark.unit, pytest.mark.nightly]


@pytest.fixture(scope="module")
def parameters() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = (80, 64, 80)
    return tuple(torch.randn(4, size, generator=generator) for size in sizes)  # type: ignore[return-value]


def test_fine_model_is_fine(fine: MorphableModel):
    assert 22_000 <= len(fine.mean_shape) <= 28_000
    assert fine.landmark_vertices.unique().numel() == 68


def test_landmarks_agree(coarse: MorphableModel, fine: MorphableModel, parameters):
    shape, expression, _ = parameters
    first = coarse.vertices(shape, expression)[:, coarse.landmark_vertices]
    second = fine.vertices(shape, expression)[:, fine.landmark_vertices]
    assert (first - second).norm(dim=-1).max() < 0.02


def test_landmarks_have_the_same_colours(coarse: MorphableModel, fine: MorphableModel, parameters):
    first = coarse.albedo(parameters[2])[:, coarse.landmark_vertices]
    second = fine.albedo(parameters[2])[:, fine.landmark_vertices]
    assert (first - second).abs().max() < 2e-3


def test_surfaces_agree(coarse: MorphableModel, fine: MorphableModel, parameters):
    """Every coarse vertex lies within the fine mesh's spacing of a fine vertex, and most lie nearly on one."""
    shape, expression, _ = parameters
    first, second = coarse.vertices(shape, expression), fine.vertices(shape, expression)
    for a, b in zip(first, second, strict=True):
        distances = KDTree(b.numpy()).query(a.numpy())[0]
        assert distances.max() < 2.5
        assert distances.mean() < 0.7
