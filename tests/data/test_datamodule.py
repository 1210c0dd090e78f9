"""The data module: the same batches from any start, with any number of loader processes."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.core.optimizer import LightningOptimizer

from occfit.data.augmentation import Augmentation
from occfit.data.datamodule import FaceDataModule
from occfit.errors import OccfitError
from occfit.types import FaceBatch

pytestmark = pytest.mark.unit


def same(one: FaceBatch, other: FaceBatch) -> bool:
    known = [name for name, value in vars(one).items() if value is not None]
    others = [name for name, value in vars(other).items() if value is not None]
    return known == others and all(torch.equal(getattr(one, name), getattr(other, name)) for name in known)


def test_batches_are_those_of_any_other_run_with_the_seed(make_store):
    store = make_store()
    options = {"batch_size": 6, "seed": 4, "augmentation": Augmentation()}
    batches = list(islice(FaceDataModule(store, **options).train_dataloader(), 8))
    later = FaceDataModule(store, first_batch=lambda: 5, **options)
    assert all(same(a, b) for a, b in zip(batches[5:], islice(later.train_dataloader(), 3), strict=True))
    others = islice(FaceDataModule(store, **{**options, "seed": 5}).train_dataloader(), 8)
    assert not any(same(a, b) for a, b in zip(batches, others, strict=True))


@pytest.mark.slow
def test_loader_processes_change_nothing(make_store):
    store = make_store()
    options = {"batch_size": 6, "steps": 5, "augmentation": Augmentation(photometric=0)}
    alone = list(FaceDataModule(store, **options).train_dataloader())
    helped = list(FaceDataModule(store, **options, workers=2).train_dataloader())
    assert len(alone) == 5
    assert all(same(a, b) for a, b in zip(alone, helped, strict=True))


def test_samples_without_augmentation_are_the_stores(make_store):
    store = make_store()
    for batch in islice(FaceDataModule(store, batch_size=6).train_dataloader(), 4):
        assert same(batch, store.batch(batch.index))


def test_each_epoch_augments_anew(make_store):
    module = FaceDataModule(make_store(count=4), batch_size=4, augmentation=Augmentation())
    first, second = list(islice(module.train_dataloader(), 2))
    assert sorted(first.index.tolist()) == sorted(second.index.tolist()) == list(range(4))
    assert not torch.equal(first.image[first.index.argsort()], second.image[second.index.argsort()])


def test_scoring_loaders_give_every_sample_in_order(make_store):
    train = make_store()
    tests = {"neutral": make_store(9, name="neutral"), "scarf": make_store(4, name="scarf")}
    module = FaceDataModule(train, train.folder, tests, scoring_batch_size=4)
    loaders = module.test_dataloader()
    assert list(loaders) == ["neutral", "scarf"]
    assert [batch.index.tolist() for batch in loaders["neutral"]] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    assert [index for batch in module.scoring_dataloader(train) for index in batch.index] == list(range(20))
    assert FaceDataModule(train).val_dataloader() == []


class Recorder(LightningModule):
    """Notes which samples it was trained on, and keeps how many batches; one manual optimizer step a batch."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[list[int]] = []
        self.batches = 0

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)

    def training_step(self, batch: FaceBatch, batch_idx: int) -> None:
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        optimizer.zero_grad()
        self.manual_backward((self.weight - batch.image.mean()) ** 2)
        optimizer.step()
        self.seen.append(batch.index.tolist())
        self.batches += 1

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["batches"] = self.batches

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.batches = checkpoint["batches"]

    def validation_step(self, batch: FaceBatch, batch_idx: int) -> None:
        self.log("loss", batch.image.mean(), batch_size=len(batch))


class Saver(Callback):
    """Saves a checkpoint after every fourth step."""

    def __init__(self, folder: Path):
        self.folder = folder

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if trainer.global_step % 4 == 0:
            trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")


def quiet(test):
    """Without Lightning's advice, and its use of a name that torch has deprecated."""
    advice = pytest.mark.filterwarnings("ignore:The '.*' does not have many workers")
    return advice(pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.`:FutureWarning")(test))


def fit(module: Recorder, data: FaceDataModule, folder, steps: int, resume=None) -> Trainer:
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        val_check_interval=3,
        check_val_every_n_epoch=None,
        enable_checkpointing=False,
        callbacks=[Saver(folder)],
    )
    trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    return trainer


@quiet
def test_a_resumed_training_goes_on_with_the_batch_that_its_module_has_come_to(make_store, tmp_path):
    store = make_store()

    def data(module: Recorder) -> FaceDataModule:
        return FaceDataModule(
            store, store, batch_size=6, first_batch=lambda: module.batches, augmentation=Augmentation()
        )

    whole = Recorder()
    fit(whole, data(whole), tmp_path / "whole", 11)
    assert len(whole.seen) == 11
    for step in (4, 8):
        resumed = Recorder()
        fit(resumed, data(resumed), tmp_path / "resumed", 11, tmp_path / "whole" / f"{step}.ckpt")
        assert resumed.seen == whole.seen[step:]
        assert torch.equal(resumed.weight, whole.weight)


def test_stores_of_different_sizes_are_refused(make_store):
    with pytest.raises(OccfitError, match="different sizes"):
        FaceDataModule(make_store(), test={"small": make_store(size=8, name="small")})


@pytest.mark.parametrize("name", ["batch_size", "scoring_batch_size", "seed", "workers"])
def test_impossible_numbers_are_refused(make_store, name):
    options: dict = {name: -1}
    with pytest.raises(OccfitError, match=f"{name} is -1"):
        FaceDataModule(make_store(), **options)
