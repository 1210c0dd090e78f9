"""Prepared stores to batches, for Lightning's trainer and for plain loops."""

from collections.abc import Callable, Mapping
from pathlib import Path

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from occfit.data.augmentation import Augmentation
from occfit.data.data_source import TrainingPart
from occfit.data.order import ScoringBatches, TrainingBatches, divide
from occfit.data.sets import ScoringSet, TrainingSet, keep
from occfit.data.store import PreparedStore
from occfit.errors import OccfitError
from occfit.types import FaceBatch


class FaceDataModule(LightningDataModule):
    """The batches of a training stage.

    Training batches don't end with an epoch: they are numbered, and a resumed training goes on with the next
    number, which whoever trains keeps and gives as `first_batch`. The trainer must not put a sampler of its own in
    place (`use_distributed_sampler=False`).

    Args:
        train: the samples to train on: a store, or several with the share that each has of a batch.
        validation: the samples to watch, if any.
        test: the sets to score, by name.
        batch_size: the samples of a training step, over all processes.
        scoring_batch_size: the samples of a batch in each process when nothing is trained.
        first_batch: a function that gives the first training batch's number, asked when the loader is made.
        steps: number of training batches; None goes on for ever, until the trainer has enough.
        seed: a number that decides order and augmentation.
        augmentation: what changes the training samples; None leaves them as they are.
        labels: whether training samples have what the store knows of them besides pictures and landmarks.
        workers: processes that load, 0 loads in this one. They are spawned.

    Raises:
        OccfitError: An argument has an impossible value, or the stores' pictures differ in size.
    """

    def __init__(
        self,
        train: PreparedStore | Path | str | Mapping[str, TrainingPart],
        validation: PreparedStore | Path | str | None = None,
        test: Mapping[str, PreparedStore | Path | str] | None = None,
        *,
        batch_size: int = 16,
        scoring_batch_size: int = 32,
        first_batch: Callable[[], int] = lambda: 0,
        steps: int | None = None,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        labels: bool = True,
        workers: int = 0,
    ):
        super().__init__()
        self.train = train if isinstance(train, Mapping) else {"train": TrainingPart(_opened(train))}
        self.validation = None if validation is None else _opened(validation)
        self.test = {name: _opened(store) for name, store in (test or {}).items()}
        self.batch_size, self.scoring_batch_size, self.steps = batch_size, scoring_batch_size, steps
        self.seed, self.augmentation, self.labels, self.workers = seed, augmentation, labels, workers
        self.first_batch = first_batch
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("scoring_batch_size", scoring_batch_size, 1),
            ("seed", seed, 0),
            ("workers", workers, 0),
        ):
            if value < least:
                raise OccfitError(f"{name} is {value}", remedy=f"Choose at least {least}")
        self.sizes = divide(batch_size, [part.share for part in self.train.values()])
        _check_sizes(
            [*self._training_stores(), *([self.validation] if self.validation else []), *self.test.values()]
        )

    def train_dataloader(self) -> DataLoader:
        """The training batches from `first_batch` on."""
        rank, world = self._place()
        stores = self._training_stores()
        counts = [len(store) for store in stores]
        batches = TrainingBatches(self.sizes, counts, self.seed, self.first_batch(), self.steps, rank, world)
        samples = TrainingSet(stores, self.seed, self.augmentation, self.labels)
        return self._loader(samples, batches)

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        """The validation samples in the store's order.

        Where there is no validation store there is no loader, and a trainer wants `limit_val_batches=0`.
        """
        return [] if self.validation is None else self.scoring_dataloader(self.validation)

    def test_dataloader(self) -> dict[str, DataLoader]:
        """The test samples in their stores' order, by the test sets' names."""
        return {name: self.scoring_dataloader(store) for name, store in self.test.items()}

    def scoring_dataloader(self, store: PreparedStore) -> DataLoader:
        """Any store's samples in its order."""
        batches = ScoringBatches(len(store), self.scoring_batch_size, *self._place())
        return self._loader(ScoringSet(store), batches)

    def _training_stores(self) -> list[PreparedStore]:
        return [part.store for part in self.train.values()]

    def _place(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _loader(self, dataset: Dataset[FaceBatch], batches: Sampler) -> DataLoader:
        return DataLoader(
            dataset,
            batch_sampler=batches,
            collate_fn=keep,
            num_workers=self.workers,
            multiprocessing_context="spawn" if self.workers else None,
            persistent_workers=self.workers > 0,
        )


def _opened(store: PreparedStore | Path | str) -> PreparedStore:
    return store if isinstance(store, PreparedStore) else PreparedStore(store)


def _check_sizes(stores: list[PreparedStore]) -> None:
    for store in stores:
        if store.size != stores[0].size:
            reason = f"Stores of different sizes: {stores[0].size} and {store.size} pixels"
            raise OccfitError(reason, store.folder, "Prepare them with the same size")
