"""Crops of faces as recognition networks want them: five points moved to a template by a similarity.

Everything is computed per component in the landmarks' precision: autocast can't round coordinates to bf16.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from occfit.types import Landmarks

Points = Float[Tensor, "b n 2"]
Similarity = Float[Tensor, "b 2 3"]

_ARCFACE_112 = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


def five_points(landmarks: Landmarks) -> Float[Tensor, "b 5 2"]:
    """The eyes' centres (the picture's left one first), the tip of the nose, the corners of the mouth."""
    left, right = landmarks[:, 36:42].mean(dim=1), landmarks[:, 42:48].mean(dim=1)
    return torch.stack([left, right, landmarks[:, 30], landmarks[:, 48], landmarks[:, 54]], dim=1)


def five_point_template(size: int, zoom: float = 1.0) -> Float[Tensor, "5 2"]:
    """ArcFace's five points in a square crop of `size` pixels, in pixel coordinates.

    They were published for 112 px with pixel centres at whole numbers; here a pixel's centre is at +0.5.

    Args:
        size: the crop's side in pixels.
        zoom: the factor by which the face is enlarged about the crop's centre.
    """
    unit = (torch.tensor(_ARCFACE_112) + 0.5) / 112 - 0.5
    return (unit * zoom + 0.5) * size


def similarity_transform(source: Points, target: Float[Tensor, "n 2"]) -> Similarity:
    """The similarity [[a, -b, tx], [b, a, ty]] that moves `source` nearest to `target` (least squares).

    In the plane that is one complex quotient, never a reflection: a + ib = sum conj(s) t / sum |s|^2 over
    the centred points s and t.
    """
    source_centre, target_centre = source.mean(dim=1), target.mean(dim=0)
    s, t = source - source_centre[:, None], target - target_centre
    norm = s.square().sum(dim=(1, 2))
    a = (s * t).sum(dim=(1, 2)) / norm
    b = (s[..., 0] * t[..., 1] - s[..., 1] * t[..., 0]).sum(dim=1) / norm
    x, y = source_centre.unbind(1)
    shift_x, shift_y = target_centre[0] - a * x + b * y, target_centre[1] - b * x - a * y
    return torch.stack([torch.stack([a, -b, shift_x], dim=1), torch.stack([b, a, shift_y], dim=1)], dim=1)


def invert_similarity(matrix: Similarity) -> Similarity:
    a, b, x, y = matrix[:, 0, 0], matrix[:, 1, 0], matrix[:, 0, 2], matrix[:, 1, 2]
    norm = a.square() + b.square()
    a, b = a / norm, -b / norm
    rows = [torch.stack([a, -b, b * y - a * x], dim=1), torch.stack([b, a, -b * x - a * y], dim=1)]
    return torch.stack(rows, dim=1)


def apply_similarity(matrix: Similarity, points: Points) -> Points:
    x, y = points[..., 0:1], points[..., 1:2]
    return x * matrix[:, None, :, 0] + y * matrix[:, None, :, 1] + matrix[:, None, :, 2]


def warp(image: Float[Tensor, "b c h w"], matrix: Similarity, size: int) -> Float[Tensor, "b c s s"]:
    """A square crop whose point matrix @ p shows the image's point p, bilinear; black outside the image.

    Differentiable with respect to the image and the matrix. On CUDA the image's gradient is not deterministic
    in its last bits (`grid_sample` adds it up atomically).
    """
    height, width = image.shape[-2:]
    centres = torch.arange(size, dtype=matrix.dtype, device=matrix.device) + 0.5
    grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1).reshape(1, size * size, 2)
    points = apply_similarity(invert_similarity(matrix), grid.expand(len(image), -1, -1))
    extent = torch.tensor([width, height], dtype=matrix.dtype, device=matrix.device)
    normalised = (2 * points / extent - 1).view(len(image), size, size, 2)
    with torch.autocast(image.device.type, enabled=False):
        return F.grid_sample(image.to(matrix.dtype), normalised, mode="bilinear", align_corners=False)


def warp_to_template(
    image: Float[Tensor, "b c h w"], landmarks: Landmarks, template: Float[Tensor, "5 2"], size: int
) -> Float[Tensor, "b c s s"]:
    """The crop of `size` pixels whose five points lie on `template`, as well as a similarity can."""
    return warp(image, similarity_transform(five_points(landmarks), template.to(landmarks)), size)
