"""Drawing on a float canvas: anti-aliased vector shapes, noise, and relief.

A canvas is a square of `size` pixels. Points are `n 2`, pixels, x right and y down, the first pixel's centre at
(0.5, 0.5). Coverages are float32 in [0, 1], `h w`; pictures are float32 RGB, `h w 3`. Every random draw comes from
the generator that is passed in.
"""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray

Plane = Float[ndarray, "h w"]
Picture = Float[ndarray, "h w 3"]
Points = Float[ndarray, "n 2"]

_SHIFT = 4
_SQUARE = np.ones((3, 3), np.uint8)


def fill(polygons: Sequence[ndarray], size: int) -> Plane:
    """Coverage of polygons, each `n 2`; where an even number of them overlap there is a hole."""
    canvas = np.zeros((size, size), np.uint8)
    fixed = [np.round((np.asarray(p) - 0.5) * 2**_SHIFT).astype(np.int32) for p in polygons]
    cv2.fillPoly(canvas, fixed, 255, cv2.LINE_AA, _SHIFT)
    # OpenCV's soft edge lies half a pixel outside the polygon; the mean with an eroded copy lies on it.
    return (canvas.astype(np.float32) + cv2.erode(canvas, _SQUARE)) * np.float32(1 / 510)


def ribbon(points: Points, widths: float | ndarray) -> Float[ndarray, "m 2"]:
    """The outline of a stroke along `points` whose full width, in pixels, is `widths` (one number, or one a point)."""
    tangents = np.gradient(points, axis=0)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-6)
    normals = np.stack([-tangents[:, 1], tangents[:, 0]], axis=1)
    half = np.broadcast_to(np.asarray(widths, np.float32), (len(points),))[:, None] / 2
    return np.concatenate([points + normals * half, (points - normals * half)[::-1]])


def stroke(points: Points, widths: float | ndarray, size: int) -> Plane:
    return fill([ribbon(points, widths)], size)


@cache
def _spline_weights(controls: int, count: int) -> ndarray:
    """The matrix that takes control points to points on their Catmull-Rom spline."""
    position = np.linspace(0, controls - 1, count)
    segment = np.minimum(position.astype(int), controls - 2)
    t = position - segment
    cubic = 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], axis=1
    )
    padded = np.zeros((count, controls + 2))
    np.add.at(padded, (np.arange(count)[:, None], segment[:, None] + np.arange(4)), cubic)
    weights = padded[:, 1:-1].copy()
    weights[:, :2] += padded[:, :1] * [2, -1]
    weights[:, -2:] += padded[:, -1:] * [-1, 2]
    return weights


def curve(controls: Float[ndarray, "*b n d"], count: int = 24) -> Float[ndarray, "*b m d"]:
    """`count` points on the Catmull-Rom spline through `controls`; it starts and ends in the outer ones."""
    return _spline_weights(controls.shape[-2], count) @ controls


def closed_curve(controls: ndarray, count: int = 48) -> ndarray:
    """`count` points on the closed Catmull-Rom spline through `controls`."""
    wrapped = np.concatenate([controls[-2:], controls, controls[:3]])
    points = curve(wrapped, (len(controls) + 4) * 8 + 1)
    loop = points[16 : 16 + len(controls) * 8]
    return loop[np.linspace(0, len(loop), count, endpoint=False).astype(int)]


def blur(plane: ndarray, sigma: float) -> ndarray:
    """Gaussian blur of a plane or a picture; below a third of a pixel it returns the input.

    Wide blurs run on a smaller copy, which is faster and looks the same.
    """
    if sigma < 0.33:
        return plane
    height, width = plane.shape[:2]
    factor = 1
    while sigma / factor > 4 and min(height, width) // (2 * factor) >= 8:
        factor *= 2
    if factor > 1:
        small = cv2.resize(plane, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REPLICATE)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def noise(rng: np.random.Generator, size: int, cells: float, channels: int = 1) -> ndarray:
    """Smooth noise of about unit spread with `cells` bumps across the canvas: `h w`, or `h w c`."""
    count = max(2, min(size, round(cells)))
    grid = rng.standard_normal((count + 1, count + 1, channels), np.float32)
    resized = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    return resized.reshape(size, size) if channels == 1 else resized


def fractal_noise(
    rng: np.random.Generator, size: int, cells: float, octaves: int, channels: int = 1
) -> ndarray:
    """A sum of noises, each twice as fine and half as strong as the one before."""
    layers = [noise(rng, size, cells * 2**k, channels) * 0.5**k for k in range(octaves)]
    return np.stack(layers).sum(axis=0, dtype=np.float32)


def grid(size: int) -> tuple[Plane, Plane]:
    """x and y of the pixel centres."""
    centres = np.arange(size, dtype=np.float32) + np.float32(0.5)
    return np.broadcast_to(centres, (size, size)), np.broadcast_to(centres[:, None], (size, size))


def around(centre: ndarray, reach: float, size: int) -> tuple[tuple[slice, slice], ndarray, ndarray]:
    """The part of the canvas within `reach` pixels of a point, and each pixel's way from it: a row dx, a column dy."""
    low = np.clip(np.floor(centre - reach), 0, size).astype(int)
    high = np.clip(np.ceil(centre + reach), low, size).astype(int)
    dx = np.arange(low[0], high[0], dtype=np.float32) + np.float32(0.5 - centre[0])
    dy = np.arange(low[1], high[1], dtype=np.float32) + np.float32(0.5 - centre[1])
    return (slice(low[1], high[1]), slice(low[0], high[0])), dx, dy[:, None]


def relief_normals(height: Plane) -> Picture:
    """Unit normals (x right, y up, z to the viewer) of a surface whose height above the canvas is in pixels."""
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    length = 1 / np.sqrt(dx * dx + dy * dy + 1)
    return np.dstack([-dx * length, dy * length, length])


def emboss(coverage: Plane, radius: float) -> Picture:
    """Normals of a shape whose edges are rounded over `radius` pixels."""
    inside = cv2.distanceTransform((coverage > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    depth = np.clip(inside / radius, 0, 1)
    return relief_normals(blur(radius * np.sqrt(np.clip(depth * (2 - depth), 0, 1)), radius / 4))


def over(below: Picture, colour: ndarray, alpha: Plane) -> Picture:
    """`colour` (a picture or one RGB) laid over `below` with opacity `alpha`, to about 1e-5."""
    top = np.ascontiguousarray(np.broadcast_to(np.asarray(colour, np.float32), below.shape))
    alpha = alpha.astype(np.float32, copy=False)
    return cv2.blendLinear(top, below.astype(np.float32, copy=False), alpha, 1 - alpha)


def smoothstep(low: float, high: float, value: ndarray) -> ndarray:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def hsv(hue: float, saturation: float, value: float) -> Float[ndarray, " 3"]:
    """RGB of a colour given in HSV, each in [0, 1]."""
    sector = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    return (value * (1 - saturation * np.clip(np.minimum(sector, 4 - sector), 0, 1))).astype(np.float32)
