"""Several stores in each batch: their shares, their masks, and what is refused."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from occfit.data.augmentation import Augmentation
from occfit.data.data_source import DataSource, SetDescription, TrainingPart
from occfit.data.datamodule import FaceDataModule
from occfit.data.mixed import MixedPart, MixedSource
from occfit.data.order import batch_draws, divide
from occfit.data.prepared import PreparedSource
from occfit.data.prepared_sets import write_sets
from occfit.data.store import PreparedStore, StoreWriter
from occfit.data.synthetic import WorldConfig
from occfit.errors import OccfitError
from occfit.types import FaceBatch

pytestmark = pytest.mark.unit

SIZE = 16


def write_store(folder: Path, count: int, grey: int, mask: str = "none") -> PreparedStore:
    """Pictures of one grey, whose masks are known everywhere, in the upper half, or nowhere."""
    upper = np.zeros((count, SIZE, SIZE), bool)
    upper[:, : SIZE // 2] = True
    masks = {
        "none": {},
        "whole": {"visibility": ~upper, "params": np.zeros((count, 257), np.float32)},
        "part": {"visibility": upper, "known": upper},
    }
    with StoreWriter(folder) as writer:
        writer.add(
            image=np.full((count, SIZE, SIZE, 3), grey, np.uint8),
            landmarks=np.ones((count, 68, 2), np.float32),
            **masks[mask],
        )
    return PreparedStore(folder)


@pytest.fixture
def parts(tmp_path) -> dict[str, TrainingPart]:
    return {
        "whole": TrainingPart(write_store(tmp_path / "whole", 20, 10, "whole"), 0.5),
        "photographs": TrainingPart(write_store(tmp_path / "photographs", 7, 20), 0.25),
        "part": TrainingPart(write_store(tmp_path / "part", 5, 30, "part"), 0.25),
    }


def greys(batch: FaceBatch) -> list[int]:
    return (batch.image[:, 0, 0, 0] * 255).round().int().tolist()


def first_batches(
    parts: Mapping[str, TrainingPart], count: int, start: int = 0, **options
) -> list[FaceBatch]:
    module = FaceDataModule(parts, batch_size=8, seed=3, first_batch=lambda: start, **options)
    return list(islice(module.train_dataloader(), count))


def test_every_batch_has_every_share(parts):
    for batch in first_batches(parts, 6):
        assert greys(batch) == [10] * 4 + [20] * 2 + [30] * 2


def test_each_store_is_visited_in_epochs_of_its_own(parts):
    draws = [draw for batch in range(10) for draw in batch_draws(3, batch, [4, 2, 2], [20, 7, 5])]
    for part, count in enumerate((20, 7, 5)):
        own = [draw.index for draw in draws if draw.part == part]
        assert sorted(own[:count]) == list(range(count))


def test_stores_of_one_size_have_orders_of_their_own():
    draws = batch_draws(3, 0, [8, 8], [8, 8])
    assert [draw.index for draw in draws[:8]] != [draw.index for draw in draws[8:]]


def test_a_mixture_goes_on_where_it_stopped(parts):
    change = Augmentation()
    whole = first_batches(parts, 5, augmentation=change)
    later = first_batches(parts, 2, start=3, augmentation=change)
    assert all(torch.equal(a.image, b.image) for a, b in zip(whole[3:], later, strict=True))


def test_what_nobody_knows_is_unknown_in_the_mixture(parts):
    (batch,) = first_batches(parts, 1)
    assert batch.visibility is not None
    assert batch.params is None
    known = batch.known_pixels()[:, 0]
    assert (known[:4] == 1).all()
    assert (known[4:6] == 0).all()
    assert (known[6:, : SIZE // 2] == 1).all()
    assert (known[6:, SIZE // 2 :] == 0).all()
    assert (batch.visibility[4:6] == 0).all()
    assert torch.equal(batch.visibility[6:, 0], known[6:])


def test_without_labels_there_are_landmarks_alone(parts):
    (batch,) = first_batches(parts, 1, labels=False)
    assert batch.visibility is None
    assert batch.known is None


@pytest.mark.parametrize(
    ("size", "shares", "expected"),
    [(8, [1.0], [8]), (32, [0.5, 0.25, 0.25], [16, 8, 8]), (10, [0.333, 0.333, 0.334], [3, 3, 4])],
)
def test_a_batch_is_divided_as_the_shares_say(size, shares, expected):
    assert divide(size, shares) == expected


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([0.5, 0.4], "make 0.9"),
        ([1.2, -0.2], "make 1"),
        ([0.99, 0.01], "no picture in a batch of 8"),
    ],
)
def test_shares_that_make_no_batch_are_refused(shares, message):
    with pytest.raises(OccfitError, match=message):
        divide(8, shares)


def write_collection(folder: Path, *names: str, train: bool = True) -> PreparedSource:
    for name in (*(["train", "validation"] if train else []), *names):
        write_store(folder / name, 6, 40)
    write_sets(folder, folder.name, {name: SetDescription(name) for name in names}, None)
    return PreparedSource(folder)


def test_prepared_data_is_a_source(tmp_path):
    source = write_collection(tmp_path / "faces", "portraits")
    assert isinstance(source, DataSource)
    assert isinstance(WorldConfig(), DataSource)
    splits = PreparedSource(source.path, also=[write_collection(tmp_path / "ar", "scarf", train=False).path])
    found = splits.splits(None, tmp_path)  # pyright: ignore[reportArgumentType]
    assert list(found.test) == list(found.sets) == ["portraits", "scarf"]
    assert {name: part.share for name, part in found.train.items()} == {"train": 1.0}
    assert found.validation is not None


def test_two_collections_with_one_test_set_are_refused(tmp_path):
    one, other = (write_collection(tmp_path / name, "portraits") for name in ("faces", "others"))
    source = PreparedSource(one.path, also=[other.path])
    with pytest.raises(OccfitError, match=r"test set 'portraits'.*others"):
        source.splits(None, tmp_path)  # pyright: ignore[reportArgumentType]


def test_a_mixture_has_its_parts_stores(tmp_path):
    one, other = (write_collection(tmp_path / name, f"{name}_test") for name in ("one", "other"))
    source = MixedSource({"one": MixedPart(one, 0.75), "other": MixedPart(other, 0.25)}, "other", ["one"])
    found = source.splits(None, tmp_path)  # pyright: ignore[reportArgumentType]
    assert {name: part.share for name, part in found.train.items()} == {"one": 0.75, "other": 0.25}
    assert list(found.test) == ["one_test"]
    assert found.validation is not None
    assert found.validation.folder == tmp_path / "other" / "validation"
    assert set(found.digests()) == {"data.train.one", "data.train.other", "data.validation"}


@pytest.mark.parametrize(
    ("shares", "validation", "tests", "message"),
    [
        ((0.75, 0.5), "one", ["one"], r"shares of one 0.75, other 0.5 make 1.25"),
        ((0.75, 0.25), "none", ["one"], "no part 'none'"),
        ((0.75, 0.25), "one", ["othre"], "no part 'othre'.*'other'"),
    ],
)
def test_a_mixture_that_makes_no_sense_is_refused(tmp_path, shares, validation, tests, message):
    sources = [write_collection(tmp_path / name, f"{name}_test") for name in ("one", "other")]
    parts = {
        name: MixedPart(source, share)
        for name, source, share in zip(("one", "other"), sources, shares, strict=True)
    }
    with pytest.raises(OccfitError, match=message):
        MixedSource(parts, validation, tests)


def test_a_part_without_training_pictures_is_refused(tmp_path):
    parts = {
        "one": MixedPart(write_collection(tmp_path / "one", "seen"), 0.5),
        "ar": MixedPart(write_collection(tmp_path / "ar", "scarf", train=False), 0.5),
    }
    with pytest.raises(OccfitError, match="'ar' has nothing to train on"):
        MixedSource(parts, "one", ["one"]).splits(None, tmp_path)  # pyright: ignore[reportArgumentType]
