"""The flat frontal sheet, in millimetres of the mean face, on which what a skin has beyond its model is painted."""

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from occfit.data.synthetic.drawing import Plane, blur, curve

SHEET_EXTENT = 100.0
"""Half the sheet's side in mm."""


class SkinSheet:
    """A square of 200 mm around the mean face's origin, `size` pixels wide."""

    def __init__(self, size: int, marks: Float[ndarray, "68 3"]):
        self.size = size
        self.scale = size / (2 * SHEET_EXTENT)
        self.marks = self.pixels(marks)

    def pixels(self, points: ndarray) -> ndarray:
        return (points[:, :2] * [1, -1] + SHEET_EXTENT) * self.scale

    def blob(self, centre: ndarray, radius: tuple[float, float]) -> Plane:
        """A soft spot; radii in mm."""
        centres = np.arange(self.size, dtype=np.float32) + 0.5
        across = np.exp(-(((centres - centre[0]) / (radius[0] * self.scale)) ** 2))
        down = np.exp(-(((centres - centre[1]) / (radius[1] * self.scale)) ** 2))
        return down[:, None] * across

    def lines(self, controls: list[ndarray], strengths: list[float], width: float) -> Plane:
        """Soft lines through control points, each with its strength in [0, 1]; width in mm."""
        canvas = np.zeros((self.size, self.size), np.uint8)
        for points, strength in zip(controls, strengths, strict=True):
            fixed = np.round((curve(points, 14) - 0.5) * 16).astype(np.int32)
            cv2.polylines(canvas, [fixed], False, round(255 * strength), 1, cv2.LINE_AA, 4)
        reach = width * self.scale
        return blur(canvas.astype(np.float32) * np.float32((1 + 2 * reach) / 255), reach)
