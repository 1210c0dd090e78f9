from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from occfit.data.synthetic import KINDS, WorldConfig, prepare_synthetic, recognition_identities
from occfit.data.synthetic.workshop import render_samples, suitable_workers
from occfit.errors import OccfitError
from occfit.face_model import MorphableModel

pytestmark = pytest.mark.unit

SMALL = WorldConfig(seed=5, train=18, validation=4, test=3, pictures_per_person=4)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def stores(face_model: MorphableModel, cache: Path):
    return prepare_synthetic(SMALL, face_model, cache, progress=False)


def test_stores_have_their_counts(stores):
    counts = {split: len(store) for split, store in stores.items()}
    assert counts == SMALL.counts()
    assert list(counts)[:2] == ["train", "validation"]
    assert counts["neutral"] == 3


def test_what_is_stored_is_what_was_painted(stores, face_model: MorphableModel):
    samples = list(render_samples(SMALL, "train", 18, face_model))
    stored = stores["train"].arrays(range(18))
    for key in ("image", "landmarks", "params", "kind", "held_out", "identity"):
        expected = np.concatenate([getattr(block, key) for block in samples])
        np.testing.assert_array_equal(stored[key], expected, err_msg=key)
    for key in ("visibility", "face_region"):
        expected = np.concatenate([getattr(block, key) for block in samples])
        np.testing.assert_array_equal(stored[key] == 255, expected, err_msg=key)
    np.testing.assert_array_equal(stored["aligned_to_photo"][3], np.eye(2, 3))
    assert stores["train"].provenance(17) == "synthetic/train/17"
    assert stores["train"].metadata["kinds"] == list(KINDS)


def test_a_batch_knows_everything(stores):
    batch = stores["scarf"].batch([0, 2])
    assert batch.image.shape == (2, 3, 64, 64)
    assert batch.visibility is not None
    assert 0.05 < batch.visibility.mean() < 0.6
    assert batch.params is not None
    assert batch.held_out is not None


def test_a_second_call_paints_nothing(stores, face_model: MorphableModel, cache: Path):
    before = {store.folder: store.folder.stat().st_mtime_ns for store in stores.values()}
    again = prepare_synthetic(SMALL, face_model, cache, progress=False)
    assert {store.folder: store.folder.stat().st_mtime_ns for store in again.values()} == before


def test_more_training_samples_leave_the_test_sets(stores, face_model: MorphableModel, cache: Path):
    larger = prepare_synthetic(replace(SMALL, train=20), face_model, cache, progress=False)
    assert larger["train"].folder != stores["train"].folder
    assert larger["overall"].folder == stores["overall"].folder
    np.testing.assert_array_equal(
        larger["train"].arrays(range(18))["image"], stores["train"].arrays(range(18))["image"]
    )


def test_a_torn_store_is_painted_again(stores, face_model: MorphableModel, cache: Path):
    folder = stores["neutral"].folder
    digest = stores["neutral"].digest
    shard = next(folder.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:1000])
    again = prepare_synthetic(SMALL, face_model, cache, progress=False)["neutral"]
    assert again.digest == digest
    again.verify()


def test_identities_come_in_rows(face_model: MorphableModel, cache: Path):
    seen = recognition_identities(SMALL, face_model, cache, people=3, progress=False)
    unseen = recognition_identities(SMALL, face_model, cache, people=3, unseen=True, progress=False)
    np.testing.assert_array_equal(seen.column("identity"), np.repeat([0, 1, 2], 4))
    shapes = seen.arrays(range(12))["params"][:, :80]
    np.testing.assert_array_equal(shapes[0], shapes[3])
    assert np.abs(shapes[0] - shapes[4]).max() > 0.1
    others = unseen.arrays(range(12))["params"][:, :80]
    assert np.abs(shapes[:, None] - others[None]).max(axis=-1).min() > 0.1
    images = seen.arrays(range(4))["image"].astype(int)
    assert np.abs(images[0] - images[1]).mean() > 5


def test_two_that_want_one_world_paint_it_once(face_model: MorphableModel, tmp_path: Path):
    config = replace(SMALL, seed=6, train=4)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(prepare_synthetic, config, face_model, tmp_path, 0, False) for _ in range(2)]
        first, second = (call.result() for call in calls)
    assert first["train"].digest == second["train"].digest
    assert len(list((tmp_path / "synthetic").glob("train-*/manifest.json"))) == 1
    assert not list((tmp_path / "synthetic").glob(".*partial*"))


def test_an_unwritable_cache_is_said(face_model: MorphableModel, tmp_path: Path):
    (tmp_path / "synthetic").write_text("not a folder")
    with pytest.raises(OccfitError, match="cache can't be written"):
        prepare_synthetic(SMALL, face_model, tmp_path, progress=False)


def test_few_samples_need_no_processes():
    assert suitable_workers(50) == 0
