"""What hides a part of a picture: where it lies, and that it is never visible face."""

from typing import Any

import numpy as np
import pytest

from occfit.data.augmentation import Augmentation
from occfit.data.patches import CutMix, Cutout, rectangle
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit

SIZE, COUNT = 48, 32
STILL: dict[str, Any] = {"shift": 0.0, "scale": 0.0, "rotation": 0.0, "flip": 0.0, "photometric": 0.0}


class Others:
    """Pictures of a colour that is nowhere else."""

    def __len__(self) -> int:
        return 5

    def arrays(self, indices, fields):
        return {"image": np.full((len(indices), SIZE, SIZE, 3), 250, np.uint8)}


def make_arrays() -> dict[str, np.ndarray]:
    """Pictures without black and without the others' colour; everything is visible face."""
    image = np.random.default_rng(1).integers(60, 200, (COUNT, SIZE, SIZE, 3)).astype(np.uint8)
    masks = {name: np.full((COUNT, SIZE, SIZE), 255, np.uint8) for name in ("visibility", "face_region")}
    return {"image": image, "landmarks": np.zeros((COUNT, 68, 2), np.float32), **masks}


def rngs(seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng((seed, sample)) for sample in range(COUNT)]


PATCHES = [(Cutout(), 0), (CutMix(), 250)]


@pytest.mark.parametrize(("patch", "colour"), PATCHES)
def test_what_is_hidden_is_not_visible_and_the_rest_stays(patch, colour):
    before = make_arrays()
    found = Augmentation(**STILL, patch=patch)(make_arrays(), rngs(), Others())
    hidden = (found["image"] == colour).all(-1)
    assert np.array_equal(found["visibility"] == 0, hidden)
    assert np.array_equal(found["image"][~hidden], before["image"][~hidden])
    assert np.array_equal(found["face_region"], before["face_region"])
    assert 0.3 < hidden.any((1, 2)).mean() < 0.7


@pytest.mark.parametrize(("patch", "colour"), PATCHES)
def test_no_pasted_pixel_is_visible_whatever_else_changes(patch, colour):
    """Under all other changes: no pixel of exactly the patch's colour may count as face."""
    found = Augmentation(photometric=0.0, patch=patch)(make_arrays(), rngs(3), Others())
    pasted = (found["image"] == colour).all(-1)
    assert pasted.any()
    assert found["visibility"][pasted].max() == 0


@pytest.mark.parametrize(("patch", "_"), PATCHES)
def test_the_same_numbers_give_the_same_patch_in_any_batch(patch, _):
    augment = Augmentation(patch=patch)
    whole = augment(make_arrays(), rngs(), Others())
    part = augment({k: v[7:9] for k, v in make_arrays().items()}, rngs()[7:9], Others())
    for name in ("image", "visibility"):
        assert np.array_equal(part[name], whole[name][7:9])


@pytest.mark.parametrize(("patch", "_"), PATCHES)
def test_pictures_without_masks_are_patched_too(patch, _):
    arrays = {k: v for k, v in make_arrays().items() if k in ("image", "landmarks")}
    found = Augmentation(**STILL, patch=patch)(arrays, rngs(), Others())
    assert not np.array_equal(found["image"], make_arrays()["image"])
    assert "visibility" not in found


def test_cutouts_are_squares_of_their_side():
    found = Augmentation(**STILL, patch=Cutout(side=0.25, probability=1))(make_arrays(), rngs())
    hidden = found["visibility"] == 0
    assert set(hidden.sum((1, 2))) == {(SIZE // 4) ** 2}
    assert set(hidden.any(1).sum(1)) == {SIZE // 4}


def test_a_rectangles_area_is_what_isnt_kept():
    rows, columns = rectangle(np.array([0.75, 0.5, 0.5]), 100, 60)
    assert (rows, columns) == (slice(25, 75), slice(15, 45))
    rows, columns = rectangle(np.array([0.75, 0.0, 0.99]), 100, 60)
    assert (rows, columns) == (slice(74, 100), slice(0, 15))


def test_cutmix_needs_other_pictures():
    with pytest.raises(OccfitError, match="other training pictures"):
        Augmentation(patch=CutMix())(make_arrays(), rngs())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cutout(probability=2), "probability is 2"),
        (lambda: CutMix(probability=-1), "probability is -1"),
        (lambda: Cutout(side=1.0), "side is 1.0"),
    ],
)
def test_a_value_out_of_range_is_refused(make, message):
    with pytest.raises(OccfitError, match=message):
        make()
