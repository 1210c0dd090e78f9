"""The prepared store: what is written is read, in any order, and a torn store is never taken for a whole one."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from occfit.data.store import PreparedStore, StoreWriter
from occfit.data.store_format import FIELDS
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit

COUNT, HEIGHT, WIDTH = 23, 6, 8


def make_samples(count: int = COUNT, seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8),
        "landmarks": rng.uniform(0, 8, (count, 68, 2)).astype(np.float32),
        "visibility": rng.random((count, HEIGHT, WIDTH)) < 0.5,
        "known": np.ones((count, HEIGHT, WIDTH), bool),
        "face_region": rng.random((count, HEIGHT, WIDTH)) < 0.7,
        "params": rng.standard_normal((count, 257)).astype(np.float32),
        "kind": rng.integers(0, 9, count),
        "held_out": rng.random(count) < 0.2,
        "identity": rng.integers(0, 400, count),
        "aligned_to_photo": rng.standard_normal((count, 2, 3)),
        "provenance": [f"tests/ä/{'x' * i}" for i in range(count)],
    }


def write(folder: Path, samples: dict, shard_size: int = 5, step: int = 4) -> PreparedStore:
    with StoreWriter(folder, {"kinds": ["none", "scarf"]}, shard_size) as writer:
        for start in range(0, len(samples["image"]), step):
            writer.add(**{name: value[start : start + step] for name, value in samples.items()})
    return PreparedStore(folder)


@pytest.fixture
def store(tmp_path) -> PreparedStore:
    return write(tmp_path / "store", make_samples())


def test_nothing_is_visible_where_nobody_knows(tmp_path):
    samples = make_samples()
    samples["known"] = np.random.default_rng(1).random((COUNT, HEIGHT, WIDTH)) < 0.5
    batch = write(tmp_path / "store", samples).batch(range(COUNT))
    assert batch.visibility is not None
    known, visible = batch.known_pixels().numpy()[:, 0] > 0, batch.visibility.numpy()[:, 0] > 0
    assert np.array_equal(known, samples["known"])
    assert np.array_equal(visible, samples["known"] & samples["visibility"])


def test_what_is_written_is_read_in_any_order(store):
    samples, indices = make_samples(), [22, 0, 7, 7, 14]
    batch = store.batch(indices)
    expected = samples["image"][indices].transpose(0, 3, 1, 2) / np.float32(255)
    assert np.array_equal(batch.image.numpy(), expected)
    assert torch.equal(batch.landmarks, torch.from_numpy(samples["landmarks"][indices]))
    assert np.array_equal(batch.visibility.numpy()[:, 0], samples["visibility"][indices])
    assert np.array_equal(batch.face_region.numpy()[:, 0], samples["face_region"][indices])
    assert np.array_equal(batch.known_pixels().numpy()[:, 0], samples["known"][indices])
    assert np.array_equal(batch.params.numpy(), samples["params"][indices])
    assert np.array_equal(batch.held_out.numpy(), samples["held_out"][indices])
    assert batch.index.tolist() == indices


def test_a_sample_is_a_batch_of_one(store):
    assert len(store) == COUNT
    assert store.size == (HEIGHT, WIDTH)
    assert torch.equal(store[-1].image, store.batch([COUNT - 1]).image)
    with pytest.raises(IndexError):
        store[COUNT]
    with pytest.raises(IndexError):
        store.batch([-1])


def test_columns_provenance_and_metadata(store):
    samples = make_samples()
    for name in ("kind", "identity", "held_out", "aligned_to_photo"):
        assert np.array_equal(store.column(name), samples[name])
        assert store.column(name).dtype == FIELDS[name].dtype
    assert [store.provenance(index) for index in range(COUNT)] == samples["provenance"]
    assert store.metadata == {"kinds": ["none", "scarf"]}


def test_what_is_not_kept_is_none(tmp_path):
    samples = make_samples()
    store = write(tmp_path / "store", {name: samples[name] for name in ("image", "landmarks")})
    batch = store.batch([0, 1])
    assert (batch.visibility, batch.params, batch.held_out, batch.face_region) == (None,) * 4
    assert store.column("identity") is None
    assert store.provenance(3) is None


@pytest.mark.parametrize("mask", [np.float32, np.uint8, bool])
def test_masks_may_be_bool_bytes_or_probabilities(tmp_path, mask):
    samples = make_samples()
    truth = samples["visibility"]
    samples["visibility"] = truth.astype(mask) * mask(255 if mask is np.uint8 else 1)
    visibility = write(tmp_path / "store", samples).batch(range(COUNT)).visibility
    assert visibility is not None
    assert np.array_equal(visibility.numpy()[:, 0], truth)


def test_the_digest_is_of_the_samples_alone(tmp_path):
    samples = make_samples()
    stores = [
        write(tmp_path / f"{size}-{step}", samples, size, step) for size, step in [(5, 4), (7, 1), (99, 23)]
    ]
    assert len({store.digest for store in stores}) == 1
    for name in samples:
        other = make_samples()
        if name == "provenance":
            other[name][3] = "elsewhere"
        else:
            value = other[name][3]
            other[name][3] = ~value if value.dtype == bool else value + 1
        assert write(tmp_path / name, other).digest != stores[0].digest, name
    without = {name: value for name, value in samples.items() if name != "identity"}
    assert write(tmp_path / "without", without).digest != stores[0].digest


def test_the_digest_finds_a_changed_byte(store):
    store.verify()
    shard = store.folder / "shard-00001.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(OccfitError, match="isn't what was written"):
        PreparedStore(store.folder).verify()


def test_a_store_goes_to_another_process_as_its_folder(store):
    store.batch([0])
    content = pickle.dumps(store)
    assert len(content) < 1000
    assert torch.equal(pickle.loads(content).batch([3]).image, store.batch([3]).image)


def test_a_missing_store_is_named(tmp_path):
    with pytest.raises(OccfitError, match=r"no prepared store.*nowhere.*Prepare the data first"):
        PreparedStore(tmp_path / "nowhere")


def test_another_format_is_refused(store):
    manifest = store.folder / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    with pytest.raises(OccfitError, match="format 99"):
        PreparedStore(store.folder)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', "\x00"])
def test_a_broken_manifest_is_refused(store, content):
    (store.folder / "manifest.json").write_text(content)
    with pytest.raises(OccfitError, match=r"manifest|format"):
        PreparedStore(store.folder)


@pytest.mark.parametrize("left", [0, 10, -1])
def test_a_shard_cut_short_is_refused(store, left):
    shard = store.folder / "shard-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:left])
    with pytest.raises(OccfitError, match="torn"):
        PreparedStore(store.folder)


def test_a_missing_shard_is_refused(store):
    (store.folder / "shard-00004.safetensors").unlink()
    with pytest.raises(OccfitError, match=r"missing.*shard-00004"):
        PreparedStore(store.folder)


def test_a_shard_that_is_something_else_is_refused(store):
    shard = store.folder / "shard-00000.safetensors"
    shard.write_bytes(b"\xff" * shard.stat().st_size)
    with pytest.raises(OccfitError, match="can't be read"):
        PreparedStore(store.folder).batch([0])


def test_a_store_without_samples_is_refused(tmp_path):
    with pytest.raises(OccfitError, match="Nothing was added"), StoreWriter(tmp_path / "store"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_exception_leaves_nothing(tmp_path):
    def fill() -> None:
        with StoreWriter(tmp_path / "store", shard_size=2) as writer:
            writer.add(**make_samples())
            assert not (tmp_path / "store").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_replaced_and_a_stranger_is_not(tmp_path):
    old = write(tmp_path / "store", make_samples())
    image = old.batch([0]).image
    new = write(tmp_path / "store", make_samples(seed=1))
    assert torch.equal(old.batch([0]).image, image)
    assert not torch.equal(new.batch([0]).image, image)
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.tex").touch()
    with pytest.raises(OccfitError, match="replace something else"):
        StoreWriter(tmp_path / "papers")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OccfitError, match="can't be written"):
        StoreWriter(tmp_path / "file" / "store")


@pytest.mark.parametrize("name", ["landmarks", "params"])
def test_values_that_are_not_numbers_are_refused(tmp_path, name):
    samples = make_samples()
    samples[name][6, 3] = np.nan
    with pytest.raises(OccfitError, match=f"{name} hold.*tests/ä/xxxxxx"):
        write(tmp_path / "store", samples, step=COUNT)


def test_every_call_gives_the_same_fields_and_sizes(tmp_path):
    samples = make_samples()
    writer = StoreWriter(tmp_path / "store")
    writer.add(**samples)
    with pytest.raises(ValueError, match="keeps image"):
        writer.add(image=samples["image"], landmarks=samples["landmarks"])
    with pytest.raises(ValueError, match="different lengths"):
        writer.add(**{**samples, "provenance": samples["provenance"][:5]})
    pixels = ("image", "visibility", "known", "face_region")
    lower = {name: samples[name][:, 1:] for name in pixels}
    with pytest.raises(ValueError, match="pixels"):
        writer.add(**{**samples, **lower})
    writer.discard()
