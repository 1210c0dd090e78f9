"""From the parameters of a face to its picture."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from occfit.face_model.morphable_model import MorphableModel
from occfit.rendering.camera import Camera, clip_positions, project, to_camera
from occfit.rendering.illumination import shade
from occfit.rendering.normals import vertex_normals
from occfit.rendering.rasterize import Fragments, Rasterizer, interpolate
from occfit.types import FaceParams, Rendering


class FaceRenderer(nn.Module):
    """Draws faces of one model in pictures of one size.

    Everything is computed in float32, also under autocast and for half-precision parameters: a millimetre at
    1000 mm is below bfloat16's resolution. (With a float64 model and parameters it is computed in float64.) The
    gradient is too, if `backward` is called outside autocast, as torch asks.
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
        seen = self._rasterize(vertices)
        image = interpolate(colours, model.triangles, seen)
        landmarks = project(vertices[:, model.landmark_vertices], camera)
        return Rendering(image, seen.covered, landmarks, vertices, normals)

    def _rasterize(self, vertices: Float[Tensor, "b n 3"]) -> Fragments:
        positions, size = clip_positions(vertices, self.camera), self.camera.size
        return self.rasterizer(positions, self.face_model.triangles, size, size)

    def draw(
        self, vertices: Float[Tensor, "b n 3"], values: Float[Tensor, "#b n c"]
    ) -> Float[Tensor, "b c h w"]:
        """Anything that vertices have, such as a mark, as it is seen in their picture; 0 around the face.

        Args:
            vertices: the vertices in the camera's frame, as `Rendering.vertices` has them.
            values: each vertex's value in every face, or in one face for all of them.
        """
        values = values.to(vertices).expand(len(vertices), -1, -1).contiguous()
        return interpolate(values, self.face_model.triangles, self._rasterize(vertices))
