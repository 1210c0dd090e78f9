"""Face boxes from scikit-image's cascade of local binary patterns, whose training file it ships."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

LONGEST_SIDE = 480
"""The longest side in pixels; larger photographs are searched at this size. A face needs a tenth of it."""

SMALLEST_FACE = 0.1
"""The smallest face that is found, as a share of the photograph's shorter side."""


def cascade_boxes(photo: UInt8[ndarray, "h w 3"], agreeing: int = 3) -> Float[ndarray, "n 3"]:
    """Boxes that look like faces from the front: centre x, centre y, side, in pixels; perhaps none.

    Args:
        agreeing: the number of overlapping boxes that make one. Fewer find more faces, and more that are none.
    """
    import cv2

    height, width = photo.shape[:2]
    factor = min(1.0, LONGEST_SIDE / max(height, width))
    small = (
        cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else photo
    )
    side = min(small.shape[:2])
    found = _cascade().detect_multi_scale(
        img=small,
        scale_factor=1.1,
        step_ratio=1,
        min_size=(max(24, int(side * SMALLEST_FACE)),) * 2,
        max_size=(side, side),
        min_neighbor_number=agreeing,
    )
    boxes = [(box["c"] + box["width"] / 2, box["r"] + box["height"] / 2, box["width"]) for box in found]
    return np.array(boxes, float).reshape(-1, 3) / factor


@lru_cache(maxsize=1)
def _cascade():
    from skimage import data, feature

    return feature.Cascade(data.lbp_frontal_face_cascade_filename())
