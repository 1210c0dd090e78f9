"""Normals of a smooth surface from its triangles."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from occfit.rendering import _surface_kernels as kernels
from occfit.rendering.parallel import run_sliced, slices
from occfit.rendering.rasterize.fragments import require_vertices


def vertex_normals(vertices: Float[Tensor, "b v 3"], triangles: Int[Tensor, "f 3"]) -> Float[Tensor, "b v 3"]:
    """Unit normals: each the mean of its triangles' normals, weighted by their areas.

    They point to the side from which the triangles run counter-clockwise. A vertex without a triangle, or
    whose triangles have no area or cancel out, has the normal (0, 0, 0) and passes no gradient.
    """
    if vertices.device.type == "cpu":
        require_vertices(triangles, vertices.shape[1])
        return _VertexNormals.apply(vertices.expand(-1, -1, 3), triangles.expand(-1, 3))  # type: ignore
    return vertex_normals_torch(vertices, triangles)


def vertex_normals_torch(
    vertices: Float[Tensor, "b v 3"], triangles: Int[Tensor, "f 3"]
) -> Float[Tensor, "b v 3"]:
    """`vertex_normals` in torch's own operations, for devices without a kernel."""
    corners = triangles.long()
    a, b, c = vertices[:, corners].unbind(2)
    weighted = torch.linalg.cross(b - a, c - a)
    sums = torch.zeros_like(vertices)
    for corner in corners.unbind(1):
        sums = sums.index_add(1, corner, weighted)
    squared = (sums * sums).sum(-1, keepdim=True)
    return sums * torch.where(squared > 0, squared, 1).rsqrt() * (squared > 0)


class _VertexNormals(torch.autograd.Function):
    @staticmethod
    def forward(ctx, vertices, triangles):
        vertices = vertices.detach().contiguous()
        triangles = triangles.to(torch.int32).contiguous()
        normals, lengths = torch.empty_like(vertices), vertices.new_empty(vertices.shape[:2])
        arrays = [tensor.numpy() for tensor in (vertices, triangles, normals, lengths)]
        run_sliced(kernels.normals_forward, slices(len(vertices)), *arrays)
        ctx.save_for_backward(vertices, triangles, normals, lengths)
        return normals

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_normals):
        saved = ctx.saved_tensors
        grad_vertices = torch.zeros_like(saved[0])
        arrays = [tensor.detach().numpy() for tensor in (*saved, grad_normals.contiguous(), grad_vertices)]
        run_sliced(kernels.normals_backward, slices(len(grad_vertices)), *arrays)
        return grad_vertices, None
