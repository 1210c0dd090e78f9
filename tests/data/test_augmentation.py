"""Augmentation: picture, masks and landmarks move together; the same numbers give the same sample."""

from typing import Any

import cv2
import numpy as np
import pytest

from occfit.data.augmentation import Augmentation
from occfit.errors import OccfitError
from occfit.face_model.ibug_landmarks import FLIP

pytestmark = pytest.mark.unit

SIZE = 96
STILL: dict[str, Any] = {"shift": 0.0, "scale": 0.0, "rotation": 0.0, "flip": 0.0, "photometric": 0.0}
MOVE = Augmentation(photometric=0)


def make_arrays(count: int = 4) -> dict[str, np.ndarray]:
    """Pictures with one bright blob at each of a few landmarks, and a mask that covers the blobs."""
    rng = np.random.default_rng(1)
    landmarks = rng.uniform(0.4 * SIZE, 0.6 * SIZE, (count, 68, 2)).astype(np.float32)
    landmarks[:, :3] = [[30.5, 40.5], [60.5, 30.5], [48.0, 66.0]]
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    blobs = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 12.5) for x, y in landmarks[0, :3]]
    image = np.stack([np.round(255 * blob) for blob in blobs], axis=-1).astype(np.uint8)
    mask = ((image > 30).any(axis=-1) * 255).astype(np.uint8)
    return {
        "image": np.stack([image] * count),
        "landmarks": landmarks,
        "visibility": np.stack([mask] * count),
        "face_region": np.stack([mask] * count),
        "params": np.zeros((count, 257), np.float32),
        "held_out": np.zeros(count, bool),
    }


def rngs(count: int = 4, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng((seed, sample)) for sample in range(count)]


def centroid(plane: np.ndarray) -> tuple[float, float]:
    rows, columns = np.mgrid[: plane.shape[0], : plane.shape[1]] + 0.5
    weight = plane.astype(np.float64)
    return (columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()


def test_without_any_change_a_sample_stays_as_it_is():
    arrays = make_arrays()
    found = Augmentation(**STILL)(arrays, rngs())
    for name in ("image", "landmarks", "visibility", "face_region"):
        assert np.array_equal(found[name], arrays[name]), name


def test_the_true_parameters_do_not_survive():
    found = MOVE(make_arrays(), rngs())
    assert set(found) == {"image", "landmarks", "visibility", "face_region", "held_out"}


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_landmarks_stay_on_what_they_mark(flip):
    """Each colour channel has one blob, at landmark 0, 1 or 2: its centroid must be the moved landmark."""
    arrays = make_arrays(12)
    found = Augmentation(flip=flip, photometric=0)(arrays, rngs(12))
    names = FLIP.tolist() if flip else range(68)
    for sample in range(12):
        for channel in range(3):
            place = centroid(found["image"][sample, :, :, channel])
            landmark = found["landmarks"][sample, names[channel]]
            assert np.abs(place - landmark).max() < 0.06


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_masks_move_with_the_picture_and_stay_binary(flip):
    """A disc stays a disc: only pixels whose centre is within one pixel of its edge may be on the wrong side."""
    arrays = make_arrays(8)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    disc = np.hypot(columns - 44, rows - 50) < 25
    arrays["visibility"] = np.stack([disc * np.uint8(255)] * 8)
    augmentation = Augmentation(flip=flip, photometric=0)
    found = augmentation(arrays, rngs(8))["visibility"]
    assert set(np.unique(found)) == {0, 255}
    matrices, _ = augmentation.moves(np.stack([rng.random(5) for rng in rngs(8)]), (SIZE, SIZE))
    for mask, matrix in zip(found, matrices, strict=True):
        x, y = matrix @ [44, 50, 1]
        distance = np.hypot(columns - x, rows - y) - 25 * np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        assert (mask[distance < -1] == 255).all()
        assert (mask[distance > 1] == 0).all()


def test_the_mirror_image_is_exact():
    arrays = make_arrays()
    found = Augmentation(**{**STILL, "flip": 1.0})(arrays, rngs())
    assert np.array_equal(found["image"], arrays["image"][:, :, ::-1])
    assert np.array_equal(found["visibility"], arrays["visibility"][:, :, ::-1])
    mirrored = np.stack([SIZE - arrays["landmarks"][..., 0], arrays["landmarks"][..., 1]], axis=-1)
    assert np.array_equal(found["landmarks"], mirrored[:, FLIP.numpy()])


def test_the_mirror_image_comes_half_of_the_time():
    _, is_mirrored = MOVE.moves(np.random.default_rng(0).random((2000, 5)), (SIZE, SIZE))
    assert 0.46 < is_mirrored.mean() < 0.54


def test_moves_fill_their_ranges():
    draws = np.random.default_rng(0).random((2000, 5))
    matrices, is_mirrored = Augmentation(flip=0.0).moves(draws, (224, 224))
    assert not is_mirrored.any()
    scale = np.sqrt(np.linalg.det(matrices[:, :, :2]))
    angle = np.rad2deg(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    shift = matrices @ [112, 112, 1] - 112
    for values, low, high in ((scale, 0.9, 1.1), (angle, -10, 10), (shift, -10, 10)):
        assert low <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high


def test_all_landmarks_stay_also_outside_the_picture():
    arrays = make_arrays()
    arrays["landmarks"][:, 5] = [0.2, SIZE - 0.2]
    found = Augmentation(shift=0.5)(arrays, rngs())
    assert found["landmarks"].shape == (4, 68, 2)
    outside = (found["landmarks"] < 0) | (found["landmarks"] > SIZE)
    assert outside.any()
    assert np.isfinite(found["landmarks"]).all()


@pytest.mark.parametrize("photometric", [0.0, 1.0])
def test_what_comes_from_outside_is_black_and_not_visible(photometric):
    arrays = make_arrays(1)
    arrays["image"][:], arrays["visibility"][:] = 200, 255
    found = Augmentation(shift=0.4, scale=0, rotation=0, photometric=photometric)(arrays, rngs(1, seed=2))
    outside = (found["visibility"][0] == 0).astype(np.uint8)
    assert 0.05 < outside.mean() < 0.9
    apart = np.ones((5, 5), np.uint8)
    assert (found["image"][0][cv2.erode(outside, apart) == 1] == 0).all()
    assert (found["image"][0][cv2.dilate(outside, apart) == 0] > 100).all()


def test_the_same_numbers_give_the_same_sample_whatever_the_batch():
    arrays, augmentation = make_arrays(8), Augmentation()
    whole = augmentation(arrays, rngs(8))
    for part in (slice(0, 1), slice(1, 4), slice(7, 8)):
        alone = augmentation({name: value[part] for name, value in arrays.items()}, rngs(8)[part])
        for name in alone:
            assert np.array_equal(alone[name], whole[name][part]), name
    other = augmentation(arrays, rngs(8, seed=1))
    assert not np.array_equal(other["image"], whole["image"])


def test_only_pixel_values_are_photometric():
    arrays = make_arrays(16)
    found = Augmentation(**{**STILL, "photometric": 1.0})(arrays, rngs(16))
    changed = [not np.array_equal(a, b) for a, b in zip(arrays["image"], found["image"], strict=True)]
    assert 8 < sum(changed) < 16
    assert np.array_equal(found["landmarks"], arrays["landmarks"])
    assert np.array_equal(found["visibility"], arrays["visibility"])


def test_a_black_border_stays_black():
    """Up to what noise and JPEG leave there; brightening would make it grey."""
    arrays = make_arrays(40)
    arrays["image"][:, :, 48:] = 180
    arrays["image"][:, :, :48] = 0
    found = Augmentation(**{**STILL, "photometric": 1.0})(arrays, rngs(40))["image"]
    assert found[:, :, :32].mean(axis=(1, 2, 3)).max() < 8
    assert found[:, :, 64:].mean(axis=(1, 2, 3)).std() > 10


def test_the_stored_arrays_are_left_alone():
    arrays = make_arrays()
    before = {name: value.copy() for name, value in arrays.items()}
    Augmentation()(arrays, rngs())
    assert all(np.array_equal(arrays[name], before[name]) for name in arrays)


def test_samples_without_masks_are_augmented():
    arrays = {name: value for name, value in make_arrays().items() if name in ("image", "landmarks")}
    assert set(Augmentation()(arrays, rngs())) == {"image", "landmarks"}


@pytest.mark.parametrize(
    ("name", "value"), [("shift", -0.1), ("scale", 1.0), ("flip", 1.5), ("rotation", 200.0)]
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(OccfitError, match=f"{name} is {value}"):
        Augmentation(**{name: value})
