import cv2
import numpy as np
import pytest

from occfit.data.synthetic.drawing import (
    blur,
    closed_curve,
    curve,
    emboss,
    fill,
    fractal_noise,
    hsv,
    noise,
    over,
    relief_normals,
    ribbon,
    smoothstep,
    stroke,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.7])
def test_filled_disc_covers_its_area_at_its_place(shift: float):
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    disc = [30.0 + shift, 26.0 - shift] + 15 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    coverage = fill([disc], 64)
    assert coverage.sum() == pytest.approx(np.pi * 15**2, rel=0.02)
    centres = np.arange(64) + 0.5
    assert (coverage.sum(axis=0) @ centres) / coverage.sum() == pytest.approx(30 + shift, abs=0.25)
    assert (coverage.sum(axis=1) @ centres) / coverage.sum() == pytest.approx(26 - shift, abs=0.25)


def test_overlap_of_two_polygons_is_a_hole():
    outer = np.array([[4.0, 4.0], [60.0, 4.0], [60.0, 60.0], [4.0, 60.0]])
    inner = (outer - 32) / 2 + 32
    assert fill([outer, inner], 64)[32, 32] == 0
    assert fill([outer, inner], 64)[8, 8] == 1


def test_edges_of_a_slanted_shape_are_soft():
    triangle = np.array([[5.0, 5.0], [60.0, 20.0], [20.0, 58.0]])
    coverage = fill([triangle], 64)
    assert ((coverage > 0.05) & (coverage < 0.95)).sum() > 20


def test_curve_passes_through_its_controls():
    controls = np.array([[0.0, 0.0], [3.0, 5.0], [8.0, 2.0], [9.0, 9.0]])
    points = curve(controls, 31)
    np.testing.assert_allclose(points[[0, 10, 20, 30]], controls, atol=1e-12)


def test_curve_through_points_of_a_line_is_the_line():
    points = curve(np.linspace([0.0, 1.0], [8.0, 5.0], 5), 17)
    np.testing.assert_allclose(points, np.linspace([0.0, 1.0], [8.0, 5.0], 17), atol=1e-12)


def test_closed_curve_passes_through_its_controls():
    controls = np.array([[10.0, 0.0], [0.0, 10.0], [-10.0, 0.0], [0.0, -10.0]])
    points = closed_curve(controls, 32)
    for control in controls:
        assert np.linalg.norm(points - control, axis=1).min() < 1e-9


def test_stroke_has_its_width():
    points = np.linspace([8.0, 32.0], [56.0, 32.0], 20)
    assert stroke(points, 6.0, 64)[:, 32].sum() == pytest.approx(6, abs=1.1)
    assert len(ribbon(points, 6.0)) == 40


@pytest.mark.parametrize("sigma", [0.1, 1.0, 6.0, 20.0])
def test_blur_keeps_a_flat_picture_and_the_mean(sigma: float):
    flat = np.full((64, 64, 3), 0.3, np.float32)
    np.testing.assert_allclose(blur(flat, sigma), flat, atol=1e-5)
    spot = np.zeros((64, 64), np.float32)
    spot[30:34, 30:34] = 1
    assert blur(spot, min(sigma, 6.0)).sum() == pytest.approx(16, rel=0.02)


def test_wide_blur_looks_like_the_direct_one():
    picture = np.random.default_rng(0).random((128, 128)).astype(np.float32)
    direct = cv2.GaussianBlur(picture, (0, 0), 9, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(blur(picture, 9.0) - direct)[20:-20, 20:-20].max() < 0.02


def test_noise_is_smooth_and_of_about_unit_spread():
    rng = np.random.default_rng(0)
    field = noise(rng, 128, 8)
    assert 0.5 < field.std() < 1.3
    assert np.abs(np.diff(field, axis=0)).mean() < 0.15
    assert fractal_noise(rng, 64, 4, 3, 3).shape == (64, 64, 3)


def test_same_generator_same_noise():
    first, second = (fractal_noise(np.random.default_rng(7), 64, 5, 3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_normals_of_a_slope_face_away_from_its_rise():
    columns = np.broadcast_to(np.arange(32, dtype=np.float32), (32, 32)).copy()
    normals = relief_normals(columns)[16, 16]
    np.testing.assert_allclose(normals, np.array([-1, 0, 1]) / np.sqrt(2), atol=1e-6)
    downwards = relief_normals(columns.T.copy())[16, 16]
    np.testing.assert_allclose(downwards, np.array([0, 1, 1]) / np.sqrt(2), atol=1e-6)


def test_embossed_disc_bulges():
    angles = np.linspace(0, 2 * np.pi, 60)
    disc = fill([32 + 20 * np.stack([np.cos(angles), np.sin(angles)], axis=1)], 64)
    normals = emboss(disc, 8)
    assert normals[32, 14, 0] < -0.2 < 0.2 < normals[32, 50, 0]
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-5)


def test_over_mixes_by_alpha():
    below, alpha = np.zeros((4, 4, 3), np.float32), np.full((4, 4), 0.25, np.float32)
    np.testing.assert_allclose(
        over(below, np.array([1.0, 2.0, 4.0]), alpha)[0, 0], [0.25, 0.5, 1.0], rtol=1e-4
    )


def test_smoothstep_runs_from_zero_to_one():
    np.testing.assert_allclose(smoothstep(2.0, 4.0, np.array([1.0, 2.0, 3.0, 4.0, 5.0])), [0, 0, 0.5, 1, 1])


@pytest.mark.parametrize(
    ("hue", "rgb"), [(0.0, [1, 0, 0]), (1 / 3, [0, 1, 0]), (2 / 3, [0, 0, 1]), (1 / 6, [1, 1, 0])]
)
def test_hsv_of_the_pure_colours(hue: float, rgb: list[int]):
    np.testing.assert_allclose(hsv(hue, 1.0, 1.0), rgb, atol=1e-6)
