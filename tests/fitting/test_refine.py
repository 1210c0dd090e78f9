"""Refinement finds faces again, takes nothing that is worse, and keeps images apart."""

from dataclasses import replace

import pytest
import torch

from occfit.face_model import builtin_face_model
from occfit.fitting.face_system import FaceSystem
from occfit.fitting.refine import Refinement, is_better, refine, robust_residual
from occfit.method.visibility import RobustVisibility
from occfit.networks.encoder import Encoder
from occfit.rendering.rasterize import make_rasterizer
from occfit.rendering.renderer import FaceRenderer
from occfit.runs.config import compose
from occfit.types import Explanation, FaceBatch, FaceParams

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def system() -> FaceSystem:
    """Its encoder hasn't learned anything: it calls every face the mean face."""
    scale = compose(["preset=smoke"]).encoder["scale"]
    renderer = FaceRenderer(builtin_face_model("coarse"), make_rasterizer("numba"), 64)
    return FaceSystem(Encoder("small", scale=scale), renderer, RobustVisibility(0.05), None)


@pytest.fixture(scope="module")
def faces(system) -> FaceBatch:
    generator = torch.Generator().manual_seed(1)
    vector = 0.7 * torch.randn(3, 257, generator=generator)
    vector[:, 224:230] = 0
    vector[:, 225] = torch.tensor([0.2, -0.1, 0.0])
    vector[:, 230:] *= 0.1
    rendering = system.renderer(FaceParams.from_vector(vector))
    image = torch.where(rendering.face_region > 0.5, rendering.image.clamp(0, 1), 0.5)
    return FaceBatch(image=image, landmarks=rendering.landmarks, index=torch.arange(3))


def test_faces_are_found_from_the_mean_face(system, faces):
    refined = refine(system, faces, system(faces))
    assert refined.improved.all()
    assert (refined.residual[:, 1] < 0.6 * refined.residual[:, 0]).all()


def test_a_perfect_estimate_stays_bit_for_bit(system, faces):
    first = system(faces)
    still = refine(system, faces, first, Refinement(rounds=1, steps=1, learning_rate=0.0))
    assert not still.improved.any()
    for name, value in vars(first.params).items():
        assert torch.equal(value, getattr(still.explanation.params, name))
    assert torch.equal(still.explanation.visibility, first.visibility)


def test_one_image_alone_is_refined_as_in_a_batch(system, faces):
    settings = Refinement(rounds=1, steps=6)
    together = refine(system, faces, system(faces), settings).explanation.params.to_vector()
    one = faces[1:2]
    alone = refine(system, one, system(one), settings).explanation.params.to_vector()
    torch.testing.assert_close(together[1:2], alone, atol=2e-3, rtol=0)


def test_a_worse_fit_is_not_taken(system, faces):
    good = refine(system, faces, system(faces)).explanation
    worse = system(faces)
    better, residual = is_better(faces, good, worse, Refinement())
    assert not better.any()
    assert (residual[:, 1] > residual[:, 0]).all()


@pytest.mark.parametrize("spoiled", ["area", "landmarks"])
def test_a_fit_that_pays_with_area_or_landmarks_is_not_taken(system, faces, spoiled):
    first = system(faces)
    last = refine(system, faces, first).explanation
    assert is_better(faces, first, last, Refinement())[0].all()
    if spoiled == "area":
        visibility = last.visibility.clone()
        visibility[..., :48] = 0
        last = Explanation(last.params, last.rendering, visibility)
    else:
        moved = replace(last.rendering, landmarks=last.rendering.landmarks + 6)
        last = Explanation(last.params, moved, last.visibility)
    assert not is_better(faces, first, last, Refinement())[0].any()


def test_a_pixel_costs_the_tolerance_at_most(system, faces):
    rendering = system(faces).rendering
    everywhere = torch.ones_like(rendering.face_region)
    inverted = replace(faces, image=1 - faces.image)
    assert (robust_residual(inverted, rendering, everywhere, 0.25) <= 0.25 + 1e-6).all()


def test_the_parameters_can_be_moved_in_a_larger_picture(system, faces):
    model = system.renderer.face_model
    twice = FaceRenderer(model, system.renderer.rasterizer, 128)
    image = torch.nn.functional.interpolate(faces.image, scale_factor=2.0, mode="bilinear")
    fine = FaceBatch(image=image, landmarks=2 * faces.landmarks, index=faces.index)
    refined = refine(system, faces, system(faces), Refinement(rounds=2, steps=20), fine)
    assert refined.improved.all()
    assert refined.explanation.rendering.image.shape[-1] == 64
    assert twice(refined.explanation.params).image.shape[-1] == 128
