"""Stores as torch's data sets that give whole batches. Loader processes import this, so it imports little."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from occfit.data.augmentation import Augmentation
from occfit.data.order import Draw, augmentation_rng
from occfit.data.store import PreparedStore, as_batch
from occfit.data.store_format import REQUIRED
from occfit.types import FaceBatch


class TrainingSet(Dataset[FaceBatch]):
    """A store's samples, augmented: a batch is a pure function of (seed, its draws).

    Args:
        labels: whether everything that the store has is read, or pictures and landmarks alone.
    """

    def __init__(
        self, store: PreparedStore, seed: int, augmentation: Augmentation | None = None, labels: bool = True
    ):
        self.store, self.seed, self.augmentation = store, seed, augmentation
        self.fields = store.fields if labels else REQUIRED

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, draw: Draw) -> FaceBatch:
        return self.__getitems__([draw])

    def __getitems__(self, draws: Sequence[Draw]) -> FaceBatch:
        indices = np.array([draw.index for draw in draws])
        arrays = self.store.arrays(indices, self.fields)
        if self.augmentation is not None:
            rngs = [augmentation_rng(self.seed, draw) for draw in draws]
            arrays = self.augmentation(arrays, rngs, self.store)
        return as_batch(arrays, indices)


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
