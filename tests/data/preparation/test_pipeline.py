"""The pipeline: aligned masks, chunks that outlive a stop, the same bits from any number of processes."""

import json

import numpy as np
import pytest
from photo_trees import (
    SIDE,
    celeba_tree,
    images_tree,
    nobody,
    plan_of,
    visible_levels,
    write_levels,
    write_points,
)

from occfit.data.images import read_landmarks
from occfit.data.preparation import pipeline
from occfit.data.preparation.aligned_sample import make_sample
from occfit.data.preparation.chunks import chunk_path, read_record
from occfit.data.preparation.pipeline import WORK, finish, is_finished, prepare, read_rejected
from occfit.data.preparation.store_check import problems
from occfit.data.prepared_sets import read_collection
from occfit.data.similarity import apply, invert
from occfit.data.sources.celebamask_hq import CelebAMaskHQSource
from occfit.data.sources.image_folder import ImagesSource
from occfit.data.store import PreparedStore
from occfit.errors import OccfitError


def source(tree, **settings) -> ImagesSource:
    return ImagesSource(root=tree / "img", landmarks=tree / "landmarks", masks=tree / "masks", **settings)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return images_tree(tmp_path_factory.mktemp("tree"), count=12)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(pipeline, "CHUNK", 4)


def digests(output) -> dict[str, str]:
    return {name: store.digest for name, store in read_collection(output).stores.items()}


def complete(plan, output, workers: int = 0):
    assembled = prepare(plan, output, workers)
    finish(plan, assembled, output)
    return assembled


def test_a_sample_is_aligned_with_its_masks_and_leads_back(tree):
    levels = visible_levels()
    levels[:, : SIDE // 2] = 128
    write_levels(tree / "half" / "p0.png", levels)
    one = ImagesSource(root=tree / "img", landmarks=tree / "landmarks", masks=tree / "half")
    plan = plan_of(one, size=48)
    sample = make_sample(one, plan.items[0], plan.geometry, nobody)
    assert np.allclose(sample.landmarks, plan.geometry.template, atol=0.05)
    assert set(np.unique(sample.known)) == {0, 255}
    edge = apply(invert(sample.aligned_to_photo), np.array([[SIDE / 2, SIDE / 2]]))[0, 0]
    known = sample.known[24] > 0
    assert not known[: int(edge)].any()
    assert known[int(edge) + 2 :].all()
    assert not sample.visibility[sample.known == 0].any()
    assert sample.visibility[24, int(edge) + 3] == 255
    photo_points = read_landmarks(tree / "landmarks" / "p0.csv")
    assert np.allclose(apply(sample.aligned_to_photo, sample.landmarks), photo_points, atol=0.02)


def test_outside_a_photograph_with_a_mask_is_no_face(tree):
    one = source(tree)
    plan = plan_of(one, size=48)
    points = read_landmarks(tree / "landmarks" / "p0.csv")
    write_points(tree / "aside" / "p0.csv", points - [SIDE / 4, 0])
    moved = ImagesSource(root=tree / "img", landmarks=tree / "aside", masks=tree / "masks")
    sample = make_sample(moved, moved.items()[0], plan.geometry, nobody)
    assert not sample.image[:, :4].any()
    assert (sample.known[:, :4] == 255).all()
    assert not sample.visibility[:, :4].any()


def test_processes_and_stops_change_no_bit(tree, tmp_path, small_chunks):
    whole = plan_of(source(tree, validation=0.2, test=0.2))
    complete(whole, tmp_path / "one")
    complete(whole, tmp_path / "two", workers=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")

    def stop(record, is_new) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(whole, tmp_path / "stopped", 0, stop)
    assert read_record(chunk_path(tmp_path / "stopped" / WORK, 0)) is not None
    chunk_path(tmp_path / "stopped" / WORK, 1).write_bytes(b"torn")
    made = []
    assembled = prepare(whole, tmp_path / "stopped", 0, lambda record, is_new: made.append(is_new))
    finish(whole, assembled, tmp_path / "stopped")
    assert made == [False, True, True]
    assert digests(tmp_path / "stopped") == digests(tmp_path / "one")
    assert not (tmp_path / "stopped" / WORK).exists()


def test_a_finished_folder_is_known_and_another_plan_refused(tree, tmp_path):
    plan = plan_of(source(tree))
    assert not is_finished(plan, tmp_path / "out")
    complete(plan, tmp_path / "out")
    assert is_finished(plan, tmp_path / "out")
    with pytest.raises(OccfitError, match=r"prepared in another way.*output="):
        is_finished(plan_of(source(tree), size=48), tmp_path / "out")
    with pytest.raises(OccfitError, match="holds something else"):
        is_finished(plan, tree)


def test_an_unfinished_folder_belongs_to_its_plan(tree, tmp_path):
    prepare(plan_of(source(tree)), tmp_path / "out", 0)
    with pytest.raises(OccfitError, match="Other settings or other photographs"):
        prepare(plan_of(source(tree, seed=1)), tmp_path / "out", 0)


def test_two_do_not_prepare_the_same_folder_at_a_time(tree, tmp_path):
    plan = plan_of(source(tree))
    with pipeline.alone(tmp_path / "out" / WORK), pytest.raises(OccfitError, match="Another process"):
        prepare(plan, tmp_path / "out", 0)
    complete(plan, tmp_path / "out")


def test_a_plans_digest_depends_on_what_matters(tree):
    plan = plan_of(source(tree))
    assert plan.digest == plan_of(source(tree)).digest
    others = [plan_of(source(tree), size=40), plan_of(source(tree), limit=3), plan_of(source(tree, seed=2))]
    assert len({plan.digest, *(other.digest for other in others)}) == 4


def test_a_limit_takes_the_first_of_each_split(tree):
    items = plan_of(source(tree, validation=0.4), limit=2).items
    assert sorted(item.split for item in items) == ["train", "train", "validation", "validation"]


def test_bad_samples_are_listed_and_the_others_done(tmp_path):
    tree = images_tree(tmp_path, count=6)
    torn = tree / "img" / "p1.jpg"
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    lines = (tree / "landmarks" / "p2.csv").read_text().splitlines()
    (tree / "landmarks" / "p2.csv").write_text("\n".join(lines[:-1]))
    (tree / "landmarks" / "p3.csv").unlink()
    write_levels(tree / "masks" / "p4.png", np.zeros((5, 6)))
    points = read_landmarks(tree / "landmarks" / "p5.csv")
    write_points(tree / "landmarks" / "p5.csv", points * [-1, 1] + [SIDE, 0])
    plan = plan_of(source(tree, validation=0.0))
    assembled = complete(plan, tmp_path / "out")
    assert (assembled.counts, assembled.rejected) == ({"train": 1}, 5)
    reasons = dict(read_rejected(tmp_path / "out" / "rejected.csv"))
    expected = {
        "p1": "can't be read",
        "p2": "67 rows, not 68",
        "p3": "There are no landmarks",
        "p4": "The mask has 6 x 5 pixels, the photograph 96 x 96",
        "p5": "left and right swapped",
    }
    assert list(reasons) == list(expected)
    assert all(text in reasons[name] and "\n" not in reasons[name] for name, text in expected.items())


def test_nothing_left_is_one_error_and_can_be_mended(tmp_path):
    tree = images_tree(tmp_path, count=2)
    good = (tree / "landmarks" / "p0.csv").read_text()
    for path in (tree / "landmarks").iterdir():
        path.write_text("1,1\n")
    reason = r"Not one of 2 photographs can be used.*'p0': The landmarks have 1 rows"
    with pytest.raises(OccfitError, match=reason):
        prepare(plan_of(source(tree, validation=0.0)), tmp_path / "out", 0)
    assert len(read_rejected(tmp_path / "out" / "rejected.csv")) == 2
    (tree / "landmarks" / "p0.csv").write_text(good)
    mended = plan_of(source(tree, validation=0.0))
    assert not is_finished(mended, tmp_path / "out")
    assert complete(mended, tmp_path / "out").counts == {"train": 1}


@pytest.fixture(scope="module")
def celeba(tmp_path_factory):
    folder = tmp_path_factory.mktemp("celeba")
    tree = celeba_tree(folder / "tree")
    plan = plan_of(CelebAMaskHQSource(root=tree, landmarks=tree / "landmarks"))
    complete(plan, folder / "out")
    return folder / "out"


def test_one_photograph_can_be_in_two_test_sets(celeba):
    found = read_collection(celeba)
    names = {
        name: [store.provenance(row) for row in range(len(store))] for name, store in found.stores.items()
    }
    assert names == {
        "train": ["celebamask_hq/0"],
        "validation": ["celebamask_hq/1"],
        "unoccluded": ["celebamask_hq/2"],
        "occluded": ["celebamask_hq/3", "celebamask_hq/4"],
        "overall": ["celebamask_hq/2", "celebamask_hq/3", "celebamask_hq/4"],
    }
    assert found.judged_on == "overall"
    assert "known" not in found.stores["overall"].fields
    assert any("Hands" in note for note in found.stores["overall"].metadata["notes"])
    assert list(problems(celeba)) == []


@pytest.fixture
def store(tree, tmp_path) -> PreparedStore:
    complete(plan_of(source(tree, validation=0.3)), tmp_path / "out")
    return PreparedStore(tmp_path / "out" / "train")


def test_a_changed_byte_is_found(store):
    shard = store.folder / "shard-00000.safetensors"
    content = bytearray(shard.read_bytes())
    content[-100] ^= 1
    shard.write_bytes(content)
    assert "isn't what was written" in next(problems(store.folder))


def test_a_store_of_another_version_is_named(store):
    manifest = store.folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    assert "format 99" in next(problems(store.folder.parent))
    with pytest.raises(OccfitError, match="format 99"):
        next(problems(store.folder))


def test_masks_and_landmarks_that_contradict_are_found(store, tmp_path):
    from occfit.data.store import StoreWriter

    arrays = store.arrays(range(4))
    region = np.zeros_like(arrays["visibility"])
    with StoreWriter(tmp_path / "bad") as writer:
        writer.add(
            image=np.zeros_like(arrays["image"]),
            landmarks=arrays["landmarks"] + np.float32(60),
            visibility=arrays["visibility"],
            face_region=region,
        )
    found = list(problems(tmp_path / "bad"))
    assert [line.split(", first")[0] for line in found] == [
        "4 of 4 samples have landmarks outside the picture",
        "4 of 4 samples are of one colour",
        "4 of 4 samples show the face outside its region",
    ]


def test_a_photograph_that_is_trained_and_tested_on_is_found(store):
    import shutil

    folder = store.folder.parent
    shutil.rmtree(folder / "validation")
    shutil.copytree(folder / "train", folder / "validation")
    assert f"{len(store)} photographs are in train and in validation" in list(problems(folder))[-1]
