"""From the parameters of a face to its picture."""

import torch
from torch import nn

from occfit.face_model.morphable_model import MorphableModel
from occfit.rendering.camera import Camera, clip_positions, project, to_camera
from occfit.rendering.illumination import shade
from occfit.rendering.normals import vertex_normals
from occfit.rendering.rasterize import Rasterizer, interpolate
from occfit.types import FaceParams, Rendering


class FaceRenderer(nn.Module):
    """Draws faces of one model in pictures of one size.

    Everything is computed in float32, also under autocast and for half-precision parameters: a millimetre at
    1000 mm is below bfloat16's resolution. (Of a float64 model and parameters, in float64.) The gradient is
    too if `backward` is called outside autocast, as torch asks.
    """

    def __init__(self, face_model: MorphableModel, rasterizer: Rasterizer, size: int):
        super().__init__()
        self.face_model = face_model
        self.rasterizer = rasterizer
        self.camera = Camera(size)

    def forward(self, params: FaceParams) -> Rendering:
        with torch.autocast(params.pose.device.type, enabled=False):
            return self._render(params.to(torch.promote_types(params.pose.dtype, torch.float32)))

    def _render(self, params: FaceParams) -> Rendering:
        model, camera = self.face_model, self.camera
        vertices = to_camera(model.vertices(params.shape, params.expression), params.pose)
        normals = vertex_normals(vertices, model.triangles)
        colours = shade(model.albedo(params.albedo), normals, params.illumination)
        seen = self.rasterizer(clip_positions(vertices, camera), model.triangles, camera.size, camera.size)
        image = interpolate(colours, model.triangles, seen)
        landmarks = project(vertices[:, model.landmark_vertices], camera)
        return Rendering(image, seen.covered, landmarks, vertices, normals)
