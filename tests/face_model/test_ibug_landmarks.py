import pytest
import torch

from occfit.face_model.ibug_landmarks import BROWS, CONTOUR, COUNT, EYES, FLIP, MOUTH, NOSE, paper_weights

pytestmark = pytest.mark.unit


def test_flip_is_its_own_inverse():
    assert torch.equal(FLIP[FLIP], torch.arange(COUNT))


@pytest.mark.parametrize("group", [CONTOUR, BROWS, NOSE, EYES, MOUTH])
def test_flip_stays_within_groups(group: slice):
    assert torch.equal(FLIP[group].sort().values, torch.arange(COUNT)[group])


def test_groups_cover_every_point_once():
    points = torch.cat([torch.arange(COUNT)[group] for group in (CONTOUR, BROWS, NOSE, EYES, MOUTH)])
    assert torch.equal(points, torch.arange(COUNT))


@pytest.mark.parametrize(
    ("point", "image"), [(0, 16), (8, 8), (17, 26), (30, 30), (31, 35), (36, 45), (37, 44)]
)
def test_flip_of_well_known_points(point: int, image: int):
    assert FLIP[point] == image


@pytest.mark.parametrize(
    ("point", "image"), [(39, 42), (41, 46), (48, 54), (51, 51), (60, 64), (61, 63), (67, 65)]
)
def test_flip_of_eyes_and_mouth(point: int, image: int):
    assert FLIP[point] == image


def test_paper_weights():
    weights = paper_weights()
    assert weights[8] == pytest.approx(0.2)
    assert weights[20] == pytest.approx(0.1)
    assert (weights[27:] == 1).all()
