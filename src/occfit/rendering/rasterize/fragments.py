"""What a rasterizer is, and what it returns."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

from occfit.errors import OccfitError


@dataclass(frozen=True)
class Fragments:
    """What is seen at the centre of each pixel.

    Attributes:
        triangle_index: the nearest triangle, -1 = background. Row 0 is the picture's top. Not differentiable.
        barycentric: perspective-correct weights of the triangle's three corners, in the order in which it
            lists them; they lie in [0, 1] and sum to 1, or are zeros in the background. Differentiable with
            respect to the positions; a silhouette's motion is not seen by the gradient.
    """

    triangle_index: Int[Tensor, "b h w"]
    barycentric: Float[Tensor, "b h w 3"]

    @property
    def covered(self) -> Float[Tensor, "b 1 h w"]:
        """1 where a triangle is seen, 0 in the background."""
        return (self.triangle_index >= 0).unsqueeze(1).to(self.barycentric.dtype)


@runtime_checkable
class Rasterizer(Protocol):
    """Finds the triangle at each pixel. All implementations keep these rules.

    - Positions are homogeneous, in OpenGL's clip space: after division by w, x and y run from -1 to 1 over
      the picture (right and up), z from -1 (near) to 1 (far).
    - Pixel centres lie at +0.5; row 0 is the top. Both sides of a triangle are drawn, the nearest wins.
    - A pixel centre on an edge that two triangles share belongs to exactly one of them (the top-left rule).
    - Triangles without area draw nothing. A triangle that leaves the picture is cut at its border.
    - A position that is not finite raises `OccfitError`, as do triangles of vertices that don't exist.
    """

    def __call__(
        self, positions: Float[Tensor, "b v 4"], triangles: Int[Tensor, "f 3"], height: int, width: int
    ) -> Fragments: ...


def require_finite(finite: Bool[Tensor, " b"]) -> None:
    """Raises `OccfitError` that names the first sample whose positions are not all finite."""
    if not bool(finite.all()):
        sample = int((~finite).nonzero()[0])
        raise OccfitError(
            "A vertex position is not finite",
            f"sample {sample} of the batch",
            "Look for NaN in the face parameters: a diverged network or a broken face model makes them",
        )


def require_triangles(index: Int[Tensor, "b h w"], count: int) -> None:
    """Raises `OccfitError` unless all pixels show triangles in `range(count)` or the background."""
    if index.numel() and int(index.max()) >= count:
        raise OccfitError(
            "A pixel shows a triangle that does not exist",
            f"triangle {int(index.max())} of {count}",
            "Give the triangles that were rasterized",
        )


def require_vertices(triangles: Int[Tensor, "f 3"], count: int) -> None:
    """Raises `OccfitError` unless all triangles are of vertices in `range(count)`."""
    if triangles.numel() and (int(triangles.min()) < 0 or int(triangles.max()) >= count):
        raise OccfitError(
            "A triangle is of a vertex that does not exist",
            f"{int(triangles.min())}..{int(triangles.max())} for {count} vertices",
            "Give the triangles that belong to these vertices",
        )
