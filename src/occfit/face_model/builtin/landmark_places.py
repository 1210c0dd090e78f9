"""Where the 68 landmarks lie on the template: as a detector marks them on a frontal picture."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from occfit.face_model.builtin import anatomy
from occfit.face_model.builtin.head import PLANE_RADIUS
from occfit.face_model.builtin.surface import SKIN, SurfacePoints
from occfit.face_model.ibug_landmarks import COUNT, FLIP

_JAW = np.array(
    [[0, -95], [19.5, -94], [38, -94], [56, -92], [70, -80], [76, -52], [78, -28], [79, -6], [80, 16]],
    dtype=float,
)
"""Angle in degrees and level of the contour, from the chin to the ear: the outline that a viewer in front sees."""

_BROW_X = np.array([12.5, 20.5, 30.0, 40.0, 51.0])
_NOSE = np.array([[0, 26], [0, 12.5], [0, -1.5], [0, -15.5], [0, -26], [6.0, -25.2], [11.8, -23.6]])
_EYE_DEGREES = np.array([180.0, 108.0, 72.0, 0.0, -72.0, -108.0])
_OUTER_LIPS_DEGREES = np.array([90.0, 75.0, 52.5, 0.0, -52.5, -75.0, -90.0])
_INNER_LIPS_DEGREES = np.array([90.0, 67.5, 0.0, -67.5, -90.0])

_DEFINED = [*range(8, 17), *range(22, 31), 33, 34, 35, *range(42, 48), *range(51, 58), *range(62, 67)]


def right_half_places() -> SurfacePoints:
    """The landmarks in the midline and at the picture's right, in iBUG order; the others are their mirror images."""
    jaw = SurfacePoints.make(np.deg2rad(_JAW[:, 0]), _JAW[:, 1])
    brow = SurfacePoints.frontal(_BROW_X, anatomy.brow_line(_BROW_X))
    nose = SurfacePoints.frontal(_NOSE[:, 0], _NOSE[:, 1])
    return SurfacePoints.joined([jaw, brow, nose, _eye(), _outer_lips(), _inner_lips()])


def _eye() -> SurfacePoints:
    t = np.deg2rad(_EYE_DEGREES)
    x = anatomy.EYE_CENTRE[0] + anatomy.EYE_HALF_WIDTH * np.cos(t)
    side = np.sign(np.sin(t).round(9))
    return SurfacePoints.frontal(
        x, np.where(side >= 0, anatomy.upper_lid(x), anatomy.lower_lid(x)), SKIN, side
    )


def _outer_lips() -> SurfacePoints:
    cosine, side = np.cos(np.deg2rad(_OUTER_LIPS_DEGREES)).round(12), np.sign(_OUTER_LIPS_DEGREES)
    x = anatomy.MOUTH_HALF_WIDTH * cosine
    y = np.where(side >= 0, anatomy.upper_vermilion(x), anatomy.lower_vermilion(x))
    return SurfacePoints.frontal(anatomy.VERMILION_HALF_WIDTH * cosine, y, SKIN, side)


def _inner_lips() -> SurfacePoints:
    x = anatomy.MOUTH_HALF_WIDTH * np.cos(np.deg2rad(_INNER_LIPS_DEGREES)).round(12)
    return SurfacePoints.frontal(x, anatomy.parting_line(x), SKIN, np.sign(_INNER_LIPS_DEGREES))


def landmark_vertices(points: SurfacePoints) -> NDArray[np.int64]:
    """The vertex of each of the 68 landmarks, among a mesh's points.

    Upper and lower lip touch in the closed mouth; `side` tells their vertices apart.
    """
    skin = np.flatnonzero((points.part == SKIN) & (points.roll == 0))
    right = right_half_places()
    tree = KDTree(_separated(points[skin]))
    vertices = np.full(COUNT, -1, dtype=np.int64)
    vertices[FLIP.numpy()[_DEFINED]] = skin[tree.query(_separated(right.mirrored()))[1]]
    vertices[_DEFINED] = skin[tree.query(_separated(right))[1]]
    return vertices


def _separated(points: SurfacePoints) -> NDArray[np.float64]:
    return np.stack([points.angle * PLANE_RADIUS, points.level, 1e3 * points.side], axis=-1)
