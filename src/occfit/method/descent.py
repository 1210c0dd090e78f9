"""Gradient descent on the parameters of faces instead of on a network's weights."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from occfit.method.losses import PerImage
from occfit.types import FaceParams


class ParameterDescent:
    """Adam on the parameters of a batch: its faces are moved side by side, each by its own gradient.

    A gradient that isn't finite moves nothing.

    Args:
        start: where the faces begin.
        units: how far each parameter moves in a step of length 1.
        rate: the first step's length; it falls linearly, to zero after `steps`.
        steps: that there will be.
    """

    def __init__(self, start: FaceParams, units: Float[Tensor, " 257"], rate: float, steps: int):
        self.start, self.units = start.to_vector(), units
        self.offset = torch.zeros_like(self.start, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.offset], lr=rate)
        self.rate, self.steps, self.done = rate, steps, 0

    @property
    def params(self) -> FaceParams:
        """Where the faces are now, without a gradient."""
        return FaceParams.from_vector((self.start + self.offset * self.units).detach())

    def step(self, loss: Callable[[FaceParams], PerImage]) -> None:
        """Moves the faces down `loss`, which gets their parameters with a gradient."""
        self.optimizer.param_groups[0]["lr"] = self.rate * (1 - self.done / self.steps)
        with torch.enable_grad():
            total = loss(FaceParams.from_vector(self.start + self.offset * self.units)).sum()
            (gradient,) = torch.autograd.grad(total, self.offset)
        self.offset.grad = gradient.nan_to_num(0.0, 0.0, 0.0)
        self.optimizer.step()
        self.done += 1
