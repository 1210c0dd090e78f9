"""What travels through the pipeline: a batch of photographs, the parameters of their faces, a rendering.

Conventions, the same everywhere:

- Images are RGB in [0, 1], `b 3 h w`.
- Pixel coordinates are continuous, x right and y down; the centre of the first pixel is (0.5, 0.5).
- Lengths are millimetres. The model's frame and the camera's frame share their axes: x right, y up, z towards
  the viewer. The camera is the origin of its frame and looks along -z.
- Masks are float, 1 = visible face (or 1 = inside the region), `b 1 h w`.
"""

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

PARAMETER_SIZES = {"shape": 80, "expression": 64, "albedo": 80, "pose": 6, "illumination": 27}
PARAMETER_COUNT = sum(PARAMETER_SIZES.values())

Image = Float[Tensor, "b 3 h w"]
Mask = Float[Tensor, "b 1 h w"]
Landmarks = Float[Tensor, "b 68 2"]


Batched = TypeVar("Batched", bound="_Batched")
"""Written out instead of `Self`, which beartype can't check in a class that isn't a dataclass."""


class _Batched:
    """A frozen dataclass of tensors that share their first dimension."""

    def _map(self: Batched, function) -> Batched:
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return replace(self, **{k: v if v is None else function(v) for k, v in values.items()})  # type: ignore[type-var]

    def to(self: Batched, *args, **kwargs) -> Batched:
        return self._map(lambda value: value.to(*args, **kwargs))

    def detach(self: Batched) -> Batched:
        return self._map(lambda value: value.detach())

    def __getitem__(self: Batched, index) -> Batched:
        """The samples at `index`, a slice or an index tensor (never an int: the batch dimension stays)."""
        return self._map(lambda value: value[index])

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))  # type: ignore[arg-type]


@dataclass(frozen=True)
class FaceParams(_Batched):
    """The 257 parameters of a face in a photograph. All zeros is the mean face, frontal, 1000 mm away, in white light.

    Attributes:
        shape: the identity's shape, in standard deviations of the face model.
        expression: the expression, in standard deviations of the face model.
        albedo: the albedo, in standard deviations of the face model.
        pose: Euler angles x, y, z in radians, then a translation in mm added to the standard one (0, 0, -1000).
        illumination: 9 spherical-harmonics coefficients of R, then of G, then of B, added to the standard
            white ambient light.
    """

    shape: Float[Tensor, "b s"]
    expression: Float[Tensor, "b e"]
    albedo: Float[Tensor, "b a"]
    pose: Float[Tensor, "b 6"]
    illumination: Float[Tensor, "b 27"]

    @classmethod
    def from_vector(cls, vector: Float[Tensor, "b 257"]) -> "FaceParams":
        """Splits the paper's theta: shape 80, expression 64, albedo 80, pose 6, illumination 27."""
        return cls(*vector.split(list(PARAMETER_SIZES.values()), dim=1))

    def to_vector(self) -> Float[Tensor, "b p"]:
        return torch.cat([self.shape, self.expression, self.albedo, self.pose, self.illumination], dim=1)

    @classmethod
    def zeros(cls, batch: int, **kwargs) -> "FaceParams":
        return cls.from_vector(torch.zeros(batch, PARAMETER_COUNT, **kwargs))


@dataclass(frozen=True)
class Rendering(_Batched):
    """What the face model explains of a photograph.

    Attributes:
        image: the rendered face on black.
        face_region: the paper's Phi, 1 where the model projects. Not differentiable.
        landmarks: the model's 68 iBUG points, in pixels.
        vertices: points in the camera's frame, in mm.
        normals: unit vectors in the camera's frame, pointing out of the face.
    """

    image: Float[Tensor, "b 3 h w"]
    face_region: Float[Tensor, "b 1 h w"]
    landmarks: Float[Tensor, "b 68 2"]
    vertices: Float[Tensor, "b v 3"]
    normals: Float[Tensor, "b v 3"]


@dataclass(frozen=True)
class FaceBatch(_Batched):
    """Aligned photographs and what is known of them.

    Attributes:
        image: the photographs.
        landmarks: 68 iBUG points, in pixels of `image`.
        index: each sample's position in its store.
        visibility: the true mask, 1 = visible face over the whole image; None where nobody knows it.
        known: the pixels of `visibility` that somebody knows, 1 = known, None where all are. Others are 0 in it.
        params: the true `FaceParams` as a vector; None where nobody knows them.
        held_out: True where an occluder kind or texture occurs only in test sets; None where it has no meaning.
        face_region: the true region of the whole face, its hidden parts included; None where nobody knows it.
    """

    image: Float[Tensor, "b 3 h w"]
    landmarks: Float[Tensor, "b 68 2"]
    index: Int[Tensor, " b"]
    visibility: Float[Tensor, "b 1 h w"] | None = None
    params: Float[Tensor, "b 257"] | None = None
    held_out: Bool[Tensor, " b"] | None = None
    face_region: Float[Tensor, "b 1 h w"] | None = None
    known: Float[Tensor, "b 1 h w"] | None = None

    def known_pixels(self) -> Mask:
        """Where the true mask is known, 1 = known: nowhere without one."""
        if self.visibility is None:
            return torch.zeros_like(self.image[:, :1])
        return torch.ones_like(self.visibility) if self.known is None else (self.known > 0.5).float()


@dataclass(frozen=True)
class Explanation:
    """What a system makes of a batch of aligned photographs.

    Attributes:
        params: the parameters that were found.
        rendering: the picture of these parameters.
        visibility: the probability that a pixel shows the face.
    """

    params: FaceParams
    rendering: Rendering
    visibility: Mask

    def __getitem__(self, index: slice) -> "Explanation":
        return Explanation(self.params[index], self.rendering[index], self.visibility[index])

    def to(self, device: str) -> "Explanation":
        return Explanation(self.params.to(device), self.rendering.to(device), self.visibility.to(device))
