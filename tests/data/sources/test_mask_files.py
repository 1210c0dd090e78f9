"""Masks from files: every way to write black and white gives the same mask."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from occfit.data.sources.mask_files import read_mask
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit

SHAPE = (12, 16)
CASES = Path(__file__).parents[4] / "shared" / "cases" / "masks"


@pytest.fixture
def face() -> np.ndarray:
    where = np.zeros(SHAPE, bool)
    where[3:9, 4:11] = True
    return where


def as_palette(face: np.ndarray) -> Image.Image:
    picture = Image.fromarray(face.astype(np.uint8))
    picture = picture.convert("P")
    picture.putpalette([0, 0, 0, 0, 255, 0])
    return picture


WAYS = {
    "grey": lambda face: Image.fromarray(face.astype(np.uint8) * 255),
    "zero and one": lambda face: Image.fromarray(face.astype(np.uint8)),
    "one bit": lambda face: Image.fromarray(face.astype(np.uint8) * 255).convert("1"),
    "RGB": lambda face: Image.fromarray(np.repeat(face[..., None], 3, axis=2).astype(np.uint8) * 255),
    "red": lambda face: Image.fromarray(face[..., None] * np.array([255, 0, 0], np.uint8)),
    "palette": as_palette,
    "16 bits": lambda face: Image.fromarray(face.astype(np.uint16) * 65535),
}


@pytest.mark.parametrize("way", WAYS)
def test_white_is_visible_and_black_is_not(tmp_path, face, way):
    WAYS[way](face).save(tmp_path / "mask.png")
    visibility, known = read_mask(tmp_path / "mask.png", SHAPE)
    assert np.array_equal(visibility, face * 255)
    assert (known == 255).all()


def test_grey_is_unknown(tmp_path, face):
    Image.fromarray(np.where(face, 128, 255).astype(np.uint8)).save(tmp_path / "mask.png")
    visibility, known = read_mask(tmp_path / "mask.png", SHAPE)
    assert np.array_equal(known, ~face * 255)
    assert np.array_equal(visibility, ~face * 255)


def test_a_mask_of_another_size_is_refused(tmp_path, face):
    Image.fromarray(face.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    with pytest.raises(OccfitError, match="The mask has 16 x 12 pixels, the photograph 16 x 13"):
        read_mask(tmp_path / "mask.png", (13, 16))


def test_several_colours_are_refused(tmp_path, face):
    colours = np.where(face[..., None], [255, 0, 0], [0, 255, 0]).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "mask.png")
    with pytest.raises(OccfitError, match="several colours"):
        read_mask(tmp_path / "mask.png", SHAPE)


def test_a_torn_mask_is_refused(tmp_path, face):
    Image.fromarray(face.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    (tmp_path / "mask.png").write_bytes((tmp_path / "mask.png").read_bytes()[:50])
    with pytest.raises(OccfitError, match=r"can't be read|isn't a picture"):
        read_mask(tmp_path / "mask.png", SHAPE)


def test_three_masks_that_broke_something_are_one_mask():
    if not CASES.is_dir():
        pytest.skip("the small broken inputs aren't here")
    first, *others = (
        read_mask(CASES / f"{name}.png", (64, 64))[0] for name in ("m255", "m01", "palette_green")
    )
    assert first.any()
    assert all(np.array_equal(first, other) for other in others)
