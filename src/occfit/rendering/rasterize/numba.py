"""The rasterizer for CPUs: a z-buffer with a hand-written gradient, on any install."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from occfit.rendering.parallel import row_slices, run_sliced, slices
from occfit.rendering.rasterize import _kernels as kernels
from occfit.rendering.rasterize.fragments import Fragments, require_finite, require_vertices


@dataclass(frozen=True)
class NumbaRasterizer:
    """Keeps the rules of `Rasterizer` on the CPU; positions on another device are copied there and back.

    A triangle with a corner nearer than the near plane or farther than the far plane is dropped whole.
    Equal depths go to the triangle that is listed first. The result does not depend on the number of
    threads.
    """

    def __call__(
        self, positions: Float[Tensor, "b v 4"], triangles: Int[Tensor, "f 3"], height: int, width: int
    ) -> Fragments:
        device = positions.device
        positions, triangles = positions.cpu().expand(-1, -1, 4), triangles.cpu().expand(-1, 3)
        require_vertices(triangles, positions.shape[1])
        index, barycentric = _Rasterize.apply(positions, triangles, height, width)  # type: ignore
        return Fragments(index.to(device), barycentric.to(device))


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, positions, triangles, height, width):
        batch = len(positions)
        positions = positions.detach().contiguous()
        triangles = triangles.to(torch.int32).contiguous()
        index = triangles.new_empty(batch, height, width)
        barycentric = positions.new_empty(batch, height, width, 3)
        finite = torch.ones(batch, dtype=torch.bool)
        arrays = [tensor.numpy() for tensor in (positions, triangles, index, barycentric, finite)]
        run_sliced(kernels.rasterize_forward, row_slices(batch, height), *arrays)
        require_finite(finite)
        ctx.save_for_backward(positions, triangles, index)
        ctx.mark_non_differentiable(index)
        return index, barycentric

    @staticmethod
    @once_differentiable
    def backward(ctx, _, grad_barycentric):
        saved = ctx.saved_tensors
        grad_positions = torch.zeros_like(saved[0])
        arrays = [tensor.numpy() for tensor in (*saved, grad_barycentric.contiguous(), grad_positions)]
        run_sliced(kernels.rasterize_backward, slices(len(grad_positions)), *arrays)
        return grad_positions, None, None, None
