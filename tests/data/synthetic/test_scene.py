import numpy as np
import pytest
import torch

from occfit.data.synthetic.faces import Face
from occfit.data.synthetic.priors import (
    JAW,
    LOWER_LIP,
    Setting,
    ambient,
    draw_expression,
    draw_light,
    draw_rotation,
    illumination_parameters,
    lamp,
)
from occfit.data.synthetic.scene import Layer, cast_shadow, harmonics, unit
from occfit.rendering.camera import Camera, project, to_camera
from occfit.rendering.illumination import light_coefficients, shade, spherical_harmonics
from occfit.types import FaceParams

pytestmark = pytest.mark.unit


def directions(count: int) -> np.ndarray:
    return unit(np.random.default_rng(0).standard_normal((1, count, 3)).astype(np.float32))


def test_harmonics_are_the_renderers():
    normals = directions(50)
    expected = spherical_harmonics(torch.from_numpy(normals))[0].numpy()
    np.testing.assert_allclose(harmonics(normals)[:, 0].T, expected, atol=1e-5)


def test_painters_and_renderer_see_the_same_light(faces: list[Face]):
    normals = directions(40)
    for face in faces[:4]:
        illumination = FaceParams.from_vector(torch.from_numpy(face.params[None])).illumination
        expected = shade(torch.ones(1, 40, 3), torch.from_numpy(normals), illumination)[0].numpy()
        np.testing.assert_allclose(face.scene.shade(normals)[0], expected, atol=1e-4)


def test_painters_and_renderer_share_a_camera(faces: list[Face]):
    for face in faces[:4]:
        pose = FaceParams.from_vector(torch.from_numpy(face.params[None])).pose
        vertices = to_camera(torch.from_numpy(face.scene.points[None]), pose)
        expected = project(vertices, Camera(face.scene.size))[0].numpy()
        np.testing.assert_allclose(face.scene.landmarks, expected, atol=0.01)


def test_light_survives_its_parameters():
    light = draw_light(np.random.default_rng(0), Setting.WILD)
    parameters = torch.from_numpy(illumination_parameters(light))[None]
    np.testing.assert_allclose(light_coefficients(parameters)[0].T.numpy(), light, atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "low", "high"),
    [(Setting.STUDIO, 0.9, 1.5), (Setting.WILD, 0.7, 1.9), (Setting.VARIED, 0.5, 2.2)],
)
def test_faces_are_neither_black_nor_burnt(setting: Setting, low: float, high: float):
    lambert = np.array([1.0] + [2 / 3] * 3 + [1 / 4] * 5)
    front = harmonics(np.array([0.0, 0.0, 1.0])) * lambert
    for seed in range(200):
        rng = np.random.default_rng(seed)
        shading = (front @ draw_light(rng, setting)).mean()
        assert low < shading < high


def test_studio_light_and_pose_are_calmer():
    def spread(setting: Setting) -> float:
        angles = [draw_rotation(np.random.default_rng(seed), setting) for seed in range(200)]
        return float(np.abs(angles)[:, 1].mean())

    assert spread(Setting.STUDIO) < 0.5 * spread(Setting.WILD)
    limits = [np.abs(draw_rotation(np.random.default_rng(seed), Setting.WILD)) for seed in range(300)]
    assert np.degrees(np.max(limits, axis=0)) == pytest.approx([18, 35, 15], abs=4)
    turned = [np.abs(draw_rotation(np.random.default_rng(seed), Setting.VARIED))[1] for seed in range(300)]
    assert np.degrees(np.max(turned)) == pytest.approx(50, abs=4)


def test_mouths_open_where_the_setting_is_varied():
    """Far enough to show teeth, in a third of the pictures or more; seldom elsewhere."""

    def opening(setting: Setting) -> float:
        drawn = np.array([draw_expression(np.random.default_rng(seed), setting) for seed in range(300)])
        return float(np.mean(drawn[:, JAW] + drawn[:, LOWER_LIP] / 2 > 1.2))

    assert opening(Setting.VARIED) > 0.33 > 2 * opening(Setting.WILD)


def test_a_lamp_lights_the_side_it_stands_on():
    right = np.array([1.0, 0.0, 0.0])
    coefficients = lamp(right, np.ones(3)) * np.array([1.0] + [2 / 3] * 3 + [1 / 4] * 5)[:, None]
    assert (harmonics(right) @ coefficients)[0] > 0.8
    assert abs((harmonics(-right) @ coefficients)[0]) < 0.1
    assert (harmonics(right) @ ambient(np.full(3, 0.6)))[0] == pytest.approx(0.6, rel=1e-5)


def test_shadow_falls_away_from_the_light(faces: list[Face]):
    from dataclasses import replace

    light = (lamp(unit(np.array([[[1.0, 0.0, 1.0]]], np.float32))[0, 0], np.ones(3))).astype(np.float32)
    scene = replace(faces[0].scene, light=light)
    alpha = np.zeros((scene.size, scene.size), np.float32)
    alpha[54:74, 54:74] = 1
    picture = np.zeros((scene.size, scene.size, 3), np.float32)
    shadow = cast_shadow(scene, Layer(picture, alpha, 20.0), 0.8)
    columns = np.arange(scene.size) + 0.5
    centre = (shadow.sum(axis=0) * columns).sum() / shadow.sum()
    assert centre < 62
    assert 0 <= shadow.min() <= shadow.max() <= 0.85
