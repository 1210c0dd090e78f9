"""Brows and beards thicker than a face model's, hair by hair, as factors of the albedo on the frontal sheet."""

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from occfit.data.synthetic.complexion.skin_sheet import SkinSheet
from occfit.data.synthetic.drawing import Picture, Plane, blur, closed_curve, curve, fill, noise, ribbon

BEARDS = ("moustache", "goatee", "full", "chin curtain")


def _cover(cover: Plane, hair: Float[ndarray, " 3"]) -> Picture:
    """What hair of a given density (0 none .. 1 all) leaves of the skin's light."""
    return 1 - np.clip(cover, 0, 0.97)[..., None] * (1 - np.clip(hair * 1.2 + 0.05, 0, 1))


def _hairs(
    sheet: SkinSheet, rng: np.random.Generator, where: Plane, direction: tuple[float, float], length: float
) -> Plane:
    """Single hairs, `length` mm long and fanned out around a direction, sown where `where` is more than chance."""
    canvas = np.zeros((sheet.size, sheet.size), np.uint8)
    count = int(where.sum() / sheet.scale**2 * 1.6)
    rows, columns = np.nonzero(where > 0.3)
    if not len(rows) or not count:
        return canvas.astype(np.float32)
    chosen = rng.integers(0, len(rows), count)
    roots = np.stack([columns[chosen], rows[chosen]], axis=1) + rng.random((count, 2))
    outwards = np.sign(roots[:, :1] - sheet.marks[27, 0]) * [1.0, 0.0]
    ways = direction[0] * outwards + np.array([0.0, direction[1]]) + rng.normal(0, 0.35, (count, 2))
    tips = roots + ways * length * sheet.scale * rng.uniform(0.5, 1.2, (count, 1))
    ends = np.round((np.stack([roots, tips], axis=1) - 0.5) * 16).astype(np.int32)
    for level, members in zip((120, 180, 255), np.array_split(ends, 3), strict=True):
        cv2.polylines(canvas, list(members), False, level, 1, cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255


def grow_brows(sheet: SkinSheet, rng: np.random.Generator, hair: Float[ndarray, " 3"]) -> Picture:
    """Brows: none added in one picture of three, else from fine to bushy, now and then grown together."""
    if rng.random() < 0.35:
        return np.ones((sheet.size, sheet.size, 3), np.float32)
    thickness, arch, shift = rng.uniform(3, 10), rng.uniform(-1.5, 2.5), rng.uniform(-2, 2)
    outlines = []
    for points in (sheet.marks[17:22], sheet.marks[22:27][::-1]):
        line = curve(points + np.array([0, shift]) * sheet.scale, 24)
        line[:, 1] -= arch * np.sin(np.linspace(0, np.pi, 24)) * sheet.scale
        widths = thickness * np.interp(np.linspace(0, 1, 24), [0, 0.35, 0.85, 1], [0.25, 0.7, 1, 0.8])
        outlines.append(ribbon(line, widths * sheet.scale))
    shape = np.maximum(fill(outlines[:1], sheet.size), fill(outlines[1:], sheet.size))
    if rng.random() < 0.08:
        middle = np.array([[-8, 0], [8, 0], [8, 4], [-8, 4]]) * sheet.scale
        shape = np.maximum(shape, 0.6 * fill([middle + sheet.marks[[21, 22]].mean(axis=0)], sheet.size))
    shape = blur(shape, 0.7 * sheet.scale)
    density = rng.uniform(0.25, 0.9)
    hairs = _hairs(sheet, rng, shape, (0.8, -0.5), 5)
    return _cover(density * (0.65 * shape + 0.6 * hairs * np.minimum(1, 2 * shape)), hair)


def _beard_shape(sheet: SkinSheet, rng: np.random.Generator, style: str) -> Plane:
    """Where it grows, 0 to 1."""
    marks, mm = sheet.marks, sheet.scale
    nose, left, right, chin = marks[33], marks[48], marks[54], marks[8]
    upper, lower = marks[51], marks[57]
    size = sheet.size
    droop = rng.uniform(0, 14) * mm
    moustache = closed_curve(
        np.array(
            [
                nose + [0, 3 * mm],
                left + [-2 * mm, -3 * mm],
                left + [-4 * mm, droop],
                left + [3 * mm, 1 * mm],
                upper + [0, 1 * mm],
                right + [-3 * mm, 1 * mm],
                right + [4 * mm, droop],
                right + [2 * mm, -3 * mm],
            ]
        ),
        64,
    )
    below = np.array([0, rng.uniform(3, 9)]) * mm
    width = rng.uniform(7, 24) * mm
    goatee = np.array(
        [
            lower + below - [width, 0],
            lower + below + [width, 0],
            chin + [width, 12 * mm],
            chin + [-width, 12 * mm],
        ]
    )
    if style == "moustache":
        return fill([moustache], size)
    if style == "goatee":
        return np.maximum(fill([moustache], size) * float(rng.random() < 0.6), fill([goatee], size))
    level = rng.uniform(-6, 16) * mm
    inner = np.stack(
        [
            marks[1] + [5 * mm, 0],
            marks[3] + [rng.uniform(10, 20) * mm, level],
            left + [-6 * mm, 2 * mm],
            lower + below,
        ]
    )
    mirrored = np.stack(
        [
            right + [6 * mm, 2 * mm],
            marks[13] - [rng.uniform(10, 20) * mm, -level],
            marks[15] - [5 * mm, 0],
        ]
    )
    outer = np.array([[size, marks[15, 1]], [size, size], [0, size], [0, marks[1, 1]]])
    jaw = fill([np.concatenate([curve(np.concatenate([inner, mirrored]), 60), outer])], size)
    if style == "full":
        jaw = np.maximum(jaw, fill([moustache], size))
    return jaw


def grow_beard(sheet: SkinSheet, rng: np.random.Generator, hair: Float[ndarray, " 3"]) -> Picture:
    """A moustache, a goatee or a beard in one picture of four; none in the others."""
    if rng.random() > 0.25:
        return np.ones((sheet.size, sheet.size, 3), np.float32)
    style = str(rng.choice(BEARDS))
    ragged = 1 + 0.5 * noise(rng, sheet.size, 14)
    shape = blur(_beard_shape(sheet, rng, style), rng.uniform(1.2, 3) * sheet.scale)
    lips = blur(fill([sheet.marks[48:60]], sheet.size), 0.6 * sheet.scale)
    shape = np.clip(shape * np.clip(ragged, 0.3, 1.3), 0, 1) * (1 - lips)
    hairs = _hairs(sheet, rng, shape, (0.35, 1.0), 7)
    shade = 1 + 0.15 * noise(rng, sheet.size, 20)
    density = rng.uniform(0.5, 1.0)
    return _cover(density * shade * (0.72 * shape + 0.45 * hairs * np.minimum(1, 2 * shape)), hair)
