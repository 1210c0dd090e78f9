"""A linear model of 3D faces: identity and expression move its vertices, albedo colours them."""

import hashlib

from jaxtyping import Float, Int
from torch import Tensor, nn


class MorphableModel(nn.Module):
    """Mean face, bases and triangles, as float32 buffers; it has no trainable weights and no checkpoint entries.

    The bases are already multiplied by their standard deviations, so parameters are standard normal and all
    zeros is the mean face.

    Args:
        name: the model's name in messages and files.
        mean_shape: the mean vertices in mm, x right, y up, z towards the viewer (out of the face).
        shape_basis: displacements in mm per standard deviation of identity.
        expression_basis: displacements in mm per standard deviation of expression.
        mean_albedo: RGB reflectance in [0, 1].
        albedo_basis: RGB per standard deviation.
        triangles: vertex indices, counter-clockwise seen from outside.
        landmark_vertices: the vertex of each of the 68 iBUG landmarks.
        uv: texture coordinates in [0, 1]^2, if the model has any.
    """

    mean_shape: Float[Tensor, "v 3"]
    shape_basis: Float[Tensor, "v 3 s"]
    expression_basis: Float[Tensor, "v 3 e"]
    mean_albedo: Float[Tensor, "v 3"]
    albedo_basis: Float[Tensor, "v 3 a"]
    triangles: Int[Tensor, "f 3"]
    landmark_vertices: Int[Tensor, " 68"]
    uv: Float[Tensor, "v 2"] | None

    def __init__(
        self,
        name: str,
        mean_shape: Float[Tensor, "v 3"],
        shape_basis: Float[Tensor, "v 3 s"],
        expression_basis: Float[Tensor, "v 3 e"],
        mean_albedo: Float[Tensor, "v 3"],
        albedo_basis: Float[Tensor, "v 3 a"],
        triangles: Int[Tensor, "f 3"],
        landmark_vertices: Int[Tensor, " 68"],
        uv: Float[Tensor, "v 2"] | None = None,
    ):
        super().__init__()
        self.name = name
        buffers = {
            "mean_shape": mean_shape.float(),
            "shape_basis": shape_basis.float(),
            "expression_basis": expression_basis.float(),
            "mean_albedo": mean_albedo.float(),
            "albedo_basis": albedo_basis.float(),
            "triangles": triangles.int(),
            "landmark_vertices": landmark_vertices.long(),
            "uv": None if uv is None else uv.float(),
        }
        for key, value in buffers.items():
            self.register_buffer(key, None if value is None else value.contiguous(), persistent=False)

    @property
    def sizes(self) -> dict[str, int]:
        """How many parameters of each kind the model takes, keyed like `PARAMETER_SIZES`."""
        bases = {"shape": self.shape_basis, "expression": self.expression_basis, "albedo": self.albedo_basis}
        return {kind: basis.shape[-1] for kind, basis in bases.items()}

    def vertices(
        self, shape: Float[Tensor, "b s"], expression: Float[Tensor, "b e"]
    ) -> Float[Tensor, "b v 3"]:
        """Vertex positions in the model's frame, in mm."""
        offsets = (
            shape @ self.shape_basis.flatten(0, 1).T + expression @ self.expression_basis.flatten(0, 1).T
        )
        return self.mean_shape + offsets.unflatten(1, (-1, 3))

    def albedo(self, albedo: Float[Tensor, "b a"]) -> Float[Tensor, "b v 3"]:
        """Each vertex's RGB reflectance; a linear model, so unlikely parameters can leave [0, 1]."""
        return self.mean_albedo + (albedo @ self.albedo_basis.flatten(0, 1).T).unflatten(1, (-1, 3))

    def digest(self) -> str:
        """SHA-256 of the arrays, as hex: equal if and only if the same parameters mean the same face."""
        sha = hashlib.sha256()
        for key, value in sorted(self.named_buffers()):
            array = value.detach().cpu().numpy()
            sha.update(f"{key}{array.dtype.str}{array.shape}".encode())
            sha.update(array.tobytes())
        return sha.hexdigest()
