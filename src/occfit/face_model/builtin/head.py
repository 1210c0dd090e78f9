"""The template's smooth head: a stack of half ellipses along a profile, and the flat frame of its features.

The surface is the image of `(angle, level)`: the angle in radians around the vertical axis, 0 in the midline,
negative at the picture's left; the level in mm, about the height y of the midline point on the front of the face, and
an arc length where the surface turns back over the forehead and under the chin. A level's curve rises towards the
ears below the mouth (so that it follows the jaw) and falls above the eyes.

Features (eyes, nose, lips ...) are described in the frontal plane, in mm of the smooth head's own x and y.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Array = NDArray[np.float64]

#                level   y      front  width  depth  lift
_PROFILE = np.array(
    [
        [-126.0, -86.0, -44.0, 46.0, 44.0, 38.0],
        [-114.0, -89.5, -31.0, 48.0, 56.0, 42.0],
        [-102.0, -91.5, -17.0, 50.0, 68.0, 44.0],
        [-92.0, -89.5, -6.0, 52.0, 77.0, 44.0],
        [-80.0, -80.0, -1.0, 55.5, 82.0, 39.0],
        [-65.0, -65.0, 0.0, 58.8, 87.0, 30.0],
        [-45.0, -45.0, 0.5, 62.8, 92.0, 18.0],
        [-25.0, -25.0, -0.5, 66.0, 94.0, 8.0],
        [0.0, 0.0, -3.0, 70.0, 94.0, 1.0],
        [28.0, 28.0, -3.0, 71.0, 93.0, -3.0],
        [50.0, 50.0, 0.0, 69.5, 93.0, -6.0],
        [72.0, 71.0, -4.0, 65.5, 88.0, -10.0],
        [90.0, 87.0, -13.0, 60.0, 78.0, -15.0],
        [102.0, 95.5, -22.0, 54.0, 67.0, -19.0],
        [114.0, 102.0, -32.0, 47.0, 55.0, -23.0],
    ]
)
_CURVES = [PchipInterpolator(_PROFILE[:, 0], _PROFILE[:, column]) for column in range(1, 6)]
PLANE_RADIUS = 68.0
"""mm per radian of angle where `(angle, level)` is drawn as a plane: about the head's radius at the ears."""

LEVELS = (float(_PROFILE[0, 0]), float(_PROFILE[-1, 0]))


def head_points(angle: Array, level: Array) -> Array:
    """The smooth head's points, `n 3` in mm: x right, y up, z towards the viewer."""
    y, front, width, depth, lift = (curve(level) for curve in _CURVES)
    turn = 1.0 - np.cos(angle)
    return np.stack([width * np.sin(angle), y + lift * turn, front - depth * turn], axis=-1)


def from_frontal(x: Array, y: Array) -> tuple[Array, Array]:
    """The angle and level of the smooth head's front at (x, y); a fixed point, exact to about 1e-9 mm.

    Only for features of the face's front, up to about 55 mm from the midline and 85 mm from its centre.
    """
    level = np.array(y, dtype=np.float64)
    angle = np.zeros_like(level)
    for _ in range(60):
        angle = np.arcsin(np.clip(x / _CURVES[2](level), -0.999, 0.999))
        height = _CURVES[0](level) + _CURVES[4](level) * (1.0 - np.cos(angle))
        level = np.clip(level + (y - height), *LEVELS)
    return angle, level


def outline_angle(level: Array) -> Array:
    """Half the face mask's extent at a level, in radians: to the ears, rounded over the forehead and under the chin."""
    widest = np.deg2rad(84.0)
    above = np.clip((level - 38.0) / (107.0 - 38.0), 0.0, 1.0)
    below = np.clip((-62.0 - level) / (118.0 - 62.0), 0.0, 1.0)
    return widest * (1.0 - above**2.4) ** (1 / 2.4) * (1.0 - below**3.2) ** (1 / 2.2)
