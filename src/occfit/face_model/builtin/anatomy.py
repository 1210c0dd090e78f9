"""Where the template's features lie, in the frontal plane (mm, x right, y up, the midline at x = 0).

Everything is given for the half x >= 0 and mirrored. Distances are rounded means of young adults, between women
and men, from Farkas (Anthropometry of the Head and Face, 2nd edition, 1994) and Farkas et al. (International
anthropometric study of facial morphology, 2005):

    bizygomatic width (zy-zy) 134          face height (n-gn) 118            physiognomical height (tr-gn) 182
    bigonial width (go-go) 100             lower face height (sn-gn) 66      nose height (n-sn) 52
    biocular width (ex-ex) 92              intercanthal width (en-en) 33     eye fissure height (ps-pi) 10.5
    nose width (al-al) 35                  nasal tip protrusion (sn-prn) 19  mouth width (ch-ch) 51
    upper vermilion (ls-sto) 8.5           lower vermilion (sto-li) 10       upper lip height (sn-sto) 20.5

and an interpupillary distance of 63 mm (Dodgson, Variation and extrema of human interpupillary distance, 2004).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Array = NDArray[np.float64]

EYE_CENTRE = (31.4, 20.0)
EYE_HALF_WIDTH = 15.0
IRIS_RADIUS = 5.9
PUPIL_RADIUS = 2.1
EYE_RIM = (19.6, 14.4)
"""Half axes of the ellipse around the eye centre inside which the mesh follows the eyelids."""

MOUTH_HALF_WIDTH = 25.5
VERMILION_HALF_WIDTH = 27.3
"""Where the lips' borders meet, outside of the mouth's corner."""

MOUTH_HEIGHT = -46.5
MOUTH_RIM = (36.0, 17.0, 19.0)
"""The ellipse around the mouth inside which the mesh follows the lips: half width, half height above and below."""


def eye_corner_line(x: Array) -> Array:
    """Height of the line through the eye's corners; the outer one is 1.6 mm higher."""
    return EYE_CENTRE[1] - 0.2 + 0.8 * (x - EYE_CENTRE[0]) / EYE_HALF_WIDTH


def upper_lid(x: Array) -> Array:
    """Height of the upper eyelid's margin, open."""
    u = np.clip((x - EYE_CENTRE[0]) / EYE_HALF_WIDTH, -1.0, 1.0)
    return eye_corner_line(x) + 5.4 * (1.0 - u**2) ** 0.62 * (1.0 - 0.14 * u)


def lower_lid(x: Array) -> Array:
    """Height of the lower eyelid's margin, open."""
    u = np.clip((x - EYE_CENTRE[0]) / EYE_HALF_WIDTH, -1.0, 1.0)
    return eye_corner_line(x) - 5.1 * (1.0 - u**2) ** 0.72 * (1.0 + 0.14 * u)


def parting_line(x: Array) -> Array:
    """Height of the line where the closed lips meet."""
    q = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0.0, 1.5)
    return (
        MOUTH_HEIGHT
        - 0.9 * np.exp(-((x / 6.0) ** 2))
        + 0.9 * np.exp(-(((np.abs(x) - 12.0) / 8.0) ** 2))
        - 0.3 * q**2
    )


def upper_vermilion(x: Array) -> Array:
    """Height of the upper lip's border, with its bow."""
    q = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0.0, 1.0)
    thickness = 8.6 * (1.0 - q**1.7) ** 0.95 * (1.0 - 0.20 * np.exp(-((x / 3.4) ** 2)))
    return parting_line(x) + thickness


def lower_vermilion(x: Array) -> Array:
    """Height of the lower lip's border."""
    q = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0.0, 1.0)
    return np.minimum(MOUTH_HEIGHT - 0.3 * q**2 - 9.9 * (1.0 - q**2.6) ** 0.75, parting_line(x))


_BROW_LINE = PchipInterpolator(
    [5.0, 13.0, 20.0, 30.0, 39.0, 46.0, 52.0, 60.0], [37.8, 38.3, 39.8, 42.2, 43.5, 42.0, 38.8, 33.0]
)


def rim_distance(x: Array, y: Array) -> Array:
    """1 on the rims of eye and mouth, less inside of them, more outside; x >= 0."""
    eye = np.hypot((x - EYE_CENTRE[0]) / EYE_RIM[0], (y - EYE_CENTRE[1]) / EYE_RIM[1])
    half_width, up, down = MOUTH_RIM
    height = y - MOUTH_HEIGHT
    return np.minimum(eye, np.hypot(x / half_width, height / np.where(height > 0, up, down)))


def brow_line(x: Array) -> Array:
    """Height of the middle of the eyebrow: rising to two thirds of its length, then falling."""
    return _BROW_LINE(np.clip(x, 5.0, 60.0))


def brow_band(x: Array) -> Array:
    """Half the height of the band that the mesh lays along the eyebrow: the hair and its soft border."""
    return 1.3 * (np.maximum(brow_half_thickness(x), 1.7) + 0.5)


def brow_half_thickness(x: Array) -> Array:
    """Half the eyebrow's height; 0 beyond its ends."""
    return np.interp(x, [9.5, 13.0, 20.0, 36.0, 47.0, 55.0], [0.0, 3.4, 3.9, 3.2, 2.0, 0.0])
