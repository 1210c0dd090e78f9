"""Per-image fitting: the light, the labels, and both together on drawn faces behind painted occluders."""

import numpy as np
import pytest
import torch
from calls import watch_calls
from scipy.stats import multivariate_normal

from occfit.face_model.builtin.model import builtin_face_model
from occfit.fitting.em.em_fitting import EMFitting, landmarks_only, units
from occfit.fitting.em.pixel_labels import (
    BEARD,
    FACE,
    OTHER,
    LabelModel,
    colour_log_density,
    draw_lower_face,
    smooth,
    start_labels,
)
from occfit.fitting.em.robust_light import RobustLight, light_design, solve_light
from occfit.method.losses import landmark_loss
from occfit.rendering.illumination import light_coefficients
from occfit.rendering.rasterize import make_rasterizer
from occfit.rendering.renderer import FaceRenderer
from occfit.types import FaceBatch, FaceParams

pytestmark = pytest.mark.unit

SIZE = 48


@pytest.fixture(scope="module")
def renderer() -> FaceRenderer:
    return FaceRenderer(builtin_face_model(), make_rasterizer("numba"), SIZE)


@pytest.fixture(scope="module")
def truth() -> FaceParams:
    """Two faces in strong light."""
    generator = torch.Generator().manual_seed(3)
    vector = 0.6 * torch.randn(2, 257, generator=generator)
    vector[:, 224:227] *= 0.2
    vector[:, 227:230] *= 3
    return FaceParams.from_vector(vector)


@pytest.fixture(scope="module")
def faces(renderer, truth) -> FaceBatch:
    """On grey; the second one's eyes are behind a blue bar."""
    rendering = renderer(truth)
    image = torch.lerp(torch.full_like(rendering.image, 0.5), rendering.image, rendering.face_region)
    visibility = rendering.face_region.clone()
    eyes = rendering.landmarks[1, 36:48]
    top, bottom = int(eyes[:, 1].min()) - 2, int(eyes[:, 1].max()) + 3
    image[1, :, top:bottom] = torch.tensor([0.1, 0.2, 0.9]).view(3, 1, 1)
    visibility[1, :, top:bottom] = 0
    return FaceBatch(image.clamp(0, 1), rendering.landmarks, torch.arange(2), visibility=visibility)


def test_the_design_times_the_light_is_the_rendering(renderer, truth):
    design, region = light_design(renderer, truth)
    rendering = renderer(truth)
    lit = torch.einsum("bckhw,bck->bchw", design, light_coefficients(truth.illumination))
    assert torch.allclose(lit, rendering.image, atol=1e-4)
    assert torch.equal(region, rendering.face_region)


def test_the_light_of_all_pixels_is_the_true_one(renderer, truth):
    design, region = light_design(renderer, truth)
    found = solve_light(design, renderer(truth).image, region, stiffness=1e-4)
    assert torch.allclose(found, light_coefficients(truth.illumination), atol=0.02)


def test_the_consensus_leaves_the_bar_out(renderer, truth, faces):
    light = RobustLight(samples=30, tolerance=0.05, stiffness=1e-5)
    illumination, explained = light(renderer, faces, truth, seed=0)
    assert torch.allclose(explained, faces.visibility * renderer(truth).face_region)
    assert torch.allclose(illumination, truth.illumination, atol=0.05)


def test_a_pictures_light_depends_on_the_seed_and_not_on_its_batch(renderer, truth, faces):
    light = RobustLight(samples=3, polish=1)
    both, _ = light(renderer, faces, truth, seed=0)
    alone, _ = light(renderer, faces[1:], truth[1:], seed=0)
    other, _ = light(renderer, faces, truth, seed=1)
    assert torch.allclose(alone, both[1:], atol=1e-5)
    assert not torch.allclose(other, both)


def test_colour_density_is_a_smoothed_histogram():
    generator = torch.Generator().manual_seed(0)
    image, bins = torch.rand(1, 3, 12, 12, generator=generator), 4
    weights = torch.rand(1, 1, 12, 12, generator=generator)
    pixels = image[0].flatten(1).T.numpy()
    counts, _ = np.histogramdd(
        pixels, bins=(bins,) * 3, range=[(0, 1)] * 3, weights=weights.flatten().numpy()
    )
    padded = np.pad(counts, 1)
    for axis in range(3):
        low, middle, high = (np.take(padded, range(i, i + bins), axis) for i in range(3))
        padded = (low + 2 * middle + high) / 4
    density = (padded + 1 / bins**3) / (padded.sum() + 1) * bins**3
    places = np.minimum((pixels * bins).astype(int), bins - 1)
    expected = np.log(density[tuple(places.T)]).reshape(12, 12)
    assert colour_log_density(image, weights, bins)[0, 0].numpy() == pytest.approx(expected, abs=1e-4)


def test_without_smoothness_the_labels_are_bayes_rule(renderer, truth, faces):
    model = LabelModel(smoothness=0)
    rendering = renderer(truth)
    region = rendering.face_region
    before = start_labels(faces.visibility * region, region, torch.zeros_like(region))
    found = model(faces.image, rendering, torch.zeros_like(region), before)
    pixel = tuple(region[1, 0].nonzero()[30].tolist())
    difference = (faces.image - rendering.image)[1, :, *pixel].numpy()
    covariance = model.sigma**2 * np.eye(3)
    face = multivariate_normal.pdf(difference, np.zeros(3), covariance)  # pyright: ignore[reportArgumentType]
    weights = 1 - region + before[:, OTHER : OTHER + 1] * region
    rest = float(colour_log_density(faces.image, weights, model.bins)[1, 0, *pixel].exp())
    joint = np.array([(1 - model.beard - model.other) * face, model.other * rest])
    assert found[1, FACE, *pixel].item() == pytest.approx(joint[0] / joint.sum(), abs=1e-3)
    assert torch.allclose(found.sum(1), torch.ones(()), atol=1e-5)
    assert found[:, BEARD].max() < 1e-6


def test_smoothing_outvotes_a_lonely_pixel():
    evidence = torch.zeros(1, 3, 5, 5)
    evidence[:, FACE] = 1.0
    evidence[0, :, 2, 2] = torch.tensor([0.0, -5.0, 1.0])
    region = torch.ones(1, 1, 5, 5)
    assert smooth(evidence, region, 0.0, 5)[0, :, 2, 2].argmax() == OTHER
    assert smooth(evidence, region, 1.0, 5)[0, :, 2, 2].argmax() == FACE


def test_a_beard_grows_below_the_nose(renderer):
    rendering = renderer(FaceParams.zeros(1))
    rows = draw_lower_face(renderer, rendering)[0, 0].nonzero()[:, 0] + 0.5
    assert len(rows) > 50
    assert rows.min() > rendering.landmarks[0, 33, 1] - 2


def test_landmarks_alone_are_where_the_whole_model_has_them(renderer, truth):
    small = landmarks_only(renderer.face_model)
    whole = renderer.face_model.vertices(truth.shape, truth.expression)
    chosen = whole[:, renderer.face_model.landmark_vertices]
    assert torch.allclose(small.vertices(truth.shape, truth.expression), chosen, atol=1e-4)


def test_the_landmarks_model_is_made_once(renderer, faces):
    with watch_calls(landmarks_only) as calls:
        EMFitting(renderer, landmark_steps=3).fit_landmarks(faces)
    assert len(calls) == 1


def test_the_start_lies_on_the_landmarks(renderer, faces):
    system = EMFitting(renderer)
    zeros = renderer(FaceParams.zeros(2)).landmarks
    found = renderer(system.fit_landmarks(faces)).landmarks
    before, after = (landmark_loss(points, faces.landmarks, SIZE) for points in (zeros, found))
    assert (after < 0.1 * before).all()


def test_a_bar_is_found_and_the_rest_is_face(renderer, faces):
    found = EMFitting(renderer)(faces)
    region = found.rendering.face_region
    visible = (found.visibility > 0.5).float()
    bar, face = region[1:] * (1 - faces.visibility[1:]), region * faces.visibility
    assert (visible[1:] * bar).sum() < 0.1 * bar.sum()
    assert (visible * face).sum() > 0.9 * face.sum()
    assert not found.params.to_vector().requires_grad


def test_a_picture_is_fitted_the_same_in_any_batch(renderer, faces):
    system = EMFitting(renderer, rounds=1, steps=3, landmark_steps=5, light=RobustLight(samples=3))
    both, alone = system(faces), system(faces[1:])
    assert torch.allclose(both.params.to_vector()[1:], alone.params.to_vector(), atol=1e-3)


def test_units_name_every_parameter():
    assert units(torch.zeros(1, 257)).shape == (257,)
    assert units(torch.zeros(1, 257))[224:230].tolist() == pytest.approx([0.1, 0.1, 0.1, 5, 5, 30])
