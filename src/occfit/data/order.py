"""Which samples make up a batch: a pure function of (seed, batch number).

Each epoch visits every sample once, in an order of its own. The epochs follow one another without a gap, and batch b
takes positions b * size to (b + 1) * size - 1 of that endless sequence. So no batch is incomplete and no sample is
dropped: a batch at the end of an epoch is filled from the next one. To go on anywhere takes one integer, and
neither the number of loader processes nor what was drawn before matters.

Where there are several stores, each has a fixed number of places in every batch, and such a sequence of its own.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Sampler

from occfit.errors import OccfitError

SHARES_TOLERANCE = 1e-3
"""How far from 1 the sum of the shares may be: thirds are written .333."""

_ORDER, _AUGMENTATION = 1, 2
"""What a stream of random numbers is for; streams of different purposes are independent."""


class Draw(NamedTuple):
    """A sample as the training sees it: augmented anew in every epoch of its store, which is number `part`."""

    epoch: int
    index: int
    part: int = 0


@lru_cache(maxsize=16)
def epoch_order(seed: int, epoch: int, count: int, part: int = 0) -> Int[ndarray, " n"]:
    """The order in which an epoch visits the `count` samples of store number `part`."""
    return np.random.default_rng((seed, _ORDER, epoch, *_own(part))).permutation(count)


def batch_draws(seed: int, batch: int, sizes: Sequence[int], counts: Sequence[int]) -> list[Draw]:
    """The samples of one batch, those of the first store first.

    Args:
        seed: the run's seed, not negative.
        batch: the batch's number, from 0.
        sizes: the samples of each store in a batch, over all processes.
        counts: the number of samples that each store has.
    """
    draws = []
    for part, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        places = [divmod(position, count) for position in range(batch * size, (batch + 1) * size)]
        draws += [
            Draw(epoch, int(epoch_order(seed, epoch, count, part)[place]), part) for epoch, place in places
        ]
    return draws


def divide(batch_size: int, shares: Sequence[float]) -> list[int]:
    """How many places of a batch each store has: whole numbers that are nearest to the shares and add up.

    Raises:
        OccfitError: The shares don't add up to 1, one isn't positive, or one is less than half a place.
    """
    if any(share <= 0 for share in shares) or abs(sum(shares) - 1) > SHARES_TOLERANCE:
        given = " + ".join(f"{share:g}" for share in shares)
        raise OccfitError(f"The shares {given} make {sum(shares):g}", remedy="Give each a part of 1")
    exact = [share * batch_size for share in shares]
    sizes = [int(places) for places in exact]
    by_rest = sorted(range(len(exact)), key=lambda part: (sizes[part] - exact[part], part))
    for part in by_rest[: batch_size - sum(sizes)]:
        sizes[part] += 1
    if empty := [share for share, size in zip(shares, sizes, strict=True) if size == 0]:
        reason = f"A share of {empty[0]:g} is no picture in a batch of {batch_size}"
        raise OccfitError(reason, remedy="Give it a larger share, or take larger batches")
    return sizes


def augmentation_rng(seed: int, draw: Draw) -> np.random.Generator:
    """The stream of random numbers that one sample's augmentation in one epoch draws from."""
    return np.random.default_rng((seed, _AUGMENTATION, draw.epoch, draw.index, *_own(draw.part)))


def _own(part: int) -> tuple[int, ...]:
    """What tells a store's random numbers from another's; the only store of a run needs nothing."""
    return (part,) if part else ()


def share(batch_size: int, rank: int, world: int) -> slice:
    """The samples of each batch that belong to one of `world` processes: every `world`-th, so all get every store's.

    Raises:
        OccfitError: The processes can't share the batch evenly.
    """
    if batch_size % world:
        reason = f"{world} processes can't share a batch of {batch_size} evenly"
        raise OccfitError(reason, remedy=f"Choose a multiple of {world}")
    return slice(rank, None, world)


class TrainingBatches(Sampler[list[Draw]]):
    """A process's part of the batches from `start` on.

    Its length is that of the whole training, `steps`, whatever `start` is: Lightning counts the batches before a
    resume as fetched. An endless one has no length.

    Args:
        sizes: the samples of each store in a batch, over all processes.
        counts: the number of samples that each store has.
        seed: the run's seed.
        start: the first batch's number.
        steps: the whole training's steps, the batches before `start` included; None never ends.
        rank, world: which process this is, of how many.

    Raises:
        OccfitError: The processes can't share the batch evenly.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        counts: Sequence[int],
        seed: int,
        start: int = 0,
        steps: int | None = None,
        rank: int = 0,
        world: int = 1,
    ):
        self.sizes, self.counts, self.seed = tuple(sizes), tuple(counts), seed
        self.start, self.steps = start, steps
        self.own = share(sum(sizes), rank, world)

    def __iter__(self) -> Iterator[list[Draw]]:
        batch = self.start
        while self.steps is None or batch < self.steps:
            yield batch_draws(self.seed, batch, self.sizes, self.counts)[self.own]
            batch += 1

    def __len__(self) -> int:
        if self.steps is None:
            raise TypeError("an endless sequence of batches has no length")
        return self.steps


class ScoringBatches(Sampler[list[int]]):
    """A process's part of every sample once, in the store's order.

    All processes get batches of the same number. Where the samples don't come out even, the last one is given again;
    scores drop duplicates by their index, and `is_given_again` tells which they are.

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


def is_given_again(index: Int[Tensor, " b"], rank: int, world: int) -> Bool[Tensor, " b"]:
    """Which samples of a process's scoring batch belong to another process, and only make the batches come out even.

    Args:
        index: the samples' positions in their store.
        rank, world: which process this is, of how many.
    """
    return index % world != rank
