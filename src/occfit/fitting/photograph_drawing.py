"""A fitted face as its user wants it: drawn on the photograph's pixels, and as a mesh."""

import math

import numpy as np

from occfit.data.alignment import Alignment
from occfit.data.similarity import warp
from occfit.face_model.morphable_model import MorphableModel
from occfit.fitting.mesh import Mesh
from occfit.fitting.pictures import Picture, Region
from occfit.rendering.renderer import FaceRenderer
from occfit.types import FaceParams

LARGEST_RENDERING = 1024


def render_on_photo(
    renderer: FaceRenderer, params: FaceParams, alignment: Alignment, shape: tuple[int, int]
) -> tuple[Picture, Region]:
    """The face on a photograph's pixels, black around it, and its region there.

    It is rendered again at about the photograph's own resolution, up to `LARGEST_RENDERING` pixels.

    Args:
        renderer: draws aligned pictures.
        params: one face, in the aligned picture.
        shape: the photograph's height and width.
    """
    size = renderer.camera.size
    pixels_per_pixel = math.sqrt(abs(np.linalg.det(alignment.inverse[:, :2])))
    factor = max(1, min(math.ceil(pixels_per_pixel), LARGEST_RENDERING // size))
    larger = FaceRenderer(renderer.face_model, renderer.rasterizer, size * factor)(params)
    to_photo = alignment.inverse * np.array([1 / factor, 1 / factor, 1])
    coverage = warp(larger.face_region[0, 0].cpu().numpy(), to_photo, shape)
    colours = warp(larger.image[0].permute(1, 2, 0).contiguous().cpu().numpy(), to_photo, shape)
    region = coverage > 0.5
    picture = np.zeros((*shape, 3), np.uint8)
    unmixed = colours[region] / coverage[region, None]  # from the black around the face
    picture[region] = np.round(np.clip(unmixed, 0, 1) * 255)
    return picture, region


def mesh_of(model: MorphableModel, params: FaceParams) -> Mesh:
    """One face as a mesh, without its pose and its light."""
    return Mesh(
        vertices=model.vertices(params.shape, params.expression)[0].cpu().numpy(),
        triangles=model.triangles.cpu().numpy(),
        colours=model.albedo(params.albedo)[0].clamp(0, 1).cpu().numpy(),
    )
