"""Where a point of the face lands in the picture.

    model frame --to_camera--> camera frame --clip_positions--> clip space --(rasterizer)--> pixels
                                            --project---------------------------------------> pixels

Both frames: x right (of the picture), y up, z towards the viewer, millimetres. The camera is the origin of
its frame and looks along -z. Pixels: x right, y down, the centre of the first one is (0.5, 0.5).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

STANDARD_DISTANCE = 1000.0
"""Millimetres between the camera and the model's origin when the pose is zero."""

FOCAL_PER_SIZE = 9.06 / 2
"""Focal length over the picture's side: 1014.72 px at 224 px, as in the paper."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with square pictures and the principal point in their middle.

    Attributes:
        size: the picture's side in pixels.
        near: a distance in millimetres; a rasterizer drops every triangle with a vertex nearer than this.
        far: a distance in millimetres; a rasterizer drops every triangle with a vertex farther than this.
    """

    size: int
    near: float = 100.0
    far: float = 10_000.0

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return FOCAL_PER_SIZE * self.size

    @property
    def centre(self) -> float:
        """Both coordinates of the principal point in pixels."""
        return self.size / 2


def rotation_matrix(angles: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    """`Rx(a) @ Ry(b) @ Rz(c)` for the angles (a, b, c) in radians, each right-handed about its axis.

    Positive a nods the face down, positive b turns its nose to the picture's right, positive c rolls it
    counter-clockwise as seen in the picture.
    """
    (sx, sy, sz), (cx, cy, cz) = torch.sin(angles).unbind(1), torch.cos(angles).unbind(1)
    rows = [
        [cy * cz, -cy * sz, sy],
        [cx * sz + sx * sy * cz, cx * cz - sx * sy * sz, -sx * cy],
        [sx * sz - cx * sy * cz, sx * cz + cx * sy * sz, cx * cy],
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def to_camera(vertices: Float[Tensor, "b v 3"], pose: Float[Tensor, "b 6"]) -> Float[Tensor, "b v 3"]:
    """Moves points from the model's frame to the camera's: `R(pose[:3]) v + pose[3:] + (0, 0, -1000)`."""
    standard = pose.new_tensor([0.0, 0.0, -STANDARD_DISTANCE])
    return torch.baddbmm((pose[:, 3:] + standard).unsqueeze(1), vertices, rotation_matrix(pose[:, :3]).mT)


def project(camera_vertices: Float[Tensor, "b v 3"], camera: Camera) -> Float[Tensor, "b v 2"]:
    """Pixel coordinates of points in front of the camera; the result has no meaning for points behind it."""
    x, y, z = camera_vertices.unbind(-1)
    scale = camera.focal / -z
    return torch.stack([camera.centre + x * scale, camera.centre - y * scale], dim=-1)


def clip_positions(camera_vertices: Float[Tensor, "b v 3"], camera: Camera) -> Float[Tensor, "b v 4"]:
    """Homogeneous positions (x, y, z, w) in OpenGL's clip space.

    w is the distance along the viewing direction in mm. After division by w, x and y run from -1 to 1 over
    the picture (right, up), z from -1 on the near plane to 1 on the far plane.
    """
    x, y, z = camera_vertices.unbind(-1)
    near, far = camera.near, camera.far
    scale = 2 * FOCAL_PER_SIZE
    depth = -(far + near) / (far - near) * z - 2 * far * near / (far - near)
    return torch.stack([scale * x, scale * y, depth, -z], dim=-1)
