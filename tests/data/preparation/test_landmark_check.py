"""Mistakes in landmark files are told apart; faces in any pose pass."""

from pathlib import Path

import numpy as np
import pytest
from photo_trees import face_points

from occfit.data.images import read_landmarks
from occfit.data.preparation.landmark_check import check_landmarks
from occfit.data.synthetic.faces import mean_landmarks
from occfit.errors import OccfitError
from occfit.face_model.builtin.model import builtin_face_model
from occfit.face_model.ibug_landmarks import FLIP

pytestmark = pytest.mark.unit

SIDE = 200
SHARED = Path(__file__).parents[4] / "shared"
BAD = {
    "mirrored_order": "left and right swapped",
    "y_up": "upside down",
    "swapped_yx": "x and y swapped",
    "normalised01": "only 0.* pixels wide",
    "zero_missing": "aren't a face's",
    "far": "outside the photograph",
}


@pytest.fixture(scope="module")
def mean_face():
    return mean_landmarks(builtin_face_model())


def posed(mean_face, yaw: float, roll: float) -> np.ndarray:
    """The mean face turned by so many degrees, before an affine camera."""
    y, r = np.radians([yaw, roll])
    turned = mean_face @ np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]]).T
    flat = turned[:, :2] @ np.array([[np.cos(r), -np.sin(r)], [np.sin(r), np.cos(r)]]).T
    return ((flat - flat.mean(axis=0)) * [1, -1] * 0.8 + SIDE / 2).astype(np.float32)


@pytest.mark.parametrize("yaw", [-75, -30, 0, 30, 75])
@pytest.mark.parametrize("roll", [-120, 0, 45])
def test_a_face_in_any_pose_passes(mean_face, yaw, roll):
    check_landmarks(posed(mean_face, yaw, roll), (SIDE, SIDE), mean_face)


CHANGES = {
    "left and right swapped.*point 36": lambda points: points[FLIP.numpy()],
    "left and right swapped": lambda points: points * [-1, 1] + [SIDE, 0],
    "upside down": lambda points: points * [1, -1] + [0, SIDE],
    "x and y swapped": lambda points: points[:, ::-1],
    "pixels wide": lambda points: points / SIDE,
    "outside the photograph of 200 x 200": lambda points: points + 150,
    "point 30 is far": lambda points: np.where(np.arange(68)[:, None] == 30, 0, points),
    "isn't a number": lambda points: np.where(np.arange(68)[:, None] == 3, np.nan, points),
    "aren't a face's": lambda points: points * [0, 1] + [SIDE / 2, 0],
}


@pytest.mark.parametrize("reason", CHANGES)
def test_a_mistake_is_named(mean_face, reason):
    points = CHANGES[reason](face_points(SIDE)).astype(np.float32)
    with pytest.raises(OccfitError, match=reason):
        check_landmarks(points, (SIDE, SIDE), mean_face)


def test_files_that_were_fitted_without_a_word_are_refused(mean_face):
    if not SHARED.is_dir():
        pytest.skip("the small broken inputs aren't here")
    folder = SHARED / "cases" / "landmarks"
    check_landmarks(read_landmarks(folder / "good.csv"), (512, 512), mean_face)
    for name, reason in BAD.items():
        with pytest.raises(OccfitError, match=reason):
            check_landmarks(read_landmarks(folder / f"{name}.csv"), (512, 512), mean_face)
