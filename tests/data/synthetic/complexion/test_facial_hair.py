import numpy as np
import pytest

from occfit.data.synthetic.complexion.facial_hair import BEARDS, grow_beard, grow_brows
from occfit.data.synthetic.complexion.skin_sheet import SkinSheet
from occfit.data.synthetic.drawing import fill
from occfit.data.synthetic.faces import mean_landmarks
from occfit.face_model import MorphableModel

pytestmark = pytest.mark.unit

DARK = np.array([0.06, 0.04, 0.03], np.float32)


@pytest.fixture(scope="module")
def sheet(face_model: MorphableModel) -> SkinSheet:
    return SkinSheet(128, mean_landmarks(face_model))


def drawn(grow, sheet: SkinSheet, count: int = 60) -> list[np.ndarray]:
    return [grow(sheet, np.random.default_rng(seed), DARK) for seed in range(count)]


def test_beards_grow_in_one_picture_of_four_and_leave_lips_and_brow_bare(sheet: SkinSheet):
    pictures = drawn(grow_beard, sheet, 120)
    bearded = [picture for picture in pictures if (picture < 0.9).any()]
    assert 0.15 < len(bearded) / len(pictures) < 0.35
    lips = fill([sheet.marks[48:60]], sheet.size) > 0.99
    forehead = np.arange(sheet.size) < sheet.marks[27, 1]
    for picture in bearded:
        assert 0 < picture.min() <= picture.max() <= 1
        assert picture[lips].mean() > 0.85
        assert (picture[forehead] > 0.97).all()
    assert len(BEARDS) == 4


def test_brows_grow_on_the_brows(sheet: SkinSheet):
    pictures = drawn(grow_brows, sheet)
    grown = [picture for picture in pictures if (picture < 0.9).any()]
    assert 0.4 < len(grown) / len(pictures) < 0.9
    rows = np.arange(sheet.size)
    near = np.abs(rows - sheet.marks[17:27, 1].mean()) < 16 * sheet.scale
    for picture in grown:
        assert picture[near].min() < 0.9
        assert (picture[~near] > 0.99).all()
