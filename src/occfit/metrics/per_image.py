"""Scores kept per image, so that a mean doesn't depend on batches or processes."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

PerImageScore = Float[Tensor, " b"]
NAN = float("nan")


class PerImage(NamedTuple):
    """One score of each image.

    Attributes:
        index: each image's position in its store, ascending, each once.
        values: float64, NaN where the score isn't defined.
    """

    index: Int[ndarray, " n"]
    values: Float[ndarray, " n"]

    @property
    def defined(self) -> Float[ndarray, " d"]:
        return self.values[~np.isnan(self.values)]

    @property
    def n(self) -> int:
        """Number of images whose score is defined."""
        return len(self.defined)

    @property
    def mean(self) -> float:
        """The mean over the images whose score is defined; NaN if there is none."""
        return float(self.defined.mean()) if self.n else NAN

    @property
    def std(self) -> float:
        """The spread over those images: the population's standard deviation, in the score's unit."""
        return float(self.defined.std()) if self.n else NAN


class PerImageMetric(Metric):
    """Keeps some scores of every image together with the image's index.

    `compute()` sorts by index and drops duplicates, so neither the batches' size nor the number of processes, nor the
    images that a distributed sampler gives twice, can change a bit of the result.

    Subclasses name their scores in `keys` and call `keep` in `update`.
    """

    is_differentiable = False
    full_state_update = False
    keys: tuple[str, ...] = ()

    index: list[Tensor]
    values: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.set_dtype(torch.float64)
        self.add_state("index", default=[], dist_reduce_fx="cat")
        self.add_state("values", default=[], dist_reduce_fx="cat")

    def keep(
        self, index: Int[Tensor, " b"], score: Callable[[slice], Mapping[str, Float[Tensor, " 1"]]]
    ) -> None:
        """Adds some images.

        Args:
            index: their positions in the store.
            score: a function that gives all `keys` of one image, which comes as a slice of the batch. Images are
                scored one by one, since sums over a whole batch round differently than those over its parts.
        """
        rows = [score(slice(position, position + 1)) for position in range(len(index))]
        scores = torch.stack([torch.cat([row[key].double() for key in self.keys]) for row in rows])
        self.index.append(index.to(self.device, torch.float64))
        self.values.append(scores.detach().flatten().to(self.device))

    def compute(self) -> dict[str, PerImage]:
        """The scores of every image, by key."""
        kept = dim_zero_cat(self.index).cpu().numpy().astype(np.int64)
        values = dim_zero_cat(self.values).cpu().numpy().reshape(-1, len(self.keys))
        index, first = np.unique(kept, return_index=True)
        return {key: PerImage(index, values[first, column]) for column, key in enumerate(self.keys)}


def ratio(part: Tensor, whole: Tensor, if_empty: Tensor | float) -> PerImageScore:
    """part / whole in float64, and `if_empty` where the whole is 0."""
    filler = torch.as_tensor(if_empty, dtype=torch.float64, device=whole.device)
    return torch.where(whole > 0, part.double() / whole.clamp(min=1).double(), filler)


def count(mask: Tensor) -> Int[Tensor, " b"]:
    """Number of True pixels of each image."""
    return mask.flatten(1).sum(dim=1)
