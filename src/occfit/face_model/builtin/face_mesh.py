"""Triangle meshes of the template: rings around eyes and mouth, an adaptive filling of the rest.

Half the face is meshed in the plane of `(angle, level)` and mirrored, so a mesh is exactly symmetric.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, KDTree
from scipy.stats import qmc

from occfit.face_model.builtin import anatomy
from occfit.face_model.builtin.anatomy import Array
from occfit.face_model.builtin.head import PLANE_RADIUS, from_frontal, head_points, outline_angle
from occfit.face_model.builtin.landmark_places import right_half_places
from occfit.face_model.builtin.surface import EYEBALL, MOUTH, MOUTH_BOWL, SKIN, SurfacePoints

Triangles = NDArray[np.int64]
_MIDLINE = 1e-6
_BROW_ENDS = (12.0, 53.0)


@dataclass(frozen=True)
class Patch:
    """Surface points with triangles; `points` lie at angles >= 0."""

    points: SurfacePoints
    triangles: Triangles


@dataclass(frozen=True)
class Density:
    """How finely a mesh samples the face.

    Attributes:
        spacing: the distance between the filling's points, relative to the coarse mesh.
        eye: points around an eye, a multiple of 20.
        mouth: points around the mouth, a multiple of 48.
        rings: subdivisions of each ring step of the coarse mesh.
    """

    spacing: float
    eye: int
    mouth: int
    rings: int


COARSE = Density(spacing=1.0, eye=20, mouth=48, rings=1)
FINE = Density(spacing=0.295, eye=60, mouth=144, rings=3)


def face_mesh(density: Density) -> tuple[SurfacePoints, Triangles]:
    """The whole template's points and triangles, the latter counter-clockwise seen from outside."""
    eye, eye_outer = _eye_rings(density)
    mouth, mouth_outer = _mouth_rings(density)
    filling = _filling(density, eye.points[eye_outer], mouth.points[mouth_outer])
    half = _merged([filling, eye, mouth, _eyeball(density), _mouth_inside(density)])
    return _with_mirror_image(half)


def _refined(knots: list[float], steps: int) -> Array:
    fractions = np.arange(steps) / steps
    knots_array = np.asarray(knots)
    inner = knots_array[:-1, None] + np.diff(knots_array)[:, None] * fractions
    return np.append(inner.ravel(), knots_array[-1])


def _strip(rows: int, columns: int, closed: bool) -> Triangles:
    """Returns the triangles of a grid of points, row after row; `closed` joins the last column to the first."""
    row, column = np.meshgrid(
        np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij"
    )
    following = (column + 1) % columns
    a, b = row * columns + column, row * columns + following
    c, d = a + columns, b + columns
    return np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])


def _eye_rings(density: Density) -> tuple[Patch, NDArray[np.int64]]:
    """The lids: from the rolled margin to the rim's ellipse; and which points are the rim."""
    t = np.arange(density.eye) * 2 * np.pi / density.eye
    margin_x = anatomy.EYE_CENTRE[0] + anatomy.EYE_HALF_WIDTH * np.cos(t)
    margin_y = np.where(np.sin(t) >= 0, anatomy.upper_lid(margin_x), anatomy.lower_lid(margin_x))
    rim_x = anatomy.EYE_CENTRE[0] + anatomy.EYE_RIM[0] * np.cos(t)
    rim_y = anatomy.EYE_CENTRE[1] + anatomy.EYE_RIM[1] * np.sin(t)
    levels = _refined([-1.0, 0.0, 0.1, 0.28, 0.45, 0.62, 0.8, 1.0], density.rings)
    outwards = np.maximum(levels, 0.0)[:, None]
    x, y = margin_x + outwards * (rim_x - margin_x), margin_y + outwards * (rim_y - margin_y)
    roll = np.broadcast_to(np.maximum(-levels, 0.0)[:, None], x.shape)
    side = np.broadcast_to(np.sin(t).round(9), x.shape)
    points = SurfacePoints.frontal(x.ravel(), y.ravel(), SKIN, np.sign(side).ravel(), roll.ravel())
    triangles = _strip(len(levels), density.eye, closed=True)
    return Patch(points, triangles), np.arange(len(points) - density.eye, len(points))


def _mouth_rings(density: Density) -> tuple[Patch, NDArray[np.int64]]:
    """The lips at x >= 0, from the inner end of their margin to the rim; and which points are the rim.

    The first column lies in the midline below the mouth, the last above it.
    """
    count = density.mouth // 2 + 1
    t = np.linspace(-np.pi / 2, np.pi / 2, count)
    cosine = np.where(np.abs(t) > np.pi / 2 - _MIDLINE, 0.0, np.cos(t))
    above = t >= 0
    x0 = anatomy.MOUTH_HALF_WIDTH * cosine
    y0 = anatomy.parting_line(x0)
    y1 = np.where(above, anatomy.upper_vermilion(x0), anatomy.lower_vermilion(x0))
    x1 = anatomy.VERMILION_HALF_WIDTH * cosine
    half_width, up, down = anatomy.MOUTH_RIM
    x2, y2 = half_width * cosine, anatomy.MOUTH_HEIGHT + np.where(above, up, down) * np.sin(t)
    levels = _refined([-1.0, -0.5, 0.0, 0.14, 0.4, 0.7, 1.0, 1.3, 1.65, 2.0], density.rings)[:, None]
    lip, around = np.clip(levels, 0.0, 1.0), np.clip(levels - 1.0, 0.0, 1.0)
    x = x0 + lip * (x1 - x0) + around * (x2 - x1)
    y = y0 + lip * (y1 - y0) + around * (y2 - y1)
    roll = np.broadcast_to(np.maximum(-levels, 0.0), x.shape)
    side = np.broadcast_to(np.sign(np.where(np.abs(t) < _MIDLINE, 0.0, t)), x.shape)
    points = SurfacePoints.frontal(x.ravel(), y.ravel(), SKIN, side.ravel(), roll.ravel())
    triangles = _strip(len(levels), count, closed=False)
    return Patch(points, triangles), np.arange(len(points) - count, len(points))


def _eyeball(density: Density) -> Patch:
    """The visible part of the eyeball, in rings around the pupil."""
    t = np.arange(density.eye) * 2 * np.pi / density.eye
    iris, pupil = anatomy.IRIS_RADIUS, anatomy.PUPIL_RADIUS
    radii = _refined([0.0, 0.9 * pupil, 1.15 * pupil, 0.9 * iris, 1.1 * iris, 10.0, 17.0], density.rings)[
        1:, None
    ]
    spread = np.clip((radii - 1.1 * iris) / (17.0 - 1.1 * iris), 0.0, 1.0)
    x = anatomy.EYE_CENTRE[0] + radii * np.cos(t)
    y = anatomy.EYE_CENTRE[1] + radii * np.sin(t) * (1.0 - spread * (1.0 - 10.5 / 17.0))
    rings = SurfacePoints.frontal(x.ravel(), y.ravel(), EYEBALL)
    middle = SurfacePoints.frontal(
        np.array([anatomy.EYE_CENTRE[0]]), np.array([anatomy.EYE_CENTRE[1]]), EYEBALL
    )
    column = np.arange(density.eye)
    fan = np.stack([np.full_like(column, 0), 1 + column, 1 + (column + 1) % density.eye], axis=-1)
    return Patch(
        SurfacePoints.joined([middle, rings]),
        np.concatenate([fan, 1 + _strip(len(radii), density.eye, True)]),
    )


def _mouth_inside(density: Density) -> Patch:
    """Behind the lips: rows from the palate to the floor, columns from the midline to the corner."""
    columns = _refined([0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.0], density.rings)
    rows = _refined([1.0, 0.6, 0.25, -0.04, -0.16, -0.45, -0.75, -1.0], density.rings)
    x = np.broadcast_to(columns * MOUTH_BOWL, (len(rows), len(columns)))
    height = 11.0 * np.sqrt(1.0 - 0.7 * columns**2)
    y = anatomy.MOUTH_HEIGHT + rows[:, None] * height
    side = np.broadcast_to(rows[:, None], x.shape)
    points = SurfacePoints.frontal(x.ravel(), y.ravel(), MOUTH, side.ravel())
    return Patch(points, _strip(len(rows), len(columns), closed=False))


def _plane(points: SurfacePoints) -> Array:
    return np.stack([points.angle * PLANE_RADIUS, points.level], axis=-1)


def target_spacing(angle: Array, level: Array) -> Array:
    """The coarse mesh's wanted edge length in the plane, in mm."""
    head = head_points(angle, level)
    x, y = np.abs(head[:, 0]), head[:, 1]
    spacing = np.full(len(x), 9.0)
    spacing = np.minimum(spacing, _reach(x, y, (0.0, -20.0), (15.0, 8.0), 2.3, 0.25))
    spacing = np.minimum(spacing, _reach(x, y, (0.0, 2.0), (11.0, 24.0), 3.6, 0.25))
    spacing = np.minimum(spacing, _reach(x, y, (32.0, 41.0), (24.0, 6.0), 3.4, 0.25))
    spacing = np.minimum(spacing, _reach(x, y, anatomy.EYE_CENTRE, (20.0, 16.0), 4.6, 0.25))
    return np.minimum(spacing, _reach(x, y, (0.0, -47.0), (37.0, 19.0), 4.4, 0.25))


def _reach(
    x: Array, y: Array, centre: tuple[float, float], radii: tuple[float, float], inside: float, growth: float
) -> Array:
    """Returns a spacing within an ellipse that grows outside of it with the distance."""
    distance = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1])
    return inside + growth * np.maximum(distance - 1.0, 0.0) * min(radii)


def _filling(density: Density, eye_rim: SurfacePoints, mouth_rim: SurfacePoints) -> Patch:
    """Skin between the rims and the outline, by Lloyd's relaxation towards `target_spacing` and Delaunay."""
    eye, mouth = _plane(eye_rim), _plane(mouth_rim)
    mouth[[0, -1], 0] = 0.0
    outline = _outline(density)
    chin = _spaced_midline(outline[0, 1], mouth[0, 1], density)
    forehead = _spaced_midline(mouth[-1, 1], outline[-1, 1], density)
    marks = _plane(right_half_places())
    marks = marks[_in_filling(marks, 0.01)]
    rows = _apart(np.concatenate([forehead, chin, _brow_rows(density)]), marks, density)
    fixed = np.concatenate([eye, mouth, outline, marks, rows])
    plane = np.concatenate([fixed, _relaxed(fixed, density)])
    triangles = Delaunay(plane).simplices.astype(np.int64)
    rim = np.zeros(len(plane))
    rim[: len(eye) + len(mouth)] = np.repeat([1, 2], [len(eye), len(mouth)])
    within_rim = (rim[triangles] == 1).all(axis=1) | (rim[triangles] == 2).all(axis=1)
    triangles = triangles[_in_filling(plane[triangles].mean(axis=1), -0.015) & ~within_rim]
    (ax, ay), (bx, by), (cx, cy) = (plane[triangles[:, corner]].T for corner in range(3))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    triangles = np.where(area[:, None] > 0, triangles, triangles[:, ::-1])[np.abs(area) > 1e-9]
    return Patch(SurfacePoints.make(plane[:, 0] / PLANE_RADIUS, plane[:, 1]), triangles)


def _spaced(curve: Array, density: Density) -> Array:
    """Points along a polyline of the plane, as far apart as `target_spacing` wants, ends included."""
    wanted = target_spacing(curve[:, 0] / PLANE_RADIUS, curve[:, 1]) * density.spacing
    steps = np.linalg.norm(np.diff(curve, axis=0), axis=1) / (0.5 * (wanted[1:] + wanted[:-1]))
    along = np.append(0.0, np.cumsum(steps))
    places = np.linspace(0.0, along[-1], max(2, round(along[-1]) + 1))
    return np.stack([np.interp(places, along, curve[:, axis]) for axis in range(2)], axis=-1)


def _spaced_midline(low: float, high: float, density: Density) -> Array:
    levels = np.linspace(low, high, 2000)
    return _spaced(np.stack([np.zeros_like(levels), levels], axis=-1), density)[1:-1]


def _outline(density: Density) -> Array:
    """The mask's edge at angles >= 0, from under the chin to the forehead."""
    turn = np.linspace(-1.0, 1.0, 4000)
    level = np.where(turn < 0, -118.0 * np.sin(-turn * np.pi / 2), 107.0 * np.sin(turn * np.pi / 2))
    curve = np.stack([outline_angle(level) * PLANE_RADIUS, level], axis=-1)
    curve[[0, -1], 0] = 0.0
    return _spaced(curve, density)


def _brow_rows(density: Density) -> Array:
    """Rows of points along the eyebrow, so that its colour ends in clean lines."""
    x = np.linspace(*_BROW_ENDS, round(12 / density.spacing))
    offsets = np.linspace(-1.0, 1.0, round(3 / density.spacing) + 1)
    y = anatomy.brow_line(x) + offsets[:, None] * anatomy.brow_band(x)
    angle, level = from_frontal(np.broadcast_to(x, y.shape).ravel(), y.ravel())
    return np.stack([angle * PLANE_RADIUS, level], axis=-1)


def _apart(plane: Array, marks: Array, density: Density) -> Array:
    """The points that don't crowd the marks."""
    wanted = target_spacing(plane[:, 0] / PLANE_RADIUS, plane[:, 1]) * density.spacing
    return plane[KDTree(marks).query(plane)[0] > 0.45 * wanted]


def _in_brow(plane: Array) -> NDArray[np.bool_]:
    x, y = head_points(plane[:, 0] / PLANE_RADIUS, plane[:, 1])[:, :2].T
    beside = (x > _BROW_ENDS[0]) & (x < _BROW_ENDS[1])
    return beside & (np.abs(y - anatomy.brow_line(x)) < anatomy.brow_band(x))


def _in_filling(plane: Array, clearance: float) -> NDArray[np.bool_]:
    """Inside the outline, and outside of the rims by a share of their radius (a chord lies within its ellipse)."""
    angle, level = plane[:, 0] / PLANE_RADIUS, plane[:, 1]
    x, y = head_points(angle, level)[:, :2].T
    inside = (angle >= 0) & (angle <= outline_angle(level) + 1e-9)
    return inside & (anatomy.rim_distance(x, y) > 1.0 + clearance)


def _relaxed(fixed: Array, density: Density, rounds: int = 16) -> Array:
    """Free points between the fixed ones, spread by Lloyd's algorithm."""
    low, high = np.array([fixed.min(axis=0), fixed.max(axis=0)])
    sobol = qmc.Sobol(2, scramble=False).random_base2(20 if density.spacing < 0.6 else 17)
    plane = low + sobol * (high - low)
    plane = plane[_in_filling(plane, 0.02) & ~_in_brow(plane)]
    spacing = target_spacing(plane[:, 0] / PLANE_RADIUS, plane[:, 1]) * density.spacing
    share = spacing**-2.0
    cell = (high - low).prod() / len(sobol)
    count = round(float((share * cell).sum()) * 2 / np.sqrt(3)) - len(fixed) // 2
    picks = np.searchsorted(np.cumsum(share), (np.arange(count) + 0.5) / count * share.sum())
    rng = np.random.default_rng(0)
    free = plane[picks] + rng.normal(scale=0.05, size=(count, 2))
    weight = spacing**-4.0
    for _ in range(rounds):
        owner = np.asarray(KDTree(np.concatenate([free, fixed])).query(plane)[1])
        mine = owner < len(free)
        total = np.bincount(owner[mine], weight[mine], minlength=len(free))
        for axis in range(2):
            moved = np.bincount(owner[mine], weight[mine] * plane[mine, axis], minlength=len(free))
            free[:, axis] = np.where(total > 0, moved / np.maximum(total, 1e-30), free[:, axis])
    return free


def _merged(patches: list[Patch]) -> Patch:
    """One patch; points of the skin that coincide become one."""
    points = SurfacePoints.joined([patch.points for patch in patches])
    offsets = np.cumsum([0, *(len(patch.points) for patch in patches)])[:-1]
    triangles = np.concatenate(
        [patch.triangles + offset for patch, offset in zip(patches, offsets, strict=True)]
    )
    plane = _plane(points)
    # The lips' margins coincide in the plane and are different skin; nothing else near the parting line is.
    x, y = head_points(points.angle, points.level)[:, :2].T
    on_slit = (np.abs(y - anatomy.parting_line(x)) < 1e-4) & (np.abs(x) < anatomy.MOUTH_HALF_WIDTH - 1e-4)
    side = np.where(on_slit, points.side, 0.0)
    key = np.stack([plane[:, 0], plane[:, 1], points.part, points.roll, side], axis=-1).round(5)
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Patch(points[first[order]], rank[inverse.ravel()][triangles])


def _with_mirror_image(half: Patch) -> tuple[SurfacePoints, Triangles]:
    """The half and its mirror image, joined along the midline; triangles that are no triangles are dropped."""
    middle = np.abs(half.points.angle) < _MIDLINE
    angle = np.where(middle, 0.0, half.points.angle)
    right = SurfacePoints(angle, half.points.level, half.points.part, half.points.side, half.points.roll)
    image = np.arange(len(right))
    image[~middle] = len(right) + np.arange(int((~middle).sum()))
    points = SurfacePoints.joined([right, right.mirrored()[~middle]])
    triangles = np.concatenate([half.triangles, image[half.triangles][:, ::-1]])
    distinct = (
        (triangles[:, 0] != triangles[:, 1])
        & (triangles[:, 1] != triangles[:, 2])
        & (triangles[:, 2] != triangles[:, 0])
    )
    return points, triangles[distinct]
