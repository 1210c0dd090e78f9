"""A fitted face as a mesh, and its files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from jaxtyping import Float, Integer

from occfit.errors import OccfitError

SUFFIXES = (".obj", ".ply", ".glb")


@dataclass(frozen=True, eq=False)
class Mesh:
    """A face in the face model's frame: x right, y up, z towards the viewer, without the head's pose.

    Attributes:
        vertices: mm.
        triangles: counter-clockwise seen from outside.
        colours: the skin's albedo at each vertex, without light: RGB in [0, 1], display values (no gamma is
            applied anywhere in the pipeline).
    """

    vertices: Float[np.ndarray, "v 3"]
    triangles: Integer[np.ndarray, "f 3"]
    colours: Float[np.ndarray, "v 3"]

    def export(self, path: str | Path) -> Path:
        """Writes `.obj` or `.ply` (millimetres, display colours) or `.glb` (millimetres, linear colours).

        glTF asks for linear vertex colours, so `.glb` holds them through the inverse of sRGB's transfer
        function, and viewers show the same skin as with the other two formats.

        Raises:
            OccfitError: the suffix is another one, or the file can't be written.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise OccfitError(
                f"A mesh can't be written as '{path.suffix}'", path, f"Use {', '.join(SUFFIXES)}."
            )
        colours = srgb_to_linear(self.colours) if suffix == ".glb" else self.colours
        mesh = trimesh.Trimesh(
            self.vertices,
            self.triangles,
            vertex_colors=np.round(np.clip(colours, 0, 1) * 255).astype(np.uint8),
            process=False,
        )
        try:
            mesh.export(path, file_type=suffix[1:])
        except OSError as error:
            raise OccfitError(
                f"The mesh can't be written: {error.strerror}", path, "Choose a folder that you may write to."
            ) from error
        return path


def srgb_to_linear(colours: Float[np.ndarray, "v 3"]) -> Float[np.ndarray, "v 3"]:
    """sRGB display values in [0, 1] as linear light (IEC 61966-2-1)."""
    clipped = np.clip(colours, 0, 1)
    return np.where(clipped <= 0.04045, clipped / 12.92, ((clipped + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )
