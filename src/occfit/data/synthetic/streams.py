"""Random numbers as a pure function of (seed, split, index, purpose).

Each purpose of each sample has a generator of its own, so a change to the occluders leaves every face as it was, and
a sample doesn't depend on the ones drawn before it.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream of random numbers is for. The numbers are part of the world's definition."""

    IDENTITY = 0
    FACE = 1
    DETECTOR = 2
    WARP = 3
    OCCLUDER = 4
    BACKGROUND = 5
    SKIN = 6
    SENSOR = 7
    CHOICE = 8


def stream(seed: int, domain: str, index: int, purpose: Purpose) -> np.random.Generator:
    """The generator of one purpose of sample (or person) `index` in `domain`, a split's or a pool's name."""
    name = int.from_bytes(domain.encode(), "little")
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, name, index, int(purpose)])))
