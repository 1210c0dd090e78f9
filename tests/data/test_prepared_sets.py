"""Prepared data: what is written is read, and nothing that isn't finished or fits together is taken for it."""

import json
from pathlib import Path

import numpy as np
import pytest

from occfit.data.data_source import SetDescription, Splits, TrainingPart
from occfit.data.prepared_sets import SETS, read_collection, write_sets
from occfit.data.store import PreparedStore, StoreWriter
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit

DESCRIBED = {
    "plain": SetDescription("plain faces", is_headline=True),
    "veiled": SetDescription("veiled faces"),
    "both": SetDescription("both", parts=("plain", "veiled")),
}


def write_store(folder: Path, count: int = 2) -> PreparedStore:
    with StoreWriter(folder) as writer:
        writer.add(image=np.zeros((count, 8, 8, 3), np.uint8), landmarks=np.ones((count, 68, 2), np.float32))
    return PreparedStore(folder)


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("train", "plain", "veiled"):
        write_store(tmp_path / "data" / name)
    write_sets(tmp_path / "data", "faces", DESCRIBED, "both")
    return tmp_path / "data"


def test_what_is_written_is_read(folder):
    found = read_collection(folder)
    assert (found.name, found.sets, found.judged_on) == ("faces", DESCRIBED, "both")
    assert list(found.sets) == list(DESCRIBED)
    assert {name: len(store) for name, store in found.stores.items()} == {"train": 2, "plain": 2, "veiled": 2}


def test_a_folder_without_its_description_is_not_finished(folder):
    (folder / SETS).unlink()
    with pytest.raises(OccfitError, match=r"no prepared data.*occfit prepare"):
        read_collection(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 99}, "format 99"),
        ({"surplus": 1}, "surplus"),
        ({"sets": {"../plain": {"title": "outside"}}}, "can't be called '../plain'"),
        ({"sets": {"train": {"title": "no test"}}}, "can't be called 'train'"),
        ({"sets": {"plain": {}}}, "title"),
        ({"judged_on": 3}, "judged_on"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(folder, change, reason):
    content = json.loads((folder / SETS).read_text())
    (folder / SETS).write_text(json.dumps(content | change))
    with pytest.raises(OccfitError, match=reason):
        read_collection(folder)


def test_a_torn_description_is_refused(folder):
    (folder / SETS).write_text("{")
    with pytest.raises(OccfitError, match="can't be read"):
        read_collection(folder)


@pytest.mark.parametrize(
    ("sets", "judged_on", "reason"),
    [
        ({"missing": SetDescription("missing")}, None, "neither pictures nor parts"),
        (
            {"plain": DESCRIBED["plain"], "all": SetDescription("all", ("plain", "missing"))},
            None,
            "union with 'missing'",
        ),
        ({"plain": SetDescription("plain")}, "veiled", "judged on 'veiled'"),
    ],
)
def test_sets_that_are_not_there_are_refused(folder, sets, judged_on, reason):
    with pytest.raises(OccfitError, match=reason):
        write_sets(folder, "faces", sets, judged_on)


def test_a_store_that_no_set_describes_is_refused(folder):
    store = PreparedStore(folder / "plain")
    with pytest.raises(OccfitError, match="'stray' has pictures, but no description"):
        Splits({"train": TrainingPart(store)}, test={"stray": store})
