"""A small stand-in for a face: half an ellipsoid, 160 x 200 x 80 mm, bulging towards the viewer."""

import math

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from occfit.face_model.morphable_model import MorphableModel


def cap_mesh(rings: int, sectors: int) -> tuple[Float[Tensor, "v 3"], Int[Tensor, "f 3"]]:
    """Half an ellipsoid, apex at (0, 0, 80), open at the back; triangles counter-clockwise from outside."""
    polar = torch.arange(1, rings + 1, dtype=torch.float64).view(-1, 1) / rings * math.pi / 2
    around = torch.arange(sectors, dtype=torch.float64).view(1, -1) / sectors * 2 * math.pi
    x, y = 80 * polar.sin() * around.cos(), 100 * polar.sin() * around.sin()
    rim = torch.stack([x, y, 80 * polar.cos().expand_as(x)], dim=-1).flatten(0, 1)
    vertices = torch.cat([rim.new_tensor([[0.0, 0.0, 80.0]]), rim])
    here, after = torch.arange(sectors), (torch.arange(sectors) + 1) % sectors
    triangles = [torch.stack([torch.zeros_like(here), 1 + here, 1 + after], dim=1)]
    for ring in range(rings - 1):
        inner, outer = 1 + ring * sectors, 1 + (ring + 1) * sectors
        triangles.append(torch.stack([inner + here, outer + here, outer + after], dim=1))
        triangles.append(torch.stack([inner + here, outer + after, inner + after], dim=1))
    return vertices, torch.cat(triangles).int()


def cap_model(rings: int = 12, sectors: int = 24, seed: int = 0) -> MorphableModel:
    """The half ellipsoid with smooth random bases of the usual sizes."""
    vertices, triangles = cap_mesh(rings, sectors)
    random = torch.Generator().manual_seed(seed)

    def smooth_basis(count: int, scale: float) -> Float[Tensor, "v 3 k"]:
        waves = torch.randn(3, 3 * count, generator=random, dtype=torch.float64) / 40
        phases = torch.rand(3 * count, generator=random, dtype=torch.float64) * 2 * math.pi
        return scale * torch.sin(vertices @ waves + phases).unflatten(1, (3, count))

    landmarks = torch.linspace(0, len(vertices) - 1, 68).long()
    bases = smooth_basis(80, 0.5), smooth_basis(64, 0.5)
    mean_albedo = torch.tensor([0.7, 0.5, 0.4]).expand(len(vertices), 3)
    return MorphableModel("cap", vertices, *bases, mean_albedo, smooth_basis(80, 0.01), triangles, landmarks)


@pytest.fixture(scope="session")
def model() -> MorphableModel:
    return cap_model()


@pytest.fixture(scope="session")
def mesh() -> tuple[Float[Tensor, "v 3"], Int[Tensor, "f 3"]]:
    """A coarse half ellipsoid in float64."""
    return cap_mesh(4, 9)
