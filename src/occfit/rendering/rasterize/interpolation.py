"""From values at vertices to a picture of them."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from occfit.rendering.parallel import row_slices, run_sliced, slices
from occfit.rendering.rasterize import _kernels as kernels
from occfit.rendering.rasterize.fragments import Fragments, require_triangles, require_vertices


def interpolate(
    attributes: Float[Tensor, "b v c"], triangles: Int[Tensor, "f 3"], fragments: Fragments
) -> Float[Tensor, "b c h w"]:
    """Attributes of what each pixel shows: the mean of the triangle's corners, weighted by its barycentrics.

    It is zero in the background, and differentiable with respect to the attributes and to `fragments.barycentric`.
    """
    if attributes.device.type != "cpu":
        return interpolate_torch(attributes, triangles, fragments)
    index = fragments.triangle_index
    require_vertices(triangles, attributes.shape[1])
    require_triangles(index, len(triangles))
    attributes = attributes.expand(len(index), -1, -1)
    barycentric = fragments.barycentric.to(attributes.dtype).expand(*index.shape, 3)
    return _Interpolate.apply(attributes, barycentric, triangles.expand(-1, 3), index)  # type: ignore


def interpolate_torch(
    attributes: Float[Tensor, "b v c"], triangles: Int[Tensor, "f 3"], fragments: Fragments
) -> Float[Tensor, "b c h w"]:
    """`interpolate` in torch's own operations, for devices without a kernel."""
    index = fragments.triangle_index
    if not len(triangles):
        return attributes.new_zeros(len(attributes), attributes.shape[2], *index.shape[1:])
    corners = triangles.long()[index.clamp(min=0).long()]
    images = torch.arange(len(attributes), device=attributes.device).view(-1, 1, 1, 1)
    weights = fragments.barycentric * (index >= 0).unsqueeze(-1)
    return torch.einsum("bhwkc,bhwk->bchw", attributes[images, corners], weights)


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, attributes, barycentric, triangles, index):
        saved = [
            attributes.detach().contiguous(),
            triangles.to(torch.int32).contiguous(),
            index.to(torch.int32).contiguous(),
            barycentric.detach().contiguous(),
        ]
        batch, height, width = index.shape
        image = attributes.new_empty(batch, attributes.shape[2], height, width)
        arrays = [tensor.numpy() for tensor in (*saved, image)]
        run_sliced(kernels.interpolate_forward, row_slices(batch, height), *arrays)
        ctx.save_for_backward(*saved)
        return image

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_image):
        attributes, _, _, barycentric = saved = ctx.saved_tensors
        grad_attributes, grad_barycentric = torch.zeros_like(attributes), torch.empty_like(barycentric)
        tensors = (*saved, grad_image.contiguous(), grad_attributes, grad_barycentric)
        run_sliced(kernels.interpolate_backward, slices(len(attributes)), *(t.numpy() for t in tensors))
        return grad_attributes, grad_barycentric, None, None
