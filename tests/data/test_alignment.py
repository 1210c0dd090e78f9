"""Alignment: the similarity is found, pixels and points move together, nothing aliases."""

import numpy as np
import pytest
from scipy import optimize
from skimage import transform

from occfit.data.alignment import align, align_image, shrink_warp, standard_template
from occfit.data.similarity import apply, compose, fit_similarity, invert, warp
from occfit.errors import OccfitError
from occfit.face_model.builtin.model import builtin_face_model

pytestmark = pytest.mark.unit

SIZE = 64


def similarity(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, x], [sine, cosine, y]])


@pytest.fixture(scope="module")
def template() -> np.ndarray:
    return standard_template(builtin_face_model("coarse"), SIZE)


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 100, (30, 2))


def test_the_template_is_the_mean_face_in_the_middle(template):
    assert template.shape == (68, 2)
    assert template.dtype == np.float32
    assert abs(template[27:31, 0].mean() - SIZE / 2) < 0.1
    assert template[36:48, 1].mean() < template[33, 1] < template[48:60, 1].mean() < template[8, 1]
    doubled = standard_template(builtin_face_model("coarse"), 2 * SIZE)
    assert np.allclose(doubled, 2 * template, atol=1e-4)


@pytest.mark.parametrize("matrix", [similarity(0.3, 20, 5, -7), similarity(4, -170, 300, 20)])
def test_a_similarity_is_found_exactly(points, matrix):
    assert np.allclose(fit_similarity(points, apply(matrix, points)), matrix)


def test_noisy_points_are_fitted_as_scikit_image_does(points):
    target = apply(similarity(0.4, 30, 3, 4), points) + np.random.default_rng(1).normal(0, 3, points.shape)
    expected = transform.SimilarityTransform.from_estimate(points, target).params[:2]
    assert np.allclose(fit_similarity(points, target), expected)


def test_weights_are_those_of_the_squares(points):
    rng = np.random.default_rng(1)
    target = apply(similarity(0.4, 30, 3, 4), points) + rng.normal(0, 3, points.shape)
    weights = rng.uniform(0, 2, len(points))

    def cost(unknown: np.ndarray) -> np.ndarray:
        a, b, x, y = unknown
        moved = apply(np.array([[a, -b, x], [b, a, y]]), points)
        return (np.sqrt(weights)[:, None] * (moved - target)).ravel()

    best = optimize.least_squares(cost, [1, 0, 0, 0], xtol=1e-14, ftol=1e-14, gtol=1e-14).x
    found = fit_similarity(points, target, weights)
    assert np.allclose([found[0, 0], found[1, 0], *found[:, 2]], best, atol=1e-6)


def test_a_mirrored_face_is_never_reflected(points):
    mirrored = points * [-1, 1]
    assert np.linalg.det(fit_similarity(points, mirrored)[:, :2]) > 0


def test_matrices_are_composed_and_inverted(points):
    one, other = similarity(0.3, 20, 5, -7), similarity(2, 50, 1, 2)
    assert np.allclose(apply(compose(one, other), points), apply(one, apply(other, points)))
    assert np.allclose(apply(invert(one), apply(one, points)), points)


def test_a_shift_by_whole_pixels_moves_pixels_exactly():
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    found = warp(picture, similarity(1, 0, 3, -2), (20, 30))
    assert np.array_equal(found[:18, 3:], picture[2:, :27])
    assert not found[:, :3].any()
    assert not found[18:].any()


def test_twice_the_size_keeps_the_pixels_centres():
    """Doubling about the corner puts each pixel on four: their mean must be the pixel (bilinear, smooth picture)."""
    columns, rows = np.meshgrid(np.arange(16.0), np.arange(16.0))
    picture = (8 * columns + 4 * rows).astype(np.float32)
    found = warp(picture, similarity(2, 0, 0, 0), (32, 32))
    means = found.reshape(16, 2, 16, 2).mean(axis=(1, 3))
    assert np.abs(means - picture)[1:-1, 1:-1].max() < 0.2


def test_the_aligned_landmarks_are_the_templates(template):
    photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    wanted = invert(similarity(0.31, 12, -4, 9))
    landmarks = apply(wanted, template)
    picture, moved, alignment = align_image(photo, landmarks, template, SIZE)
    assert picture.shape == (SIZE, SIZE, 3)
    assert np.abs(moved - template).max() < 1e-3
    assert alignment.scale == pytest.approx(0.31, rel=1e-4)
    assert np.abs(alignment.to_photo(moved) - landmarks).max() < 1e-3
    assert np.allclose(alignment.to_aligned(alignment.to_photo(template)), template, atol=1e-4)


def test_only_the_inner_points_decide(template):
    landmarks = apply(invert(similarity(0.31, 12, -4, 9)), template)
    disturbed = landmarks.copy()
    disturbed[:17] += 40
    assert np.array_equal(align(disturbed, template).matrix, align(landmarks, template).matrix)


@pytest.mark.parametrize("scale", [0.11, 0.37, 0.83, 1.0, 1.9])
def test_pixels_land_where_points_land(scale):
    """A Gaussian blob in the photograph has its centroid at the moved point, whatever the scale."""
    matrix = similarity(scale, 17, 0, 0)
    centre = np.array([[300.3, 260.8]])
    matrix[:, 2] = [32, 30] - matrix[:, :2] @ centre[0]
    rows, columns = np.mgrid[:520, :600] + 0.5
    distance = (columns - centre[0, 0]) ** 2 + (rows - centre[0, 1]) ** 2
    blob = (255 * np.exp(-distance / (2 * (4 / scale) ** 2))).astype(np.uint8)
    found = shrink_warp(np.repeat(blob[..., None], 3, axis=2), matrix, SIZE)[..., 0].astype(np.float64)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    place = np.array([(columns * found).sum(), (rows * found).sum()]) / found.sum()
    assert np.abs(place - [32, 30]).max() < 0.04


def test_shrinking_averages_by_area():
    """By a whole factor without rotation, each pixel is the mean of its block."""
    photo = np.random.default_rng(0).integers(0, 256, (SIZE * 5, SIZE * 5, 3), np.uint8)
    found = shrink_warp(photo, similarity(1 / 5, 0, 0, 0), SIZE)
    expected = photo.reshape(SIZE, 5, SIZE, 5, 3).mean(axis=(1, 3))
    assert np.abs(found - expected).max() <= 0.51


def test_a_fine_pattern_becomes_grey_and_does_not_alias():
    rows, columns = np.mgrid[:900, :900]
    photo = np.repeat((255 * ((rows + columns) % 2)).astype(np.uint8)[..., None], 3, axis=2)
    matrix = similarity(1 / 7.3, 9, 0, 0)
    matrix[:, 2] = 32 - matrix[:, :2] @ [450, 450]
    found = shrink_warp(photo, matrix, SIZE)
    assert np.abs(found.astype(float) - 127.5).max() < 12


def test_outside_the_photograph_is_black(template):
    photo = np.full((200, 200, 3), 180, np.uint8)
    landmarks = apply(similarity(2, 0, -40, 100), template)
    picture, *_ = align_image(photo, landmarks, template, SIZE)
    assert not picture[55:].any()
    assert (picture[:40, 25:] == 180).all()


def test_a_giant_face_does_not_fill_the_memory(template):
    landmarks = apply(similarity(5000, 0, -150000, -100000), template)
    photo = np.full((64, 64, 3), 180, np.uint8)
    landmarks[30] = [32, 32]
    picture, _, alignment = align_image(photo, landmarks, template, SIZE)
    assert picture.shape == (SIZE, SIZE, 3)
    assert alignment.scale < 0.001


def test_landmarks_of_another_photograph_are_refused(template):
    with pytest.raises(OccfitError, match=r"No landmark lies in the photograph of 100 x 80 pixels"):
        align_image(np.zeros((80, 100, 3), np.uint8), template + 500, template, SIZE)


def test_landmarks_that_are_one_point_are_refused(template):
    with pytest.raises(OccfitError, match="all one point"):
        align(np.full((68, 2), 7, np.float32), template)


def test_the_identity_changes_nothing(template):
    alignment = align(template, template)
    assert np.allclose(alignment.matrix, np.eye(2, 3), atol=1e-6)
    photo = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    assert np.array_equal(shrink_warp(photo, np.eye(2, 3), SIZE), photo)
