"""The slow twin of the other rasterizers, for tests: the definitions, one after the other, nothing clever."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from occfit.rendering.rasterize.fragments import Fragments, require_finite, require_vertices

SUBPIXELS = 4096


@dataclass(frozen=True)
class ReferenceRasterizer:
    """Keeps the rules of `Rasterizer` and those of `NumbaRasterizer`, in float64 and exact integers.

    Coverage is computed in Python's unbounded integers, for every pixel and every triangle; the gradient is
    left to autograd. Expect about a millisecond per triangle at 32 x 32.
    """

    def __call__(
        self, positions: Float[Tensor, "b v 4"], triangles: Int[Tensor, "f 3"], height: int, width: int
    ) -> Fragments:
        require_finite(torch.isfinite(positions).flatten(1).all(dim=1))
        require_vertices(triangles, positions.shape[1])
        corners = triangles.long().cpu()
        images = [
            draw(image, corners.numpy(), height, width) for image in positions.detach().double().cpu().numpy()
        ]
        index = (
            torch.from_numpy(np.stack(images)) if images else torch.empty(0, height, width, dtype=torch.int32)
        )
        barycentric = torch.zeros(len(positions), height, width, 3, dtype=torch.float64)
        if len(corners):
            barycentric = barycentrics(positions.double().cpu(), corners, index)
        return Fragments(index.to(positions.device), barycentric.to(positions))


def draw(positions: np.ndarray, triangles: np.ndarray, height: int, width: int) -> np.ndarray:
    """The nearest triangle at each pixel, `h w`, of one image's clip positions, `v 4`."""
    index = np.full((height, width), -1, dtype=np.int32)
    nearest = np.full((height, width), np.inf)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    centres = [(2 * grid + 1).astype(object) * (SUBPIXELS // 2) for grid in (columns, rows)]
    for number, triangle in enumerate(triangles):
        x, y, z, w = positions[triangle].T
        if (w <= 0).any() or (z < -w).any() or (z > w).any():
            continue
        points = [
            (_rounded((1 + x[k] / w[k]) / 2 * width), _rounded((1 - y[k] / w[k]) / 2 * height))
            for k in range(3)
        ]
        inside, weights = cover(points, centres)
        depth = sum(weight * (z[k] / w[k]) for k, weight in enumerate(weights))
        closer = inside & (depth < nearest)
        index[closer], nearest[closer] = number, np.broadcast_to(depth, nearest.shape)[closer]
    return index


def cover(
    points: list[tuple[int, int]], centres: list[np.ndarray]
) -> tuple[np.ndarray, list[np.ndarray] | list[float]]:
    """Which pixel centres belong to a triangle by the top-left rule, and their affine barycentrics."""

    def edge(start, end, x, y):
        return (end[0] - start[0]) * (y - start[1]) - (end[1] - start[1]) * (x - start[0])

    def owns_its_centres(start, end):
        is_left, is_top = end[1] < start[1], end[1] == start[1] and end[0] > start[0]
        return is_left or is_top

    area = edge(points[0], points[1], *points[2])
    if area == 0:
        return np.zeros(centres[0].shape, bool), [0.0, 0.0, 0.0]
    sign = 1 if area > 0 else -1
    inside, weights = np.ones(centres[0].shape, bool), []
    for corner in range(3):
        ends = [points[(corner + 1) % 3], points[(corner + 2) % 3]][::sign]
        value = edge(*ends, *centres)
        inside &= (value > 0) | ((value == 0) & owns_its_centres(*ends))
        weights.append((value / abs(area)).astype(np.float64))
    return inside, weights


def barycentrics(
    positions: Float[Tensor, "b v 4"], triangles: Int[Tensor, "f 3"], index: Int[Tensor, "b h w"]
) -> Float[Tensor, "b h w 3"]:
    """Perspective-correct barycentrics: affine ones in the picture, each over its corner's w, normalised."""
    height, width = index.shape[1:]
    x = (2 * torch.arange(width, dtype=positions.dtype) + 1) / width - 1
    y = (1 - (2 * torch.arange(height, dtype=positions.dtype) + 1) / height).unsqueeze(1)
    images = torch.arange(len(positions)).view(-1, 1, 1, 1)
    corners = positions[images, triangles[index.long().clamp(min=0)]]
    depth = torch.where((index >= 0).unsqueeze(-1), corners[..., 3], 1)
    points = corners[..., :2] / depth.unsqueeze(-1)
    areas = []
    for corner in range(3):
        (ax, ay), (bx, by) = (points[..., (corner + k) % 3, :].unbind(-1) for k in (1, 2))
        areas.append((ax - x) * (by - y) - (ay - y) * (bx - x))
    signed = torch.stack(areas, dim=-1)
    sign = torch.where(signed.sum(-1, keepdim=True) > 0, 1.0, -1.0)
    weights = (signed * sign).clamp(min=0) / depth
    total = weights.sum(-1, keepdim=True)
    weights = torch.where(total > 0, weights / torch.where(total > 0, total, 1), 1 / 3)
    return torch.where((index >= 0).unsqueeze(-1), weights, 0)


def _rounded(pixels: float) -> int:
    return int(np.floor(pixels * SUBPIXELS + 0.5))
