"""What can be told of a face from its landmarks and masks: how it is turned, how large it was, how much is known."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from occfit.data.alignment import ALIGNED_POINTS
from occfit.data.similarity import Matrix
from occfit.data.store import PreparedStore

BATCH = 256
MEASURES = ("roll", "yaw", "face size", "known", "hidden")


def hull(points: Float[ndarray, "68 2"], size: int) -> UInt8[ndarray, "s s"]:
    """1 inside the landmarks' convex hull."""
    canvas = np.zeros((size, size), np.uint8)
    outline = cv2.convexHull(points.astype(np.float32))
    cv2.fillConvexPoly(canvas, np.round((outline - 0.5) * 16).astype(np.int32), 1, shift=4)
    return canvas


def share_of_hull(points: Float[ndarray, "68 2"], mask: Float[ndarray, "s s"]) -> float:
    """The mean of a mask in [0, 1] over the landmarks' hull; NaN if that lies outside the picture."""
    inside = hull(points, len(mask)) > 0
    return float(mask[inside].mean()) if inside.any() else float("nan")


def yaw(points: Float[ndarray, "68 2"], mean_face: Float[ndarray, "68 3"]) -> float:
    """Degrees by which the face looks away from the camera; positive turns the nose to the picture's right.

    It is that of the mean face as an affine camera shows it at the points (least squares).

    Args:
        points: in pixels of an upright face, y down.
        mean_face: in the model's frame, y up.
    """
    model = mean_face[ALIGNED_POINTS].astype(np.float64)
    image = points[ALIGNED_POINTS].astype(np.float64) * [1, -1]
    solved = np.linalg.lstsq(model - model.mean(axis=0), image - image.mean(axis=0), rcond=None)[0]
    left, _, right = np.linalg.svd(solved.T, full_matrices=False)
    across, up = left @ right
    return float(np.degrees(np.arctan2(across[2], np.cross(across, up)[2])))


def face_size(points: Float[ndarray, "68 2"], aligned_to_photo: Matrix) -> float:
    """The face's height in the photograph's pixels: from the landmarks' top to their bottom as the face lies."""
    scale = np.sqrt(abs(np.linalg.det(aligned_to_photo[:, :2])))
    return float(np.ptp(points[:, 1]) * scale)


def roll_of(aligned_to_photo: Matrix) -> float:
    """Degrees by which the face lies turned in the photograph, counter-clockwise."""
    return float(-np.degrees(np.arctan2(aligned_to_photo[1, 0], aligned_to_photo[0, 0])))


def measure(store: PreparedStore, mean_face: Float[ndarray, "68 3"]) -> dict[str, Float[ndarray, " n"]]:
    """Roll, yaw (degrees), face size (pixels of the photograph), and inside the landmarks' hull the shares of pixels
    that are known and, of these, that don't show the face; NaN where a store doesn't say.
    """
    columns: dict[str, list[float]] = {name: [] for name in MEASURES}
    for start in range(0, len(store), BATCH):
        arrays = store.arrays(range(start, min(start + BATCH, len(store))))
        for row in range(len(arrays["image"])):
            found = measure_one({name: values[row] for name, values in arrays.items()}, mean_face)
            for name, value in found.items():
                columns[name].append(value)
    return {name: np.array(values, np.float32) for name, values in columns.items()}


def measure_one(arrays: dict[str, ndarray], mean_face: Float[ndarray, "68 3"]) -> dict[str, float]:
    """One sample's; see `measure`."""
    points, back = arrays["landmarks"], arrays.get("aligned_to_photo")
    found = {name: float("nan") for name in MEASURES} | {"yaw": yaw(points, mean_face)}
    if back is not None:
        found |= {"roll": roll_of(back), "face size": face_size(points, back)}
    if "visibility" in arrays:
        inside = hull(points, len(arrays["image"])) > 0
        known = inside & (arrays["known"] > 127) if "known" in arrays else inside
        visible = arrays["visibility"] > 127
        found["known"] = float(known.sum() / max(inside.sum(), 1))
        found["hidden"] = float((known & ~visible).sum() / known.sum()) if known.any() else float("nan")
    return found
