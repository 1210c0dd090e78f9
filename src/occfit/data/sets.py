"""Stores as torch's data sets that give whole batches. Loader processes import this, so it imports little."""

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from occfit.data.augmentation import Augmentation
from occfit.data.order import Draw, augmentation_rng
from occfit.data.store import PreparedStore, as_batch
from occfit.data.store_format import REQUIRED
from occfit.types import FaceBatch


class TrainingSet(Dataset[FaceBatch]):
    """The samples of some stores, augmented: a batch is a pure function of (seed, its draws).

    Args:
        labels: whether everything that the stores have is read, or pictures and landmarks alone.
    """

    def __init__(
        self,
        stores: Sequence[PreparedStore],
        seed: int,
        augmentation: Augmentation | None = None,
        labels: bool = True,
    ):
        self.stores, self.seed, self.augmentation, self.labels = stores, seed, augmentation, labels

    def __len__(self) -> int:
        return sum(len(store) for store in self.stores)

    def __getitem__(self, draw: Draw) -> FaceBatch:
        return self.__getitems__([draw])

    def __getitems__(self, draws: Sequence[Draw]) -> FaceBatch:
        return join([self._of_store(part, list(own)) for part, own in groupby(draws, lambda draw: draw.part)])

    def _of_store(self, part: int, draws: Sequence[Draw]) -> FaceBatch:
        store, indices = self.stores[part], np.array([draw.index for draw in draws])
        arrays = store.arrays(indices, store.fields if self.labels else REQUIRED)
        if self.augmentation is not None:
            rngs = [augmentation_rng(self.seed, draw) for draw in draws]
            arrays = self.augmentation(arrays, rngs, store)
        return as_batch(arrays, indices)


def join(batches: Sequence[FaceBatch]) -> FaceBatch:
    """Some batches as one. A mask that only some of them have is unknown in the others; what else only some have is
    left out."""
    if len(batches) == 1:
        return batches[0]
    if any(batch.visibility is not None for batch in batches):
        batches = [_with_mask(batch) for batch in batches]
    found = {field.name: [getattr(batch, field.name) for batch in batches] for field in fields(FaceBatch)}
    whole = {name: values for name, values in found.items() if all(value is not None for value in values)}
    return FaceBatch(**{name: torch.cat(values) for name, values in whole.items()})


def _with_mask(batch: FaceBatch) -> FaceBatch:
    known = batch.known_pixels()
    return replace(batch, visibility=known if batch.visibility is None else batch.visibility, known=known)


class ScoringSet(Dataset[FaceBatch]):
    """A store's samples as they are."""

    def __init__(self, store: PreparedStore):
        self.store = store

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, index: int) -> FaceBatch:
        return self.store[index]

    def __getitems__(self, indices: Sequence[int]) -> FaceBatch:
        return self.store.batch(indices)


def keep(batch: Any) -> Any:
    """Batches are made whole, so there is nothing to collate."""
    return batch
