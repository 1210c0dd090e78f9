"""The face on the photograph's pixels, against the same face rendered at the photograph's size at once."""

import numpy as np
import pytest
import torch

from occfit.data.alignment import Alignment
from occfit.face_model import builtin_face_model
from occfit.fitting.photograph_drawing import LARGEST_RENDERING, mesh_of, render_on_photo
from occfit.rendering.rasterize import make_rasterizer
from occfit.rendering.renderer import FaceRenderer
from occfit.types import FaceParams

pytestmark = pytest.mark.unit

SIZE = 32


@pytest.fixture(scope="module")
def params() -> FaceParams:
    vector = 0.3 * torch.randn(1, 257, generator=torch.Generator().manual_seed(0))
    return FaceParams.from_vector(vector)


def renderer(size: int) -> FaceRenderer:
    return FaceRenderer(builtin_face_model(), make_rasterizer("numba"), size)


@pytest.mark.parametrize("factor", [1, 4])
def test_it_is_the_rendering_at_the_photograph_s_resolution(params, factor):
    """The photograph is `factor` times as dense as the aligned picture, which begins at its pixel (10, 6)."""
    alignment = Alignment(np.array([[1 / factor, 0, -10 / factor], [0, 1 / factor, -6 / factor]]))
    shape = (factor * SIZE + 9, factor * SIZE + 20)
    picture, region = render_on_photo(renderer(SIZE), params, alignment, shape)
    expected = renderer(factor * SIZE)(params)
    inner = (slice(6, 6 + factor * SIZE), slice(10, 10 + factor * SIZE))
    assert np.array_equal(region[inner], expected.face_region[0, 0].numpy() > 0.5)
    assert region.sum() == region[inner].sum() > 100
    assert not picture[~region].any()
    colours = expected.image[0].permute(1, 2, 0).numpy().clip(0, 1) * 255
    assert np.abs(picture[inner] - colours)[region[inner]].max() <= 0.51


def test_a_huge_photograph_is_drawn_from_the_largest_rendering(params):
    factor = 2 * LARGEST_RENDERING // SIZE
    alignment = Alignment(np.array([[1 / factor, 0, 0], [0, 1 / factor, 0]]))
    _, region = render_on_photo(
        renderer(SIZE), params, alignment, (2 * LARGEST_RENDERING, 2 * LARGEST_RENDERING)
    )
    expected = renderer(LARGEST_RENDERING)(params).face_region.sum().item()
    assert region.sum() == pytest.approx(4 * expected, rel=0.01)


def test_a_mesh_has_neither_pose_nor_light(params):
    model = builtin_face_model()
    plain = FaceParams(
        params.shape,
        params.expression,
        params.albedo,
        torch.zeros_like(params.pose),
        torch.zeros_like(params.illumination),
    )
    mesh, other = mesh_of(model, params), mesh_of(model, plain)
    np.testing.assert_array_equal(mesh.vertices, other.vertices)
    np.testing.assert_array_equal(mesh.colours, other.colours)
    np.testing.assert_array_equal(mesh.vertices, model.vertices(params.shape, params.expression)[0])
    assert 0 <= mesh.colours.min() <= mesh.colours.max() <= 1
