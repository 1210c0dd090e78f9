"""Spectacles and sunglasses: two lenses in a frame, a bridge, and temples that run back to the ears.

Measures follow common frames: a lens 46-60 mm wide and 28-50 mm high, 14-22 mm between the lenses, rims of
1.2-7 mm, temples about 140 mm long.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from occfit.data.synthetic.drawing import (
    Picture,
    Plane,
    blur,
    curve,
    emboss,
    fill,
    grid,
    hsv,
    over,
    ribbon,
    smoothstep,
    stroke,
)
from occfit.data.synthetic.scene import Layer, Scene, make_layer

_ANGLES = np.linspace(0, 2 * np.pi, 64, endpoint=False)
SEEN_SHAPES = ("wayfarer", "aviator", "rectangle", "round", "wrap")
HELD_OUT_SHAPES = ("cat_eye", "hexagon", "heart")


def lens_outline(shape: str, width: float, height: float) -> Float[ndarray, "64 2"]:
    """A right-hand lens (its outer side at +x) around its centre, mm, y up."""
    cos, sin = np.cos(_ANGLES), np.sin(_ANGLES)
    power = {
        "wayfarer": 3.2,
        "rectangle": 4.5,
        "wrap": 2.8,
        "round": 2.0,
        "aviator": 2.3,
        "cat_eye": 2.6,
    }.get(shape)
    if power is None and shape == "hexagon":
        corner = np.cos(np.pi / 6) / np.cos((_ANGLES % (np.pi / 3)) - np.pi / 6)
        x, y = cos * corner, sin * corner
    elif power is None:
        x = 1.05 * np.sign(sin) * np.abs(sin) ** 3
        y = (13 * cos - 5 * np.cos(2 * _ANGLES) - 2 * np.cos(3 * _ANGLES) - np.cos(4 * _ANGLES)) / 14.5 + 0.15
    else:
        radius = (np.abs(cos) ** power + np.abs(sin) ** power) ** (-1 / power)
        x, y = cos * radius, sin * radius
    if shape == "wayfarer":
        x = x * (1 + 0.1 * y) + 0.03
    if shape == "aviator":
        x, y = x * (1 + 0.16 * y) - 0.10 * np.clip(-y, 0, 1) ** 2, y - 0.08 * np.clip(-y, 0, 1) * x
    if shape == "cat_eye":
        y = y + 0.34 * np.clip(x, 0, 1) ** 2 * (y > -0.2)
        x = x * (1 + 0.12 * y)
    return np.stack([x * width / 2, y * height / 2], axis=1)


def _frame_colour(rng: np.random.Generator) -> Float[ndarray, " 3"]:
    kind = rng.random()
    if kind < 0.5:
        return hsv(rng.random(), 0.2, rng.uniform(0.02, 0.12))
    if kind < 0.7:
        return hsv(rng.uniform(0.04, 0.09), rng.uniform(0.5, 0.8), rng.uniform(0.15, 0.4))
    if kind < 0.85:
        return hsv(rng.uniform(0.08, 0.14), rng.uniform(0.1, 0.5), rng.uniform(0.5, 0.8))
    return hsv(rng.random(), rng.uniform(0.3, 0.9), rng.uniform(0.2, 0.8))


class _Fitting:
    """Where a pair of glasses sits on this face: maps its own plane (mm, x right, y up) into the canvas."""

    def __init__(self, scene: Scene, rng: np.random.Generator, wrap: float):
        points = scene.points
        eyes = (points[36:42].mean(axis=0) + points[42:48].mean(axis=0)) / 2
        self.scene = scene
        self.centre = np.array([0.0, eyes[1] + rng.uniform(-5, 2), max(points[27, 2], eyes[2] + 13) + 3])
        self.centre[0] = points[27, 0]
        self.tilt = rng.uniform(0.04, 0.16)
        self.roll = rng.normal(0, 0.02)
        self.wrap = wrap
        self.pupils = float(np.linalg.norm(points[36:42].mean(axis=0) - points[42:48].mean(axis=0)))

    def lift(self, plane: Float[ndarray, "n 2"], back: float | ndarray = 0.0) -> Float[ndarray, "n 3"]:
        """Points of the plane in the model's frame; `back` mm behind it."""
        x = plane[:, 0] * np.cos(self.roll) - plane[:, 1] * np.sin(self.roll)
        y = plane[:, 0] * np.sin(self.roll) + plane[:, 1] * np.cos(self.roll)
        z = y * self.tilt - self.wrap * (x / 70) ** 2 - back
        return self.centre + np.stack([x, y, z], axis=1)

    def place(self, plane: Float[ndarray, "n 2"], back: float | ndarray = 0.0) -> Float[ndarray, "n 2"]:
        return self.scene.project(self.lift(plane, back))[0]


def _temple(fitting: _Fitting, side: int, hinge: Float[ndarray, " 2"], width: float) -> Plane:
    """The piece from the hinge to the ear, cut where the head hides it."""
    scene = fitting.scene
    ear = scene.points[0 if side < 0 else 16]
    start = fitting.lift(hinge[None])[0]
    end = np.array([ear[0] + side * 4, ear[1] + 14, min(ear[2], start[2] - 70)])
    path = start + (end - start) * np.linspace(0, 1, 26)[:, None]
    path[:, 0] += side * 5 * np.sin(np.linspace(0, np.pi, 26))
    pixels, z = scene.project(path)
    columns, rows = np.clip(pixels.T.astype(int), 0, scene.size - 1)
    seen = np.flatnonzero(z >= scene.depth[rows, columns] - 3)
    runs = np.split(seen, np.flatnonzero(np.diff(seen) > 1) + 1)
    pieces = [ribbon(pixels[run], width * scene.scale) for run in runs if len(run) > 1]
    coverage = [fill([piece], scene.size) for piece in pieces]
    return np.max(coverage, axis=0) if coverage else np.zeros((scene.size, scene.size), np.float32)


def _reflection(scene: Scene, rng: np.random.Generator, lenses: Plane) -> Picture:
    """What a lens mirrors: a sky above a horizon, a window or a lamp."""
    size = scene.size
    x, y = grid(size)
    rows, columns = np.nonzero(lenses > 0.5)
    if len(rows) == 0:
        return np.zeros((size, size, 3), np.float32)
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    v = (y - top) / max(bottom - top, 1) + 0.15 * ((x - left) / max(right - left, 1) - 0.5) ** 2
    horizon = rng.uniform(0.35, 0.8)
    sky = hsv(rng.uniform(0.5, 0.65), rng.uniform(0, 0.5), 1) * rng.uniform(0.4, 1)
    ground = hsv(rng.uniform(0.05, 0.15), rng.uniform(0, 0.4), rng.uniform(0.1, 0.4))
    upward = smoothstep(horizon + 0.06, horizon - 0.06, v)[..., None]
    picture = ground + (sky * (0.6 + 0.5 * np.clip(horizon - v, 0, 1))[..., None] - ground) * upward
    for _ in range(int(rng.integers(0, 3))):
        centre = np.array([rng.uniform(left, right), rng.uniform(top, bottom)])
        extent = rng.uniform(0.06, 0.22) * (bottom - top)
        corners = np.array([[-1, -1], [1, -1.1], [1.1, 1], [-0.9, 1]]) * [
            extent,
            extent * rng.uniform(0.6, 2),
        ]
        picture = over(picture, np.full(3, 1.6), blur(fill([centre + corners], size), 0.18 * extent))
    return picture.astype(np.float32)


def _lens_layer(scene: Scene, rng: np.random.Generator, lenses: Plane, dark: bool) -> Layer:
    """Tinted or clear glass: `alpha` holds the tint's opacity and the mirrored light."""
    _, y = grid(scene.size)
    rows = np.nonzero(lenses.max(axis=1) > 0.5)[0]
    top, bottom = (rows.min(), rows.max() + 1) if len(rows) else (0, 1)
    down = np.clip((y - top) / max(bottom - top, 1), 0, 1)
    mirrored = _reflection(scene, rng, lenses)
    light = scene.flat_shade()
    if dark:
        strong = rng.uniform(0.86, 1.0)
        weak = strong if rng.random() < 0.55 else rng.uniform(0.45, strong)
        opacity = strong + (weak - strong) * smoothstep(0.25, 1.0, down)
        tint = hsv(rng.random(), rng.uniform(0, 0.6), rng.uniform(0.01, 0.16))
        mirror = rng.uniform(0.25, 0.8) if rng.random() < 0.2 else rng.uniform(0.02, 0.2)
        colour = tint * light + mirrored * light * mirror
    else:
        glare = smoothstep(0.75, 1.5, mirrored.max(axis=-1)) * rng.uniform(0.1, 0.75)
        opacity = np.maximum(rng.uniform(0.02, 0.1), glare)
        colour = mirrored * light
    shadow = lenses * (rng.uniform(0.5, 0.9) if dark else 0.08)
    return make_layer(colour, lenses * opacity, 10, shadow)


def _frame_layer(scene: Scene, rng: np.random.Generator, coverage: Plane, rim: float) -> Layer:
    colour = _frame_colour(rng)
    normals = emboss(coverage, max(rim * scene.scale / 2, 1))
    lit = colour * np.maximum(scene.shade(normals), 0)
    direction, _ = scene.light_direction()
    half = direction + [0, 0.15, 1]
    shine = np.clip(normals @ (half / np.linalg.norm(half)), 0, 1) ** 24
    lit = lit + shine[..., None] * rng.uniform(0.05, 0.45) * scene.flat_shade()
    return make_layer(lit, coverage, 11)


def paint_glasses(scene: Scene, rng: np.random.Generator, held_out: bool, dark: bool) -> list[Layer]:
    """Glasses with dark or clear lenses on the nose of the face; the lenses' layer, then the frame's."""
    shape = str(rng.choice(HELD_OUT_SHAPES if held_out else SEEN_SHAPES))
    fitting = _Fitting(scene, rng, wrap=rng.uniform(14, 22) if shape == "wrap" else rng.uniform(4, 11))
    gap = rng.uniform(14, 21)
    width = np.clip(fitting.pupils - gap + rng.uniform(-2, 8), 42, 66)
    ratio = {"rectangle": 0.6, "wrap": 0.62, "round": 0.95, "heart": 0.95, "hexagon": 0.9}.get(shape, 0.8)
    height = width * ratio * rng.uniform(0.9, 1.1)
    rim = rng.uniform(1.2, 2.4) if shape in ("aviator", "round") else rng.uniform(1.6, 6.5 if dark else 4.5)
    outline = lens_outline(shape, width, height)
    inner, outer = [], []
    for side in (-1, 1):
        lens = outline * [side, 1] + [side * (gap / 2 + width / 2), 0]
        rim_outline = (outline * [1 + 2 * rim / width, 1 + 2 * rim / height]) * [side, 1]
        inner.append(fitting.place(lens))
        outer.append(fitting.place(rim_outline + [side * (gap / 2 + width / 2), 0]))
    lenses = np.maximum(fill(inner[:1], scene.size), fill(inner[1:], scene.size))
    rims = np.maximum(fill(outer[:1], scene.size), fill(outer[1:], scene.size))
    frame = np.clip(rims - lenses, 0, 1)
    bow = np.array([[-gap / 2, 0.0], [0, rng.uniform(1.5, 4)], [gap / 2, 0.0]]) + [
        0,
        height * rng.uniform(0.1, 0.3),
    ]
    frame = np.maximum(frame, stroke(fitting.place(curve(bow), -2.0), max(rim, 2) * scene.scale, scene.size))
    if shape == "aviator":
        frame = np.maximum(
            frame, stroke(fitting.place(curve(bow + [0, height * 0.22])), rim * scene.scale, scene.size)
        )
    arm = rng.uniform(2, 4) if rim < 2.5 else rng.uniform(3.5, 9)
    for side in (-1, 1):
        hinge = np.array([side * (gap / 2 + width + rim * 0.6), height * rng.uniform(0.12, 0.32)])
        frame = np.maximum(frame, _temple(fitting, side, hinge, arm) * (1 - lenses))
    lenses = np.clip(lenses - frame, 0, 1)
    return [_lens_layer(scene, rng, lenses, dark), _frame_layer(scene, rng, frame, rim)]
