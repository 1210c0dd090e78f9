import math

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from occfit.rendering.illumination import (
    HARMONIC_FACTORS,
    LAMBERT_FACTORS,
    STANDARD_AMBIENT,
    light_coefficients,
    shade,
    shade_torch,
    spherical_harmonics,
)

pytestmark = pytest.mark.unit


def directions(polar: np.ndarray, azimuth: np.ndarray) -> torch.Tensor:
    x, y = np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth)
    return torch.from_numpy(np.stack([x, y, np.cos(polar)], axis=-1)).unsqueeze(0)


def sphere_quadrature(polar: int = 64, azimuth: int = 128) -> tuple[torch.Tensor, torch.Tensor]:
    """Directions and weights that integrate smooth functions over the sphere."""
    cosines, weights = np.polynomial.legendre.leggauss(polar)
    angles = (np.arange(azimuth) + 0.5) / azimuth * 2 * np.pi
    grid = np.meshgrid(np.arccos(cosines), angles, indexing="ij")
    return directions(grid[0].ravel(), grid[1].ravel()), torch.from_numpy(
        np.repeat(weights, azimuth) * 2 * np.pi / azimuth
    )


@pytest.fixture
def scene(generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Albedo, unit normals, illumination of two faces; more vertices than one block of the kernel."""
    albedo = torch.rand(2, 45, 3, generator=generator, dtype=torch.float64)
    normals = torch.randn(2, 45, 3, generator=generator, dtype=torch.float64)
    light = torch.randn(2, 27, generator=generator, dtype=torch.float64)
    return albedo, torch.nn.functional.normalize(normals, dim=-1), light


def convolved(illumination: torch.Tensor) -> torch.Tensor:
    return light_coefficients(illumination) * illumination.new_tensor(LAMBERT_FACTORS)


def test_harmonics_are_scipys():
    random = np.random.default_rng(0)
    polar, azimuth = random.uniform(0, np.pi, 50), random.uniform(0, 2 * np.pi, 50)
    expected = []
    for degree in range(3):
        for order in range(-degree, degree + 1):
            value = sph_harm_y(degree, abs(order), polar, azimuth) * (-1) ** order
            scale = 1 if order == 0 else math.sqrt(2)
            expected.append(scale * (value.imag if order < 0 else value.real))
    ours = spherical_harmonics(directions(polar, azimuth))
    assert np.allclose(ours[0].numpy(), np.stack(expected, axis=-1), atol=1e-12)


def test_harmonics_are_orthonormal():
    points, weights = sphere_quadrature()
    values = spherical_harmonics(points)[0]
    assert torch.allclose(
        values.T @ (weights[:, None] * values), torch.eye(9, dtype=torch.float64), atol=1e-10
    )


def test_shading_is_the_irradiance_over_pi(scene):
    _, normals, light = scene
    points, weights = sphere_quadrature(400, 400)
    radiance = spherical_harmonics(points) @ light_coefficients(light).mT
    cosines = (normals @ points[0].T).clamp(min=0)
    expected = cosines @ (radiance * weights[:, None]) / math.pi
    ours = shade(torch.ones_like(normals), normals, light)
    assert torch.allclose(ours, expected, atol=2e-4)


def test_zero_parameters_are_white_ambient_light(scene):
    albedo, normals, light = scene
    colours = shade(albedo, normals, torch.zeros_like(light))
    assert torch.allclose(colours, albedo * STANDARD_AMBIENT / math.sqrt(4 * math.pi))


def test_each_colour_has_its_nine_coefficients(scene):
    albedo, normals, light = scene
    changed = light.clone()
    changed[:, 9:18] += 1
    difference = (shade(albedo, normals, changed) - shade(albedo, normals, light)).abs().amax(dim=(0, 1))
    assert difference[1] > 0.1
    assert difference[0] == difference[2] == 0


@pytest.mark.parametrize(
    ("coefficient", "bright"),
    [(3, (1, 0, 0)), (1, (0, 1, 0)), (2, (0, 0, 1))],
    ids=["right", "above", "viewer"],
)
def test_light_comes_from_where_the_docstring_says(coefficient, bright):
    light = torch.zeros(1, 27)
    light[:, coefficient::9] = 1
    lit = torch.tensor(bright, dtype=torch.float32)
    colours = shade(torch.ones(1, 2, 3), torch.stack([lit, -lit]).unsqueeze(0), light)
    assert (colours[0, 0] > colours[0, 1]).all()


def test_kernel_and_torch_agree(scene):
    inputs = [tensor.requires_grad_() for tensor in scene]
    ours = shade(*inputs)
    theirs = shade_torch(inputs[0], inputs[1], convolved(inputs[2]))
    assert torch.allclose(ours, theirs, atol=1e-12)
    weights = torch.rand_like(ours)
    gradients = [torch.autograd.grad(colours, inputs, weights) for colours in (ours, theirs)]
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_gradients(scene):
    inputs = [tensor[:1, :34].clone().requires_grad_() for tensor in scene[:2]]
    assert torch.autograd.gradcheck(shade, (*inputs, scene[2][:1].clone().requires_grad_()), fast_mode=True)


def test_float32_is_close_to_float64(scene):
    single = shade(*(tensor.float() for tensor in scene))
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), shade(*scene), atol=1e-5)


def test_nothing_to_shade():
    assert shade(torch.ones(0, 5, 3), torch.ones(0, 5, 3), torch.ones(0, 27)).shape == (0, 5, 3)
    assert shade(torch.ones(2, 0, 3), torch.ones(2, 0, 3), torch.ones(2, 27)).shape == (2, 0, 3)


def test_factors_belong_to_one_harmonic_each():
    assert len(HARMONIC_FACTORS) == len(LAMBERT_FACTORS) == 9
