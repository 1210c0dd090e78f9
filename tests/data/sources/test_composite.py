"""Painted occluders over prepared photographs: exactly hidden where painted, elsewhere what the source knows."""

import numpy as np
import pytest
from photo_trees import draw_picture, face_points, nobody

from occfit.data.data_source import SetDescription
from occfit.data.prepared_sets import write_sets
from occfit.data.sources.composite import CompositeSource, paint_onto
from occfit.data.store import PreparedStore, StoreWriter
from occfit.data.synthetic.occluders import KINDS
from occfit.data.synthetic.photo_scene import fit_pose, scene_of
from occfit.errors import OccfitError

SIZE = 64


def write_store(folder, count: int = 6, size: int = SIZE, known: bool = True) -> PreparedStore:
    """The left half is visible face; the upper quarter is unknown, if anything is known at all."""
    visibility, is_known = np.zeros((2, count, size, size), np.uint8)
    visibility[:, :, : size // 2] = 255
    is_known[:, size // 4 :] = 255
    masks = {"visibility": visibility, "known": is_known} if known else {}
    with StoreWriter(folder) as writer:
        writer.add(
            image=np.stack([draw_picture(size, seed) for seed in range(count)]),
            landmarks=np.stack([face_points(size)] * count),
            identity=np.arange(count) // 2,
            aligned_to_photo=np.stack([np.eye(2, 3) * 2] * count),
            provenance=[f"images/p{number}" for number in range(count)],
            **masks,
        )
    return PreparedStore(folder)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collection")
    for name in ("train", "hard"):
        write_store(folder / name)
    write_sets(folder, "images", {"hard": SetDescription("hard ones")}, "hard")
    return folder


def read_all(source: CompositeSource):
    return [source.read(item, nobody) for item in source.items()]


def test_every_sample_and_copy_is_listed(collection):
    items = CompositeSource(store=collection, copies=2).items()
    assert len(items) == 24
    assert [item.name for item in items[:3]] == ["images/p0/copy-0", "images/p0/copy-1", "images/p1/copy-0"]
    assert {item.split for item in items} == {"train", "hard"}
    assert [item.person for item in items[:5]] == ["0", "0", "0", "0", "1"]
    assert CompositeSource(store=collection / "train").items()[0].name == "images/p0"


def test_hidden_where_painted_and_elsewhere_what_was_known(collection):
    stored = PreparedStore(collection / "train").arrays(range(6))
    photos = read_all(CompositeSource(store=collection / "train", occluded=1.0))
    for row, photo in enumerate(photos):
        assert photo.visibility is not None
        assert photo.known is not None
        painted = (
            (photo.known > 0)
            & (photo.visibility == 0)
            & ((stored["visibility"][row] > 0) | (stored["known"][row] == 0))
        )
        beside = ~painted
        assert np.array_equal(photo.known[beside], stored["known"][row][beside])
        known = stored["known"][row] > 0
        assert np.array_equal(photo.visibility[beside & known], stored["visibility"][row][beside & known])
        assert photo.kind > 0
    assert any((photo.image != image).any() for photo, image in zip(photos, stored["image"], strict=True))


def test_without_truth_only_what_is_painted_is_known(tmp_path):
    write_store(tmp_path / "train", known=False)
    photos = read_all(CompositeSource(store=tmp_path / "train", occluded=1.0))
    for photo in photos:
        assert photo.visibility is not None
        assert photo.known is not None
        assert not photo.visibility.any()
        assert set(np.unique(photo.known)) <= {0, 255}
    assert sum(photo.known.any() for photo in photos if photo.known is not None) >= 5


def test_nothing_is_painted_where_nothing_shall_be(collection):
    stored = PreparedStore(collection / "train").arrays(range(6))
    photos = read_all(CompositeSource(store=collection / "train", occluded=0.0))
    assert np.array_equal(np.stack([photo.image for photo in photos]), stored["image"])
    assert all(photo.kind == 0 and not photo.held_out for photo in photos)


def test_samples_depend_on_seed_and_place_alone(collection):
    one = CompositeSource(store=collection / "train", occluded=1.0, copies=2, seed=1)
    items = one.items()
    first, again = one.read(items[5], nobody), one.read(items[5], nobody)
    assert np.array_equal(first.image, again.image)
    others = [
        one.read(items[4], nobody),
        CompositeSource(store=collection / "train", occluded=1.0, copies=2).read(items[5], nobody),
    ]
    assert all((other.image != first.image).any() for other in others)


def test_what_is_held_out_is_never_painted_for_training(collection):
    one = CompositeSource(store=collection, occluded=1.0, copies=4)
    by_split = {split: [] for split in ("train", "hard")}
    for item in one.items():
        by_split[item.split].append(one.read(item, nobody))
    assert not any(photo.held_out for photo in by_split["train"])
    assert any(photo.held_out for photo in by_split["hard"])


def test_stores_of_two_sizes_and_other_folders_are_refused(collection, tmp_path):
    write_store(tmp_path / "train")
    write_store(tmp_path / "hard", size=32)
    write_sets(tmp_path, "images", {"hard": SetDescription("hard ones")}, None)
    with pytest.raises(OccfitError, match=r"differ in size .train 64, hard 32"):
        CompositeSource(store=tmp_path).items()
    with pytest.raises(OccfitError, match="no prepared store"):
        CompositeSource(store=tmp_path / "nothing").items()


def test_a_pose_is_found_from_its_projection(collection):
    scene = scene_of(draw_picture(128).astype(np.float32) / 255, face_points(128))
    angle = 0.4
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    place = np.array([20.0, -15.0, -900.0])
    points = scene.points.astype(np.float64)
    camera = points @ turn.T + place
    landmarks = 64 + camera[:, :2] * [1, -1] * scene.focal / -camera[:, 2:]
    rotation, translation = fit_pose(points, landmarks, 64.0, scene.focal)
    assert np.allclose(rotation, turn, atol=1e-4)
    assert np.allclose(translation, place, atol=0.1)


def test_a_scene_has_its_points_on_the_landmarks_and_its_light_from_the_picture():
    columns = np.linspace(0.1, 0.9, 128, dtype=np.float32)
    picture = np.broadcast_to(columns[None, :, None], (128, 128, 3)).copy()
    shifted = face_points(128) + np.array([3, -2], np.float32)
    scene = scene_of(picture, shifted)
    assert np.allclose(scene.project(scene.points)[0], shifted, atol=0.05)
    assert scene.light_direction()[0][0] > 0.3
    covered = scene.region[:, shifted[:, 0].astype(int)].mean()
    assert 0.4 < covered < 0.95


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("none", "glasses")])
def test_every_kind_hides_something_and_leaves_the_rest(kind):
    image = draw_picture(SIZE)
    everywhere = np.ones((SIZE, SIZE), bool)
    painted, hidden = paint_onto(
        image, face_points(SIZE), everywhere, [(kind, False)], np.random.default_rng(0)
    )
    assert 0.01 < hidden.mean() < 0.9
    changed = np.abs(painted.astype(int) - image).max(axis=-1) > 12
    assert changed[hidden].mean() > 0.7
