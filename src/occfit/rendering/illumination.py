"""Lambertian shading under distant light, written in spherical harmonics up to band 2."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from occfit.rendering import _surface_kernels as kernels
from occfit.rendering.parallel import run_sliced, slices

STANDARD_AMBIENT = 0.7 * 2 * math.pi
"""The constant coefficient of the standard light, for each of R, G, B; the only one that is not zero."""

HARMONIC_FACTORS = (
    math.sqrt(1 / (4 * math.pi)),
    *3 * (math.sqrt(3 / (4 * math.pi)),),
    *2 * (math.sqrt(15 / (4 * math.pi)),),
    math.sqrt(5 / (16 * math.pi)),
    math.sqrt(15 / (4 * math.pi)),
    math.sqrt(15 / (16 * math.pi)),
)
"""Normalisation of each harmonic, in the order of `spherical_harmonics`."""

LAMBERT_FACTORS = (1.0, *3 * (2 / 3,), *5 * (1 / 4,))
"""A_l / pi of each harmonic: how a Lambertian surface blurs light of band l (Ramamoorthi & Hanrahan 2001)."""


def spherical_harmonics(normals: Float[Tensor, "b v 3"]) -> Float[Tensor, "b v 9"]:
    """The real orthonormal harmonics Y_lm at unit vectors, ordered by l, then by m from -l to l.

    That is, up to their factors: 1; y, z, x; xy, yz, 3z^2 - 1, xz, x^2 - y^2 (without the Condon-Shortley
    phase).
    """
    x, y, z = normals.unbind(-1)
    terms = [torch.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]
    return torch.stack(terms, dim=-1) * normals.new_tensor(HARMONIC_FACTORS)


def light_coefficients(illumination: Float[Tensor, "b 27"]) -> Float[Tensor, "b 3 9"]:
    """The light that `illumination` stands for, for R, G, B: the standard light plus the parameters."""
    standard = illumination.new_tensor([STANDARD_AMBIENT, *8 * (0.0,)])
    return illumination.unflatten(1, (3, 9)) + standard


def shade(
    albedo: Float[Tensor, "b v 3"], normals: Float[Tensor, "b v 3"], illumination: Float[Tensor, "b 27"]
) -> Float[Tensor, "b v 3"]:
    """Colour of each vertex: `albedo_c * sum_lm (A_l / pi) L_clm Y_lm(normal)`, with nothing clamped.

    Args:
        albedo: linear RGB.
        normals: unit vectors in the camera's frame, so that the light stays where it is when the head turns.
        illumination: see `light_coefficients`. A positive coefficient of x (the fourth of a colour) is
            light from the picture's right, of y (the second) from above, of z (the third) from the viewer.
    """
    light = light_coefficients(illumination) * illumination.new_tensor(LAMBERT_FACTORS)
    if albedo.device.type == "cpu":
        shape = torch.broadcast_shapes(albedo.shape, normals.shape, (len(light), 1, 3))
        factors = (light * light.new_tensor(HARMONIC_FACTORS)).expand(shape[0], -1, -1)
        return _Shade.apply(albedo.expand(shape), normals.expand(shape), factors)  # type: ignore
    return shade_torch(albedo, normals, light)


def shade_torch(
    albedo: Float[Tensor, "b v 3"], normals: Float[Tensor, "b v 3"], light: Float[Tensor, "b 3 9"]
) -> Float[Tensor, "b v 3"]:
    """`shade` under convolved light in torch's own operations, for devices without a kernel."""
    return albedo * (spherical_harmonics(normals) @ light.mT)


class _Shade(torch.autograd.Function):
    @staticmethod
    def forward(ctx, albedo, normals, light):
        inputs = [tensor.detach().contiguous() for tensor in (albedo, normals, light)]
        colours = torch.empty_like(inputs[0])
        run_sliced(kernels.shade_forward, slices(len(colours)), *(t.numpy() for t in (*inputs, colours)))
        ctx.save_for_backward(*inputs)
        return colours

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_colours):
        inputs = ctx.saved_tensors
        gradients = [torch.empty_like(tensor) for tensor in inputs]
        tensors = (*inputs, grad_colours.contiguous(), *gradients)
        arrays = [tensor.detach().numpy() for tensor in tensors]
        run_sliced(kernels.shade_backward, slices(len(grad_colours)), *arrays)
        return tuple(gradients)
