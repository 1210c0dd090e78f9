"""When which network learns, and how fast: pure functions of the clock.

The clock is the number of successful optimizer steps in a stage. Everything here is a function of it alone,
so a resumed stage goes on where it stopped, and a skipped batch moves nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import NonNegativeInt, PositiveInt
from torch.optim import Optimizer


class Phase(StrEnum):
    """The two halves of the alternation: which network learns."""

    RECONSTRUCTION = "reconstruction"
    SEGMENTATION = "segmentation"


@runtime_checkable
class Schedule(Protocol):
    def phase_at(self, step: int) -> Phase: ...


@dataclass(frozen=True)
class ConstantPhase:
    """One network learns all the time."""

    phase: Phase | Literal["reconstruction", "segmentation"]

    def phase_at(self, step: int) -> Phase:
        return Phase(self.phase)


@dataclass(frozen=True)
class AlternatingSchedule:
    """In every `period` steps, the segmenter learns in the first `segmentation_steps`, the encoder in the
    others."""

    period: PositiveInt = 30_000
    segmentation_steps: NonNegativeInt = 5_000

    def phase_at(self, step: int) -> Phase:
        is_segmentation = step % self.period < self.segmentation_steps
        return Phase.SEGMENTATION if is_segmentation else Phase.RECONSTRUCTION


Rate = Callable[[int], float]
"""Step -> the factor of the learning rate."""


@dataclass(frozen=True)
class ConstantRate:
    def __call__(self, step: int) -> float:
        return 1.0


@dataclass(frozen=True)
class StepDecay:
    """`factor` to the number of whole `every` steps that have passed; the paper's is 0.99 every 5k."""

    factor: float = 0.99
    every: int = 5_000

    def __call__(self, step: int) -> float:
        return self.factor ** (step // self.every)


@dataclass(frozen=True)
class WarmUpCosine:
    """Linearly from 1 / (warm_up + 1) to 1 over `warm_up` steps, then half a cosine down to `final` at
    `steps`."""

    steps: int
    warm_up: int = 0
    final: float = 0.0

    def __call__(self, step: int) -> float:
        if step < self.warm_up:
            return (step + 1) / (self.warm_up + 1)
        progress = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


@dataclass(frozen=True)
class Learning:
    """How one network learns.

    Attributes:
        optimizer: makes the optimizer of some parameters, as Hydra's `_partial_: true` does.
        rate: what the optimizer's own learning rate is multiplied with.
        clip: the largest norm of the gradient; null leaves it as it is.
    """

    optimizer: Callable[[Any], Optimizer]
    rate: Rate = ConstantRate()
    clip: float | None = None

    def set_rate(self, optimizer: Optimizer, step: int) -> None:
        """Gives every parameter group its rate at `step`."""
        for group in optimizer.param_groups:
            base = group.setdefault("initial_lr", group["lr"])
            group["lr"] = base * self.rate(step)
