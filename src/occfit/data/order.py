"""Which samples make up a batch: a pure function of (seed, batch number).

Each epoch visits every sample once, in an order of its own. The epochs follow one another without a gap, and batch b
takes positions b * size to (b + 1) * size - 1 of that endless sequence. So no batch is incomplete and no sample is
dropped: a batch at the end of an epoch is filled from the next one. To go on anywhere takes one integer, and
neither the number of loader processes nor what was drawn before matters.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy import ndarray
from torch.utils.data import Sampler

from occfit.errors import OccfitError

_ORDER, _AUGMENTATION = 1, 2
"""What a stream of random numbers is for; streams of different purposes are independent."""


class Draw(NamedTuple):
    """A sample as the training sees it: augmented anew in every epoch."""

    epoch: int
    index: int


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, count: int) -> Int[ndarray, " n"]:
    """The order in which an epoch visits `count` samples."""
    return np.random.default_rng((seed, _ORDER, epoch)).permutation(count)


def batch_draws(seed: int, batch: int, batch_size: int, count: int) -> list[Draw]:
    """The samples of one batch.

    Args:
        seed: the run's seed, not negative.
        batch: the batch's number, from 0.
        batch_size: the samples of a batch over all processes.
        count: the number of samples there are.
    """
    positions = range(batch * batch_size, (batch + 1) * batch_size)
    places = [divmod(position, count) for position in positions]
    return [Draw(epoch, int(epoch_order(seed, epoch, count)[place])) for epoch, place in places]


def augmentation_rng(seed: int, draw: Draw) -> np.random.Generator:
    """The stream of random numbers that one sample's augmentation in one epoch draws from."""
    return np.random.default_rng((seed, _AUGMENTATION, draw.epoch, draw.index))


def share(batch_size: int, rank: int, world: int) -> slice:
    """The part of each batch that belongs to one of `world` processes.

    Raises:
        OccfitError: The processes can't share the batch evenly.
    """
    if batch_size % world:
        reason = f"{world} processes can't share a batch of {batch_size} evenly"
        raise OccfitError(reason, remedy=f"Choose a multiple of {world}")
    part = batch_size // world
    return slice(rank * part, (rank + 1) * part)


class TrainingBatches(Sampler[list[Draw]]):
    """A process's part of the batches from `start` on.

    Its length is that of the whole training, `steps`, whatever `start` is: Lightning counts the batches before a
    resume as fetched. An endless one has no length.

    Args:
        count: the number of samples there are.
        batch_size: the samples of a batch over all processes.
        seed: the run's seed.
        start: the first batch's number.
        steps: the whole training's steps, the batches before `start` included; None never ends.
        rank, world: which process this is, of how many.

    Raises:
        OccfitError: The processes can't share the batch evenly.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        seed: int,
        start: int = 0,
        steps: int | None = None,
        rank: int = 0,
        world: int = 1,
    ):
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.start, self.steps = start, steps
        self.part = share(batch_size, rank, world)

    def __iter__(self) -> Iterator[list[Draw]]:
        batch = self.start
        while self.steps is None or batch < self.steps:
            yield batch_draws(self.seed, batch, self.batch_size, self.count)[self.part]
            batch += 1

    def __len__(self) -> int:
        if self.steps is None:
            raise TypeError("an endless sequence of batches has no length")
        return self.steps


class ScoringBatches(Sampler[list[int]]):
    """A process's part of every sample once, in the store's order.

    All processes get batches of the same number. Where the samples don't come out even, the last one is given again;
    scores drop duplicates by their index.

    Args:
        count: the number of samples there are.
        batch_size: the samples of a batch in each process.
        rank, world: which process this is, of how many.
    """

    def __init__(self, count: int, batch_size: int, rank: int = 0, world: int = 1):
        self.count, self.batch_size = count, batch_size
        self.rank, self.world = rank, world
        self.each = math.ceil(count / world)

    def __iter__(self) -> Iterator[list[int]]:
        own = range(self.rank, self.rank + self.each * self.world, self.world)
        for start in range(0, self.each, self.batch_size):
            yield [min(index, self.count - 1) for index in own[start : start + self.batch_size]]

    def __len__(self) -> int:
        return math.ceil(self.each / self.batch_size)
