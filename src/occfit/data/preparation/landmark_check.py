"""Whether 68 points can be a face: mistakes in landmark files are refused before they are fitted."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from occfit.data.alignment import ALIGNED_POINTS
from occfit.data.similarity import apply, fit_similarity
from occfit.errors import OccfitError

SMALLEST_EXTENT = 3.0
"""Pixels, root mean square distance of the inner points from their mean; a smaller face shows nothing."""

MIRRORED = 0.7
"""Points whose mirror image lies nearer to the mean face by this factor are mirrored. On 2,283 photographs it lies at
least 1.9 times farther away, also of faces in profile."""

FAR_OFF = 1.2
"""Extents between a point and where the others put it. On the same photographs no point lies 1.0 off."""

INSIDE = 0.5
"""Share of the inner points that must lie in the photograph."""

_ORDER = "Give iBUG's order, where point 36 is the outer corner of the eye on the picture's left"


def check_landmarks(
    points: Float[ndarray, "68 2"], shape: tuple[int, int], mean_face: Float[ndarray, "68 3"]
) -> None:
    """Checks that landmarks look like a face that the photograph shows.

    Args:
        shape: the photograph's height and width.
        mean_face: the mean face's points in the model's frame (y up).

    Raises:
        OccfitError: They are mirrored, upside down, have x and y swapped, aren't in pixels, lie outside the photograph,
            or a point is far from where the others put it.
    """
    if not np.isfinite(points).all():
        raise OccfitError("A landmark isn't a number", remedy="Leave photographs without a face out")
    inner = points[ALIGNED_POINTS].astype(np.float64)
    extent = _extent(inner)
    height, width = shape
    if extent < SMALLEST_EXTENT:
        reason = f"The face is only {_span(points):.2g} pixels wide"
        raise OccfitError(reason, remedy="Give the landmarks in pixels of the photograph")
    inside = ((inner >= 0) & (inner <= [width, height])).all(axis=1).mean()
    if inside < INSIDE:
        reason = f"Most landmarks lie outside the photograph of {width} x {height} pixels"
        raise OccfitError(reason, remedy="Check that they are of this photograph, in its pixels")
    _check_orientation(inner / extent, mean_face[ALIGNED_POINTS, :2] * [1, -1])
    _check_each(points, extent, mean_face)


def _check_orientation(inner: Float[ndarray, "n 2"], mean: Float[ndarray, "n 2"]) -> None:
    target = mean / _extent(mean)
    plain, mirrored = _misfit(inner, target), _misfit(inner * [-1, 1], target)
    if mirrored >= MIRRORED * plain:
        return
    matrix = fit_similarity(inner * [-1, 1], target)
    angle = abs(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
    if angle > 135:
        raise OccfitError(
            "The landmarks are upside down", remedy="Give y from the picture's top to its bottom"
        )
    if angle > 45:
        raise OccfitError("The landmarks have x and y swapped", remedy="Give rows `x,y`")
    raise OccfitError("The landmarks have left and right swapped", remedy=_ORDER)


def _check_each(points: Float[ndarray, "68 2"], extent: float, mean_face: Float[ndarray, "68 3"]) -> None:
    """Any pose of a face is an affine image of the mean one, up to its own shape and expression."""
    given = np.column_stack([mean_face, np.ones(len(mean_face))]).astype(np.float64)
    solved = np.linalg.lstsq(given[ALIGNED_POINTS], points[ALIGNED_POINTS].astype(np.float64), rcond=None)[0]
    off = np.linalg.norm(given @ solved - points, axis=1) / extent
    if off.max() > FAR_OFF or np.linalg.matrix_rank(points - points.mean(axis=0), tol=0.05 * extent) < 2:
        reason = (
            f"The landmarks aren't a face's: point {int(off.argmax())} is far from where the others put it"
        )
        raise OccfitError(reason, remedy="Give the iBUG points 0 to 67, in pixels of the photograph")


def _misfit(source: Float[ndarray, "n 2"], target: Float[ndarray, "n 2"]) -> float:
    return float(np.sqrt(((apply(fit_similarity(source, target), source) - target) ** 2).sum(axis=1).mean()))


def _extent(points: Float[ndarray, "n 2"]) -> float:
    return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()))


def _span(points: Float[ndarray, "68 2"]) -> float:
    return float(np.ptp(points, axis=0).max())
