"""What a face has and a morphable model can't express: pores, moles, freckles, lines, stubble, make-up, gloss.

Detail is painted once on a flat frontal sheet, in millimetres of the mean face, and laid over the face through the
mean face's coordinates of each pixel, so it turns and bends with the head.
"""

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from occfit.data.synthetic.complexion.facial_hair import grow_beard, grow_brows
from occfit.data.synthetic.complexion.skin_sheet import SHEET_EXTENT, SkinSheet
from occfit.data.synthetic.drawing import (
    Picture,
    Plane,
    blur,
    fill,
    fractal_noise,
    grid,
    hsv,
    noise,
    smoothstep,
)
from occfit.data.synthetic.priors import Person, Setting
from occfit.data.synthetic.scene import Scene


def _spots(sheet: SkinSheet, rng: np.random.Generator) -> Picture:
    """What moles and freckles leave of the light."""
    canvas = np.zeros((sheet.size, sheet.size), np.uint8)

    def dot(centre: ndarray, radius: float, strength: int) -> None:
        fixed = np.round((centre - 0.5) * 16).astype(int).tolist()
        cv2.circle(canvas, fixed, max(1, round(radius * sheet.scale * 16)), strength, -1, cv2.LINE_AA, 4)

    freckles = int(rng.integers(20, 160)) if rng.random() < 0.25 else 0
    places = np.stack([rng.normal(0, 34, freckles), rng.normal(-5, 20, freckles)], axis=1)
    for centre in sheet.pixels(places):
        dot(centre, rng.uniform(0.6, 1.3), int(rng.integers(40, 120)))
    for centre in sheet.pixels(rng.uniform([-62, -75], [62, 70], (int(rng.poisson(1.5)), 2))):
        dot(centre, rng.uniform(0.8, 2.2), int(rng.integers(130, 255)))
    dark = cv2.GaussianBlur(canvas, (3, 3), 0.5).astype(np.float32)[..., None]
    return 1 - dark * np.array([0.45, 0.6, 0.65], np.float32) / 255


def _lines(sheet: SkinSheet, rng: np.random.Generator, age: float) -> Plane:
    """Darkening by the folds of forehead, mouth and eyes, deeper with age."""
    marks, mm = sheet.marks, sheet.scale
    fine, folds, bags = [], [], []
    for row in range(int(rng.integers(1, 4))):
        level = marks[[19, 24], 1].mean() - (14 + 11 * row) * mm
        across = np.linspace(-36, 36, 5) * mm * rng.uniform(0.7, 1.1)
        bend = rng.normal(0, 1.2, 5) * mm + 0.002 * across**2
        fine.append(np.stack([marks[27, 0] + across, level + bend], axis=1))
    for nose, mouth, eye, side in ((31, 48, 36, -1), (35, 54, 45, 1)):
        wing, corner = marks[nose] + [side * 5 * mm, -4 * mm], marks[mouth] + [side * 6 * mm, 2 * mm]
        folds.append(np.stack([wing, (wing + corner) / 2 + [side * 3 * mm, 0], corner]))
        for spoke in (-1, 0, 1):
            start = marks[eye] + [side * 5 * mm, spoke * 3 * mm]
            fine.append(np.stack([start, start + np.array([side * 9, spoke * 5]) * mm]))
        lid = marks[[36, 39]] if side < 0 else marks[[42, 45]]
        bags.append(np.stack([lid[0], lid.mean(axis=0) + [0, 8 * mm], lid[1]]) + [0, 4 * mm])
    depth = sheet.lines(fine, rng.uniform(0.3, 0.8, len(fine)).tolist(), 0.6)
    depth = depth + sheet.lines(folds, rng.uniform(0.5, 1, 2).tolist(), 1.2)
    depth = depth + sheet.lines(bags, [rng.uniform(0.2, 0.8)] * 2, 1.5)
    return np.clip(depth, 0, 1.2) * (0.04 + 0.34 * age)


def _lips(sheet: SkinSheet) -> Plane:
    return fill([sheet.marks[48:60]], sheet.size)


def _stubble(sheet: SkinSheet, rng: np.random.Generator, strength: float, hair: ndarray) -> Picture:
    """What a short beard leaves of the skin's light, in the hair's colour."""
    marks, mm = sheet.marks, sheet.scale
    x, y = grid(sheet.size)
    ragged = y + 2.5 * mm * noise(rng, sheet.size, 6)
    jaw = smoothstep(marks[33, 1] + 2 * mm, marks[48, 1] + 4 * mm, ragged)
    side = smoothstep(20 * mm, 55 * mm, np.abs(x[0] - marks[27, 0]))
    cheeks = side * smoothstep(marks[1, 1], marks[3, 1], y[:, :1])
    grain = 0.75 + 0.45 * rng.standard_normal((sheet.size, sheet.size), np.float32)
    cover = np.maximum(jaw, cheeks) * grain * (1 - blur(_lips(sheet), 1 * mm))
    cover = np.clip(cover, 0, 1) * np.float32(strength * rng.uniform(0.35, 0.75))
    return 1 - cover[..., None] * (1 - np.clip(hair * 1.2 + 0.08, 0, 1))


def _make_up(sheet: SkinSheet, rng: np.random.Generator) -> Picture:
    """Lipstick, eye shadow, rouge."""
    marks, picture = sheet.marks, np.ones((sheet.size, sheet.size, 3), np.float32)
    if rng.random() < 0.3:
        tone = hsv(rng.uniform(0.93, 1.03) % 1, rng.uniform(0.4, 0.85), 1.0)
        painted = blur(_lips(sheet), 0.8 * sheet.scale) * rng.uniform(0.4, 0.9)
        picture *= 1 - painted[..., None] * (1 - tone)
    if rng.random() < 0.25:
        tone = hsv(rng.random(), rng.uniform(0.2, 0.6), rng.uniform(0.5, 0.9))
        above = np.array([0, 4 * sheet.scale])
        lids = sum(sheet.blob(marks[pair].mean(axis=0) - above, (17, 8)) for pair in ([37, 38], [43, 44]))
        picture *= 1 - np.clip(lids, 0, 1)[..., None] * (1 - tone) * rng.uniform(0.3, 0.8)
    if rng.random() < 0.3:
        places = sheet.pixels(np.array([[-42.0, -12.0], [42.0, -12.0]]))
        cheeks = np.stack([sheet.blob(place, (22, 18)) for place in places]).sum(axis=0)
        picture *= 1 - cheeks[..., None] * np.array([0.0, 0.17, 0.14], np.float32) * rng.uniform(0.3, 1)
    return picture


def paint_sheet(
    rng: np.random.Generator,
    person: Person,
    size: int,
    marks: Float[ndarray, "68 3"],
    setting: Setting = Setting.WILD,
) -> Picture:
    """The factor by which detail changes the albedo, on the frontal sheet.

    Args:
        rng: this picture's generator, for what changes from day to day. The rest follows from the person.
        marks: the mean face's landmarks in mm.
        setting: the picture's setting. Where it is varied, brows are painted on and beards are full.
    """
    own = np.random.Generator(np.random.SFC64(person.detail_seed))
    sheet = SkinSheet(size, marks)
    mottle = noise(own, size, 7, 3) * 0.012 + noise(own, size, 24, 3) * 0.008
    tone = fractal_noise(own, size, 9, 3) * 0.02
    tone = tone + own.standard_normal((size, size), np.float32) * own.uniform(0.01, 0.035)
    tone = (1 + tone) * (1 - _lines(sheet, own, person.age))
    factor = (tone[..., None] + mottle) * _spots(sheet, own)
    if person.beard > 0:
        factor *= _stubble(sheet, own, person.beard, person.hair)
    if setting is Setting.VARIED:
        factor *= grow_brows(sheet, own, person.hair) * grow_beard(sheet, own, person.hair)
    factor *= _make_up(sheet, rng)
    return factor.astype(np.float32, copy=False)


def apply_sheet(sheet: Float[ndarray, "s s 3"], reference: Float[ndarray, "h w 3"]) -> Picture:
    """The sheet laid over the face; `reference` holds the mean face's coordinates (mm) of each pixel."""
    scale = sheet.shape[0] / (2 * SHEET_EXTENT)
    u = (reference[..., 0] + SHEET_EXTENT) * scale - 0.5
    v = (SHEET_EXTENT - reference[..., 1]) * scale - 0.5
    return cv2.remap(sheet, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def gloss(scene: Scene, rng: np.random.Generator) -> Picture:
    """Light mirrored by oily skin, which spherical-harmonics shading of a matt surface has no part of."""
    direction, directed = scene.light_direction()
    half = direction + np.array([0, 0, 1], np.float32)
    half = half / max(float(np.linalg.norm(half)), 1e-6)
    facing = np.maximum(scene.normals @ half, np.float32(1e-4))
    logarithm = np.log(facing)
    shine = 0.7 * np.exp(logarithm * rng.uniform(30, 70)) + 0.3 * np.exp(logarithm * rng.uniform(6, 14))
    amount = np.float32(rng.uniform(0.0, 0.3) * (0.3 + directed))
    patchy = np.clip(1 + 0.4 * noise(rng, scene.size, 12), 0, 2) * amount
    return (shine * patchy)[..., None] * scene.flat_shade(direction + [0, 0, 0.3])


def nose_shadow(scene: Scene, rng: np.random.Generator) -> Plane:
    """What the nose takes from the light on the far side: a cast shadow, 0 none .. 1 all."""
    direction, directed = scene.light_direction()
    nose = scene.landmarks[[27, 31, 33, 35, 30]]
    away = np.array([-direction[0], direction[1]]) / max(float(direction[2]), 0.4) * 16 * scene.scale
    reached = np.concatenate([nose, nose[1:] + away]).astype(np.float32)
    thrown = fill([cv2.convexHull(reached)[:, 0]], scene.size)
    own = fill([cv2.convexHull(nose.astype(np.float32))[:, 0]], scene.size)
    thrown = blur(np.maximum(thrown - own, 0), 2.5 * scene.scale)
    return thrown * np.float32(directed * rng.uniform(0.0, 0.45))
