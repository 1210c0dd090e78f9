"""A face model of 70 random vertices, for what doesn't need a face."""

import torch

from occfit.face_model.morphable_model import MorphableModel


def small_model(
    seed: int = 0, uv: bool = False, shape: int = 4, expression: int = 3, albedo: int = 5
) -> MorphableModel:
    random = torch.Generator().manual_seed(seed)
    count = 70
    return MorphableModel(
        "small",
        mean_shape=torch.randn(count, 3, generator=random),
        shape_basis=torch.randn(count, 3, shape, generator=random),
        expression_basis=torch.randn(count, 3, expression, generator=random),
        mean_albedo=torch.rand(count, 3, generator=random),
        albedo_basis=torch.randn(count, 3, albedo, generator=random),
        triangles=torch.arange(60).reshape(20, 3).int(),
        landmark_vertices=torch.arange(68),
        uv=torch.rand(count, 2, generator=random) if uv else None,
    )
