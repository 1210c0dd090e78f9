"""Augmentations that hide a part of a picture: what is cut out or pasted is never visible face."""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy import ndarray

from occfit.errors import OccfitError

Arrays = dict[str, ndarray]


@runtime_checkable
class Images(Protocol):
    """Where pictures to paste come from: a prepared store."""

    def __len__(self) -> int: ...

    def arrays(self, indices: Sequence[int], fields: Sequence[str]) -> Arrays: ...


@runtime_checkable
class Patch(Protocol):
    """Hides a part of each sample, in place; each sample has its own random numbers."""

    def __call__(
        self, arrays: Arrays, rngs: Sequence[np.random.Generator], others: Images | None
    ) -> None: ...


def _check_probability(value: float, where: str) -> None:
    if not 0 <= value <= 1:
        raise OccfitError(f"probability is {value}", where, "Choose a value from 0 to 1")


@dataclass(frozen=True)
class Cutout:
    """Puts a black square somewhere in the picture (DeVries and Taylor 2017), by albumentations' CoarseDropout.

    Attributes:
        side: the square's side in picture widths. The paper's for CIFAR-10 is a half.
        probability: the probability that a sample has one.

    Raises:
        OccfitError: A value is out of its range.
    """

    side: float = 0.5
    probability: float = 0.5

    def __post_init__(self) -> None:
        _check_probability(self.probability, "cutout")
        if not 0 < self.side < 1:
            raise OccfitError(f"side is {self.side}", "cutout", "Choose a value between 0 and 1")

    def __call__(self, arrays: Arrays, rngs: Sequence[np.random.Generator], others: Images | None) -> None:
        transform = dropout(self.side, self.probability)
        masks = arrays.get("visibility")
        for position, rng in enumerate(rngs):
            transform.set_random_state(rng, random.Random(int(rng.integers(2**32))))
            mask = {} if masks is None else {"mask": masks[position]}
            changed = transform(image=arrays["image"][position], **mask)
            arrays["image"][position] = changed["image"]
            if masks is not None:
                masks[position] = changed["mask"]


@lru_cache(maxsize=4)
def dropout(side: float, probability: float) -> Any:
    """albumentations' transform; imported here, see `augmentation.photometric_transforms`."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations

    square = (side, side)
    hole = albumentations.CoarseDropout((1, 1), square, square, fill=0, fill_mask=0, p=probability)
    return albumentations.Compose([hole])


@dataclass(frozen=True)
class CutMix:
    """Pastes a rectangle of another training picture, from the same place (Yun et al. 2019).

    albumentations has no such augmentation.

    The kept share of the picture is uniform in [0, 1], as in the paper (Beta(1, 1)), the rectangle has the picture's
    proportions, its centre may lie anywhere, and what leaves the picture is lost.

    Attributes:
        probability: the probability that a sample has one.

    Raises:
        OccfitError: The probability is out of its range, or when called, there are no pictures to paste from.
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        _check_probability(self.probability, "cutmix")

    def __call__(self, arrays: Arrays, rngs: Sequence[np.random.Generator], others: Images | None) -> None:
        if others is None:
            raise OccfitError("CutMix pastes from other training pictures, and was given none")
        height, width = arrays["image"].shape[1:3]
        places, partners = [], []
        for position, rng in enumerate(rngs):
            draws, partner = rng.random(4), int(rng.integers(len(others)))
            if draws[0] < self.probability:
                places.append((position, *rectangle(draws[1:], height, width)))
                partners.append(partner)
        if not places:
            return
        pictures = others.arrays(partners, ("image",))["image"]
        for (position, rows, columns), picture in zip(places, pictures, strict=True):
            arrays["image"][position, rows, columns] = picture[rows, columns]
            if "visibility" in arrays:
                arrays["visibility"][position, rows, columns] = 0


def rectangle(draws: ndarray, height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of a pasted rectangle.

    Args:
        draws: uniform numbers in [0, 1): kept share of the picture, centre across, centre down.
    """
    scale = np.sqrt(1 - draws[0]) / 2
    centre, half = np.array([draws[2] * height, draws[1] * width]), np.array([scale * height, scale * width])
    low = np.clip(np.round(centre - half), 0, [height, width]).astype(int)
    high = np.clip(np.round(centre + half), 0, [height, width]).astype(int)
    return slice(low[0], high[0]), slice(low[1], high[1])
