"""Sunglasses, face masks, scarves and hands of exactly known shape, painted onto photographs.

They share no code with the synthetic world's occluders, which a system has seen in training: this is a test, and
zero-shot. Everything is drawn in the face's own frame, a similarity of the photograph's plane: origin between the eyes,
x from the left to the right eye in the picture, y down, the eyes' distance is 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

Points = Float[ndarray, "n 2"]
Alpha = Float[ndarray, "h w"]
Colours = Float[ndarray, "h w 3"]
Photo = UInt8[ndarray, "h w 3"]

_FINE = 4
"""Shapes are drawn this many times finer, and averaged."""


@dataclass(frozen=True, eq=False)
class Occluded:
    """A photograph with something painted on it.

    Attributes:
        photo: with it.
        hidden: where it covers at least half of a pixel.
    """

    photo: Photo
    hidden: Bool[ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class Canvas:
    """A photograph, and the face's frame on it."""

    photo: Photo
    landmarks: Points

    @property
    def unit(self) -> float:
        """The eyes' distance in pixels."""
        return float(np.linalg.norm(self._eyes()[1] - self._eyes()[0]))

    def _eyes(self) -> Points:
        return np.stack([self.landmarks[36:42].mean(axis=0), self.landmarks[42:48].mean(axis=0)])

    def to_photo(self, points: Points) -> Points:
        """From the face's frame to pixels."""
        left, right = self._eyes()
        across = right - left
        down = np.array([-across[1], across[0]])
        return (left + right) / 2 + points[:, :1] * across + points[:, 1:] * down

    def to_face(self, points: Points) -> Points:
        """From pixels to the face's frame."""
        left, right = self._eyes()
        across = (right - left) / self.unit**2
        down = np.array([-across[1], across[0]])
        offset = points - (left + right) / 2
        return np.stack([offset @ across, offset @ down], axis=1)

    def grid(self) -> tuple[Alpha, Alpha]:
        """x and y in the face's frame of every pixel's centre."""
        height, width = self.photo.shape[:2]
        rows, columns = np.mgrid[:height, :width] + 0.5
        face = self.to_face(np.stack([columns.ravel(), rows.ravel()], axis=1)).reshape(height, width, 2)
        return face[..., 0], face[..., 1]

    def fill(self, *polygons: Points) -> Alpha:
        """Coverage of polygons in the face's frame, edges about a pixel wide."""
        height, width = self.photo.shape[:2]
        fine = np.zeros((height * _FINE, width * _FINE), np.uint8)
        for polygon in polygons:
            corners = np.round((self.to_photo(polygon) * _FINE - 0.5) * 16).astype(np.int32)
            cv2.fillPoly(fine, [corners], 255, cv2.LINE_8, 4)
        coverage = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(np.float64) / 255
        return np.clip(cv2.GaussianBlur(coverage, (0, 0), 0.6), 0, 1)

    def lay(self, alpha: Alpha, colour: Colours, rng: np.random.Generator, shadow: float = 0.3) -> Occluded:
        """Puts a thing before the face: its shadow, itself, and the camera's noise on it."""
        reach = 0.06 * self.unit
        moved = np.array([[1, 0, rng.uniform(-1, 1) * reach], [0, 1, reach]])
        size = (self.photo.shape[1], self.photo.shape[0])
        thrown = cv2.GaussianBlur(cv2.warpAffine(alpha, moved, size), (0, 0), max(0.8 * reach, 0.5))
        below = self.photo * (1 - shadow * thrown * (1 - alpha))[..., None]
        colour = colour + rng.normal(0, 3, self.photo.shape)
        picture = below * (1 - alpha[..., None]) + colour * alpha[..., None]
        return Occluded(np.clip(np.round(picture), 0, 255).astype(np.uint8), alpha >= 0.5)

    def brightness(self) -> Float[ndarray, " 3"]:
        """The light on the face against a cheek of medium tone: the median of its lower half, 0..2 or so."""
        inside = self.fill(self.to_face(self.landmarks[[2, 5, 8, 11, 14, 29]])) > 0.5
        return np.median(self.photo[inside], axis=0) / np.array([190.0, 145.0, 120.0])


def paint_sunglasses(canvas: Canvas, rng: np.random.Generator) -> Occluded:
    """Two lenses, dark or mirroring, in a frame with temples to the ears."""
    width, height, power = rng.uniform(0.36, 0.44), rng.uniform(0.24, 0.36), rng.uniform(2, 5)
    t = np.linspace(0, 2 * np.pi, 80)
    outline = np.stack([_signed_power(np.cos(t), 2 / power), _signed_power(np.sin(t), 2 / power)], axis=1)
    outline[:, 0] *= 1 - rng.uniform(0, 0.25) * np.clip(outline[:, 1], 0, 1)
    centres = np.array([[-0.5, 0.05], [0.5, 0.05]])
    lenses = [centre + outline * [width, height] * [np.sign(centre[0]), 1] for centre in centres]
    rim = rng.uniform(0.02, 0.06)
    rims = [centre + outline * [width + rim, height + rim] * [np.sign(centre[0]), 1] for centre in centres]
    thick, level = rng.uniform(0.03, 0.07), rng.uniform(-0.12, -0.02)
    gap = 0.5 - width
    bridge = np.array([[-gap, level], [gap, level], [gap, level + thick], [-gap, level + thick]])
    ears = canvas.to_face(canvas.landmarks[[0, 16]])
    temples = []
    for ear, side in zip(ears, (-1, 1), strict=True):
        hinge = np.array([side * (0.5 + width), 0.0])
        end = np.array([side * max(abs(ear[0]), 0.55 + width), min(ear[1], 0.15)])
        temples.append(np.array([hinge, end, end + [0, thick], hinge + [0, thick]]) - [0, 0.06])
    whole, glass = canvas.fill(*rims, bridge, *temples), canvas.fill(*lenses)
    x, y = canvas.grid()
    tint = rng.uniform(5, 55) * (1 + rng.uniform(-0.25, 0.25, 3))
    if rng.random() < 0.3:
        tint = rng.uniform(20, 160, 3)
    shine = np.exp(-(((x - y * 0.6 - rng.uniform(-0.6, 0.6)) % 1.0 - 0.5) ** 2) / 0.01) * rng.uniform(0, 70)
    gradient = 1 + rng.uniform(0, 0.8) * np.clip(y / height, -1, 1)
    lens = tint * gradient[..., None] + shine[..., None] * rng.uniform(0.3, 1)
    frame = np.full(3, rng.uniform(10, 60)) if rng.random() < 0.6 else rng.uniform(30, 220, 3)
    return canvas.lay(whole, frame + (lens - frame) * glass[..., None], rng, 0.25)


def _signed_power(value: ndarray, power: float) -> ndarray:
    return np.sign(value) * np.abs(value) ** power


def paint_mask(canvas: Canvas, rng: np.random.Generator) -> Occluded:
    """A surgical or cloth mask from the nose's bridge to below the chin, with straps."""
    jaw = canvas.to_face(canvas.landmarks[:17])
    bridge = canvas.to_face(canvas.landmarks[[28]])[0] + [0, rng.uniform(-0.05, 0.15)]
    upper = [jaw[2] * [0.97, 1], (jaw[2] + bridge) / 2 + [0, 0.1], bridge]
    upper += [(jaw[14] + bridge) / 2 + [0, 0.1], jaw[14] * [0.97, 1]]
    lower = jaw[[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3]] * [1.0, 1.0] + [0, rng.uniform(0.02, 0.1)]
    body = np.concatenate([_smooth(np.array(upper)), lower])
    straps = []
    for near, far, ear in ((2, 3, 0), (14, 13, 16)):
        side = -1 if ear == 0 else 1
        for corner in (near, far):
            end = jaw[ear] + [side * 0.1, 0.0]
            straps.append(np.array([jaw[corner], end, end + [0, 0.035], jaw[corner] + [0, 0.035]]))
    alpha = canvas.fill(body, *straps)
    x, y = canvas.grid()
    tone = [[150, 190, 215], [235, 235, 235], [35, 35, 40], [120, 170, 150], [200, 120, 130]][rng.integers(5)]
    colour = np.array(tone, float) * np.clip(canvas.brightness(), 0.35, 1.25)
    if rng.random() < 0.5:
        y0, period = rng.uniform(0, 0.2), rng.uniform(0.2, 0.3)
        relief = 1 - 0.18 * np.exp(-((((y - y0 - 0.12 * x**2) / period) % 1 - 0.5) ** 2) / 0.01)
    else:
        relief = 1 + 0.1 * np.sin(9 * x + 4 * y) * np.exp(-((y - 1.2) ** 2))
        if rng.random() < 0.5:
            dots = np.hypot((x * 5) % 1 - 0.5, (y * 5) % 1 - 0.5) < 0.25
            relief = relief * (1 - 0.5 * dots)
    shade = 1.05 - 0.45 * np.clip(np.abs(x) / 0.95, 0, 1.3) ** 2 + 0.1 * np.exp(-((x / 0.15) ** 2))
    return canvas.lay(alpha, colour * (relief * shade)[..., None], rng)


def _smooth(points: Points, count: int = 40) -> Points:
    """A parabola's blend through the points, by their cumulative length."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    at = np.linspace(0, length[-1], count)
    line = np.stack([np.interp(at, length, points[:, k]) for k in range(2)], axis=1)
    padded = np.concatenate([np.repeat(line[:1], 4, 0), line, np.repeat(line[-1:], 4, 0)])
    return np.stack([np.convolve(padded[:, k], np.ones(9) / 9, "valid") for k in range(2)], axis=1)


def paint_scarf(canvas: Canvas, rng: np.random.Generator) -> Occluded:
    """Knitted, striped or plain cloth from the nose or the lip down over chin and neck."""
    jaw = canvas.to_face(canvas.landmarks[:17])
    top = canvas.to_face(canvas.landmarks[[int(rng.choice([30, 33, 51]))]])[0]
    left, right = jaw[2] - [0.12, 0.0], jaw[14] + [0.12, 0.0]
    left[1] = right[1] = top[1] - rng.uniform(0.0, 0.35)
    edge = _smooth(
        np.array([left, (left + 2 * top) / 3 + [0, 0.05], top, (right + 2 * top) / 3 + [0, 0.05], right])
    )
    flare, bottom = rng.uniform(0.1, 0.7), jaw[8, 1] + rng.uniform(0.5, 1.0)
    below = np.array([[right[0] + 0.05, jaw[12, 1]], [right[0] + flare, bottom], [left[0] - flare, bottom]])
    alpha = canvas.fill(np.concatenate([edge, below, [[left[0] - 0.05, jaw[4, 1]]]]))
    x, y = canvas.grid()
    sag = y + 0.25 * x**2
    first, second = rng.uniform(15, 235, 3), rng.uniform(15, 235, 3)
    kind = rng.integers(4)
    if kind == 0:
        share = np.zeros_like(x)
    elif kind == 1:
        share = ((sag / rng.uniform(0.12, 0.3)) % 1 < 0.5).astype(float)
    elif kind == 2:
        share = 0.5 * ((x / 0.22) % 1 < 0.5) + 0.5 * ((sag / 0.22) % 1 < 0.5)
    else:
        share = 0.35 * (0.5 + 0.5 * np.sin(x * 70) * np.sin(sag * 55))
    cloth = first + (second - first) * share[..., None]
    period = rng.uniform(0.2, 0.4)
    folds = 1 - 0.3 * np.abs(np.sin(np.pi * (sag + 0.05 * np.sin(5 * x + rng.uniform(0, 6))) / period)) ** 3
    round_ = 1.05 - 0.35 * np.clip(np.abs(x) / 1.1, 0, 1.2) ** 2
    light = np.clip(canvas.brightness().mean(), 0.4, 1.2)
    return canvas.lay(alpha, cloth * (folds * round_)[..., None] * light, rng)


_FINGERS = (  # where it starts across the palm, its length, its width, its spread in radians
    (-0.27, 0.62, 0.15, -0.16),
    (-0.09, 0.76, 0.16, -0.05),
    (0.09, 0.72, 0.155, 0.05),
    (0.26, 0.56, 0.135, 0.17),
)

_PALM = (
    (-0.36, -0.3),
    (0.35, -0.3),
    (0.38, 0.2),
    (0.24, 0.6),
    (0.26, 2.2),
    (-0.26, 2.2),
    (-0.24, 0.6),
    (-0.38, 0.1),
)


def paint_hand(canvas: Canvas, rng: np.random.Generator) -> Occluded:
    """A hand with its fingers up over mouth, cheek or an eye, mostly in the face's own colour."""
    place = [(0.0, 1.55), (-0.5, 1.35), (0.5, 1.35), (-0.45, 0.75), (0.45, 0.75)][rng.integers(5)]
    turn, size = rng.uniform(-0.7, 0.7), rng.uniform(0.8, 1.05)
    mirror = rng.choice([-1, 1])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])

    def to_face(points: Points) -> Points:
        return points * [mirror * size, size] @ rotation.T + np.array(place)

    x, y = canvas.grid()
    back = (np.stack([x.ravel(), y.ravel()], axis=1) - np.array(place)) @ rotation / [mirror * size, size]
    u, v = back[:, 0].reshape(x.shape), back[:, 1].reshape(x.shape)
    bones = [
        (np.array([a, -0.3]), np.array([a + np.sin(s) * n, -0.3 - np.cos(s) * n]), w / 2)
        for a, n, w, s in _FINGERS
    ]
    bones.append((np.array([0.3, 0.15]), np.array([0.66, -0.22]), 0.085))
    palm = np.array(_PALM)
    shapes = [palm] + [_capsule(*bone) for bone in bones]
    alpha = canvas.fill(*(to_face(shape) for shape in shapes))
    relief = np.full(x.shape, 0.88)
    for start, end, radius in bones:
        away = _distance(u, v, start, end) / radius
        relief = np.where(away < 1.15, 0.62 + 0.4 * np.sqrt(np.clip(1 - (away / 1.2) ** 2, 0, 1)), relief)
        joint = start + (end - start) * 0.52
        crease = np.exp(-(((u - joint[0]) ** 2 + (v - joint[1]) ** 2) / (0.4 * radius) ** 2))
        relief = relief * (1 - 0.15 * crease)
    skin = np.median(
        canvas.photo[canvas.fill(canvas.to_face(canvas.landmarks[[2, 31, 33, 35, 14, 30]])) > 0.5], axis=0
    )
    tone = rng.uniform(0.85, 1.12) if rng.random() < 0.75 else rng.uniform(0.4, 1.5)
    colour = skin * tone * (relief * (1 + 0.02 * np.sin(9 * u + 3 * v)))[..., None]
    nails = canvas.fill(
        *(to_face(_capsule(e - (e - s) * 0.12, e - (e - s) * 0.02, r * 0.55)) for s, e, r in bones)
    )
    nail = np.array([205, 150, 145]) if rng.random() < 0.6 else rng.uniform(40, 220, 3)
    return canvas.lay(
        alpha,
        colour + (nail * np.clip(skin.mean() / 150, 0.5, 1.2) - colour) * 0.6 * nails[..., None],
        rng,
        0.4,
    )


def _capsule(start: ndarray, end: ndarray, radius: float) -> Points:
    """The outline of all points within `radius` of a line."""
    angle = np.arctan2(*(end - start)[::-1])
    t = np.linspace(-np.pi / 2, np.pi / 2, 16)
    tip = np.stack([np.cos(angle + t), np.sin(angle + t)], axis=1) * radius
    return np.concatenate([end + tip, start - tip])


def _distance(u: Alpha, v: Alpha, start: ndarray, end: ndarray) -> Alpha:
    """Of each point from a line between two."""
    way = end - start
    along = np.clip(((u - start[0]) * way[0] + (v - start[1]) * way[1]) / (way @ way), 0, 1)
    return np.hypot(u - start[0] - along * way[0], v - start[1] - along * way[1])


PAINTERS: dict[str, Callable[[Canvas, np.random.Generator], Occluded]] = {
    "sunglasses": paint_sunglasses,
    "mask": paint_mask,
    "scarf": paint_scarf,
    "hand": paint_hand,
}


def paint(kind: str, photo: Photo, landmarks: Points, seed: int) -> Occluded:
    """The photograph behind an occluder; the same for the same seed."""
    return PAINTERS[kind](Canvas(photo, landmarks.astype(np.float64)), np.random.default_rng(seed))
