"""The template face as a continuous surface: the smooth head plus nose, eyes, lips and folds.

A point of the surface is named by where it lies, not by a vertex, so that meshes of any resolution sample the same
face (`SurfacePoints`). Parts are the skin, the eyeballs behind it, and the inside of the mouth.
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy.interpolate import PchipInterpolator

from occfit.face_model.builtin import anatomy
from occfit.face_model.builtin.anatomy import Array
from occfit.face_model.builtin.fields import bump, smooth_maximum, step
from occfit.face_model.builtin.head import from_frontal, head_points

SKIN, EYEBALL, MOUTH = 0, 1, 2

LID_RADIUS = 13.4
"""The radius of the lids' outside over the eyeball, in mm."""
EYEBALL_APEX = -12.0
"""z of the eyeball's foremost point, mm."""
LID_THICKNESS = 1.6
"""The lids' thickness in mm."""
MOUTH_BOWL = 36.0
"""Half the width of the mouth's inside, mm: wider than the mouth, so that no view leads past it."""


@dataclass(frozen=True)
class SurfacePoints:
    """Names of `n` points of the template.

    Attributes:
        angle: the angle on the smooth head, in radians.
        level: the level on the smooth head, in mm.
        part: SKIN, EYEBALL or MOUTH.
        side: near the mouth 1 = upper lip, -1 = lower lip; on the inside of the mouth from 1 (palate) to -1; around
            the eyes 1 = upper lid, -1 = lower lid; 0 elsewhere.
        roll: from 0 on the outside to 1 where the margin of a lip or a lid ends behind the surface.
    """

    angle: Array
    level: Array
    part: Array
    side: Array
    roll: Array

    @classmethod
    def make(
        cls,
        angle: Array,
        level: Array,
        part: float = SKIN,
        side: float | Array = 0.0,
        roll: float | Array = 0.0,
    ):
        shape = np.shape(angle)
        rest = (
            np.broadcast_to(np.asarray(value, dtype=np.float64), shape).copy() for value in (part, side, roll)
        )
        return cls(np.asarray(angle, dtype=np.float64), np.asarray(level, dtype=np.float64), *rest)

    @classmethod
    def frontal(
        cls, x: Array, y: Array, part: float = SKIN, side: float | Array = 0.0, roll: float | Array = 0.0
    ):
        """Points given by the smooth head's x and y."""
        return cls.make(*from_frontal(x, y), part, side, roll)

    def __len__(self) -> int:
        return len(self.angle)

    def __getitem__(self, index) -> "SurfacePoints":
        return SurfacePoints(*(getattr(self, f.name)[index] for f in fields(self)))

    def mirrored(self) -> "SurfacePoints":
        return SurfacePoints(-self.angle, self.level, self.part, self.side, self.roll)

    @staticmethod
    def joined(parts: "list[SurfacePoints]") -> "SurfacePoints":
        return SurfacePoints(
            *(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(SurfacePoints))
        )


@dataclass(frozen=True)
class Place:
    """Surface points with what deformations and colours are functions of.

    Attributes:
        points: the points' names.
        position: the points on the mean face in mm, `n 3`.
        x: the distance of the smooth head's point from the midline in mm.
        y: the point's height in mm.
        sign: -1 at the picture's left, 0 in the midline, 1 at its right.
    """

    points: SurfacePoints
    position: Array
    x: Array
    y: Array
    sign: Array

    @classmethod
    def of(cls, points: SurfacePoints) -> "Place":
        head = head_points(points.angle, points.level)
        return cls(points, template(points), np.abs(head[:, 0]), head[:, 1], np.sign(points.angle))

    @property
    def angle(self) -> Array:
        return self.points.angle

    @property
    def level(self) -> Array:
        return self.points.level


def template(points: SurfacePoints) -> Array:
    """The mean face's points, `n 3` in mm."""
    head = head_points(points.angle, points.level)
    x, y = np.abs(head[:, 0]), head[:, 1]
    skin = head + _relief(x, y, points)
    lids = _eyelids(x, y, skin[:, 2])
    skin[:, 2] += _lip_relief(x, y, points)
    eye_area = bump(x, y, anatomy.EYE_CENTRE, (16.0, 14.0), power=3.0) > 1e-4
    skin[:, 2] = np.where(eye_area, lids + _lid_relief(x, y) * (points.part == SKIN), skin[:, 2])
    skin[:, 2] -= np.where(points.part == EYEBALL, LID_THICKNESS + _under_lids(x, y), 0.0)
    skin = skin + _rolled_margins(x, y, points)
    return skin + _mouth_inside(x, points)


_RIDGE_Y = np.array(
    [-34.0, -30.0, -26.5, -24.5, -22.0, -19.5, -17.0, -13.0, -8.0, 0.0, 8.0, 16.0, 22.0, 28.0, 34.0, 42.0]
)
_RIDGE_HEIGHT = PchipInterpolator(
    _RIDGE_Y, [0.0, 1.0, 4.5, 9.0, 15.0, 19.0, 20.6, 19.5, 17.0, 13.2, 9.6, 6.2, 4.0, 2.6, 2.0, 0.0]
)
_RIDGE_WIDTH = PchipInterpolator(
    _RIDGE_Y, [5.0, 5.5, 6.0, 6.4, 7.0, 7.6, 8.0, 7.8, 7.2, 6.8, 6.6, 6.6, 7.0, 9.0, 13.0, 20.0]
)


def _nose(x: Array, y: Array) -> Array:
    """Height of the nose over the smooth head: ridge and tip, joined with the wings, less the nostrils."""
    inside = np.clip(y, _RIDGE_Y[0], _RIDGE_Y[-1])
    height, width = _RIDGE_HEIGHT(inside), _RIDGE_WIDTH(inside)
    ridge = height * (0.72 * np.exp(-0.5 * (x / width) ** 2) + 0.28 * np.exp(-0.5 * (x / (1.8 * width)) ** 2))
    ridge += 1.6 * bump(x, y, (0.0, -16.5), (6.0, 5.0))
    wing = 10.5 * bump(x, y, (11.5, -18.8), (5.2, 5.2), power=1.9)
    crease = 1.6 * np.exp(-0.5 * ((np.hypot(x - 11.0, (y + 18.5) / 1.05) - 8.2) / 1.5) ** 2)
    crease *= step(x, 11.0, 1.5) * step(-y, 12.0, 2.5)
    nostril = 4.5 * bump(x, y, (6.4, -23.3), (2.5, 1.6), power=1.3)
    return smooth_maximum(ridge, wing, 2.0) - 1.0 - crease - nostril


_RELIEF = (
    # what, height in mm, centre, radii
    ("eye socket", -6.5, (27.0, 20.0), (13.0, 10.0)),
    ("inner corner of the eye", -4.5, (14.5, 20.0), (5.0, 7.0)),
    ("brow ridge", 2.6, (24.0, 38.5), (17.0, 6.0)),
    ("glabella", 2.0, (0.0, 40.0), (12.0, 7.0)),
    ("outer rim of the orbit", 3.0, (50.0, 30.0), (7.0, 10.0)),
    ("cheekbone", 5.0, (43.0, -6.0), (15.0, 12.0)),
    ("tear trough", -2.0, (24.0, 4.0), (8.0, 4.0)),
    ("temple", -2.5, (63.0, 48.0), (10.0, 18.0)),
    ("hollow of the cheek", -1.2, (44.0, -40.0), (10.0, 14.0)),
    ("rounding over the teeth", 3.2, (0.0, -40.0), (22.0, 13.0)),
    ("chin", 5.5, (0.0, -80.0), (14.0, 8.5)),
    ("sides of the chin", 1.2, (9.0, -80.0), (6.0, 6.0)),
    ("fold over the chin", -2.6, (0.0, -63.5), (15.0, 3.8)),
    ("forehead", 1.5, (0.0, 68.0), (30.0, 16.0)),
)


def _relief(x: Array, y: Array, points: SurfacePoints) -> Array:
    """Displacement of the skin without eyelids and lips."""
    front = np.exp(-0.5 * np.maximum(np.abs(points.level) - 95.0, 0.0) ** 2 / 6.0**2)
    z = _nose(x, y) + _fold_beside_the_mouth(x, y)
    for _, height, centre, radii in _RELIEF:
        z += height * bump(x, y, centre, radii)
    return np.stack([np.zeros_like(x), np.zeros_like(x), z * front], axis=-1)


def _fold_beside_the_mouth(x: Array, y: Array) -> Array:
    """The nasolabial fold, from the nose's wing to beside the mouth's corner, and the cheek's swell next to it."""
    line = np.interp(y, [-52.0, -46.0, -34.0, -22.0, -14.0], [33.0, 31.5, 26.5, 20.0, 17.0])
    groove = np.exp(-0.5 * ((x - line) / 2.6) ** 2) * bump(x, y, (26.0, -32.0), (30.0, 11.0), power=2.0)
    swell = np.exp(-0.5 * ((x - line - 6.0) / 4.0) ** 2) * bump(x, y, (30.0, -30.0), (30.0, 11.0), power=2.0)
    return 1.2 * swell - 1.3 * groove


def _lip_relief(x: Array, y: Array, points: SurfacePoints) -> Array:
    """The lips' own bulge, the groove above them, and the dimples at the mouth's corners."""
    parting = anatomy.parting_line(x)
    above = (points.side > 0) | ((points.side == 0) & (y > parting))
    border = np.where(above, anatomy.upper_vermilion(x), anatomy.lower_vermilion(x))
    full = np.where(above, 7.4, 9.6)
    thickness = np.abs(border - parting)
    depth = np.abs(y - parting) / np.maximum(thickness, 0.8)
    amount = np.clip(thickness / full, 0.0, 1.0) ** 0.7
    profile = np.where(above, _UPPER_LIP(np.minimum(depth, 3.0)), _LOWER_LIP(np.minimum(depth, 3.0)))
    z = amount * profile
    z -= 1.6 * bump(x, y, (anatomy.MOUTH_HALF_WIDTH + 1.0, anatomy.MOUTH_HEIGHT - 0.5), (3.0, 3.0))
    z -= 1.3 * bump(x, y, (0.0, -33.5), (2.6, 4.5)) - 0.7 * bump(x, y, (5.8, -34.0), (2.2, 5.0))
    return z


_UPPER_LIP = PchipInterpolator(
    [0.0, 0.15, 0.45, 0.8, 1.0, 1.25, 1.8, 3.0], [-2.4, -0.4, 1.8, 2.2, 1.7, 0.7, 0.1, 0.0]
)
_LOWER_LIP = PchipInterpolator(
    [0.0, 0.15, 0.40, 0.7, 1.0, 1.30, 1.8, 3.0], [-2.4, 0.2, 2.4, 2.0, 0.4, -0.8, -0.3, 0.0]
)


def _eyelids(x: Array, y: Array, skin: Array) -> Array:
    """The skin's z with the eyeball pressing through it."""
    squared = (x - anatomy.EYE_CENTRE[0]) ** 2 + (y - anatomy.EYE_CENTRE[1]) ** 2
    ball = EYEBALL_APEX + LID_THICKNESS - LID_RADIUS + np.sqrt(np.maximum(LID_RADIUS**2 - squared, 0.0))
    ball -= 2.0 * np.maximum(np.sqrt(squared) - LID_RADIUS, 0.0)
    return smooth_maximum(skin, ball, 2.0)


def _under_lids(x: Array, y: Array) -> Array:
    """How much further back the eyeball lies under the open lids, so that they can slide up and down over it."""
    covered = np.maximum(np.maximum(y - anatomy.upper_lid(x), anatomy.lower_lid(x) - y), 0.0)
    return 0.25 * covered**1.5


def lid_surface(x: Array, y: Array) -> Array:
    """z of the lids' outside in the frontal plane, wherever they are open or shut; x >= 0, around the eye."""
    points = SurfacePoints.frontal(x, y)
    head = head_points(points.angle, points.level)
    return _eyelids(x, y, (head + _relief(x, y, points))[:, 2])


def _lid_relief(x: Array, y: Array) -> Array:
    """The crease of the upper lid with the fold over it, and the soft groove under the lower lid."""
    u = np.clip((x - anatomy.EYE_CENTRE[0]) / (anatomy.EYE_HALF_WIDTH + 2.0), -1.0, 1.0)
    fade = (1.0 - u**2) ** 0.5
    over = y - anatomy.upper_lid(x)
    under = anatomy.lower_lid(x) - y
    crease = -1.3 * np.exp(-0.5 * ((over - 4.6) / 0.8) ** 2) + 1.5 * np.exp(-0.5 * ((over - 7.2) / 1.5) ** 2)
    groove = -0.6 * np.exp(-0.5 * ((under - 6.5) / 1.3) ** 2) + 0.5 * np.exp(
        -0.5 * ((under - 3.2) / 1.3) ** 2
    )
    return fade * (crease + groove)


def _rolled_margins(x: Array, y: Array, points: SurfacePoints) -> Array:
    """Lips and lids end in a margin that turns inwards, so that no gap shows between them and what lies behind."""
    mouth = np.abs(y - anatomy.MOUTH_HEIGHT) < 8.0
    roll = points.roll * (points.part == SKIN)
    open_ends = np.sqrt(np.clip(1.0 - (x / anatomy.MOUTH_HALF_WIDTH) ** 2, 0.0, 1.0))
    y_lips = points.side * 2.2 * roll**2 * open_ends
    z_lips = -10.0 * roll
    z_lids = -(LID_THICKNESS + 0.8) * roll
    dy = np.where(mouth, y_lips, points.side * 0.25 * roll)
    return np.stack([np.zeros_like(x), dy, np.where(mouth, z_lips, z_lids)], axis=-1)


def _mouth_inside(x: Array, points: SurfacePoints) -> Array:
    """The mouth's inside: a bowl whose edge lies close behind the skin, with the upper teeth in front of it."""
    bowl = np.interp(
        points.side, [-1.0, -0.6, -0.15, -0.05, 0.8, 1.0], [-4.0, -16.0, -17.0, -8.0, -7.0, -4.0]
    )
    sides = 1.0 - np.clip(x / MOUTH_BOWL, 0.0, 1.0) ** 4
    depth = -3.5 + (bowl + 3.5) * sides
    return np.stack([np.zeros_like(x), np.zeros_like(x), np.where(points.part == MOUTH, depth, 0.0)], axis=-1)
