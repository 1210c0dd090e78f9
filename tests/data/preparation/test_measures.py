"""What is told of a face: signs and sizes by faces that were turned and scaled on purpose."""

import numpy as np
import pytest
from photo_trees import face_points

from occfit.data.preparation.measures import face_size, hull, measure, roll_of, share_of_hull, yaw
from occfit.data.store import PreparedStore, StoreWriter
from occfit.data.synthetic.faces import mean_landmarks
from occfit.face_model.builtin.model import builtin_face_model

pytestmark = pytest.mark.unit

SIDE = 64


@pytest.fixture(scope="module")
def mean_face():
    return mean_landmarks(builtin_face_model())


@pytest.mark.parametrize("angle", [-40, -10, 0, 25, 60])
def test_yaw_is_the_turn_of_the_head(mean_face, angle):
    """The nose moves to the picture's right with a positive turn."""
    turn = np.radians(angle)
    matrix = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    points = ((mean_face @ matrix.T)[:, :2] * [1, -1]).astype(np.float32)
    assert yaw(points, mean_face) == pytest.approx(angle, abs=0.1)
    eyes, nose = points[36:48, 0].mean(), points[30, 0]
    assert np.sign(round(float(nose - eyes))) == np.sign(angle)


def test_roll_and_size_are_the_photographs():
    turn = np.radians(30)
    clockwise = 3 * np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0]])
    assert roll_of(clockwise) == pytest.approx(-30)
    points = face_points(SIDE)
    assert face_size(points, clockwise) == pytest.approx(3 * float(np.ptp(points[:, 1])), rel=1e-5)


def test_shares_count_inside_the_landmarks_hull(tmp_path, mean_face):
    points = face_points(SIDE)
    inside = hull(points, SIDE) > 0
    columns = np.arange(SIDE)[None, :] < SIDE // 2
    known, visible = np.broadcast_to(columns, inside.shape), np.zeros_like(inside)
    visible[: SIDE // 2] = True
    with StoreWriter(tmp_path / "train") as writer:
        writer.add(
            image=np.zeros((1, SIDE, SIDE, 3), np.uint8),
            landmarks=points[None],
            visibility=visible[None],
            known=known[None],
        )
    found = measure(PreparedStore(tmp_path / "train"), mean_face)
    assert found["known"][0] == pytest.approx((inside & known).sum() / inside.sum(), abs=1e-5)
    assert found["hidden"][0] == pytest.approx(
        (inside & known & ~visible).sum() / (inside & known).sum(), abs=1e-5
    )
    assert np.isnan(found["roll"][0])
    assert share_of_hull(points, known.astype(np.float32)) == pytest.approx(found["known"][0])
    assert np.isnan(share_of_hull(points + 1000, known.astype(np.float32)))
