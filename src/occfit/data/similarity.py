"""Affine maps of the plane as 2 x 3 matrices [A | b]: p -> A p + b.

Points are continuous pixel coordinates, the first pixel's centre is (0.5, 0.5).
"""

import cv2
import numpy as np
from jaxtyping import Float, Shaped
from numpy import ndarray

Matrix = Float[ndarray, "2 3"]
Points = Float[ndarray, "n 2"]
BLACK = (0, 0, 0, 0)


def fit_similarity(source: Points, target: Points, weights: Float[ndarray, " n"] | None = None) -> Matrix:
    """The similarity that brings `source` nearest to `target`: least squares of the weighted distances (Umeyama).

    It is never a reflection. In the plane it is one complex quotient: a + ib = sum w conj(s) t / sum w |s|^2 over the
    centred points s and t.

    Raises:
        ValueError: all weighted source points are one point.
    """
    shares = np.ones(len(source)) if weights is None else np.asarray(weights, dtype=np.float64)
    shares = shares / shares.sum()
    source, target = source.astype(np.float64), target.astype(np.float64)
    source_centre, target_centre = shares @ source, shares @ target
    s, t = source - source_centre, target - target_centre
    spread = shares @ (s * s).sum(axis=1)
    if not spread > 1e-12 * max(1.0, float(np.abs(source_centre).max())) ** 2:
        raise ValueError("the points to be aligned are all one point")
    a = shares @ (s * t).sum(axis=1) / spread
    b = shares @ (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]) / spread
    linear = np.array([[a, -b], [b, a]])
    return np.column_stack([linear, target_centre - linear @ source_centre])


def compose(after: Matrix, before: Matrix) -> Matrix:
    """The map that does `before`, then `after`."""
    return np.column_stack([after[:, :2] @ before[:, :2], after[:, :2] @ before[:, 2] + after[:, 2]])


def invert(matrix: Matrix) -> Matrix:
    inverse = np.linalg.inv(matrix[:, :2])
    return np.column_stack([inverse, -inverse @ matrix[:, 2]])


def apply(matrix: Matrix, points: Points) -> Points:
    """The moved points, in the points' precision."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(points.dtype)


def warp(
    picture: Shaped[ndarray, "h w *c"],
    matrix: Matrix,
    shape: tuple[int, int],
    interpolation: int = cv2.INTER_LINEAR,
) -> Shaped[ndarray, "h2 w2 *c"]:
    """The picture of height and width `shape` that shows the point p at `matrix` p; zero outside the picture.

    OpenCV counts from the first pixel's centre, so half a pixel is taken off on both sides.
    """
    shifted = matrix.astype(np.float64)
    shifted[:, 2] += 0.5 * (matrix[:, 0] + matrix[:, 1]) - 0.5
    warped = cv2.warpAffine(
        picture, shifted, shape[::-1], flags=interpolation, borderMode=cv2.BORDER_CONSTANT, borderValue=BLACK
    )
    return warped.reshape(*shape, *picture.shape[2:])  # OpenCV drops a channel that is alone
