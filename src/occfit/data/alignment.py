"""Photographs to aligned pictures: the similarity that brings a face's landmarks to the mean face's.

What lies outside the photograph is black in the aligned picture.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from occfit.data.similarity import Matrix, apply, fit_similarity, invert, warp
from occfit.errors import OccfitError
from occfit.face_model.morphable_model import MorphableModel
from occfit.rendering.camera import Camera, project, to_camera

ALIGNED_POINTS = slice(17, 68)
"""The inner points (brows, nose, eyes, mouth): a detector's contour slides along the outline of a turned head."""

LARGEST_SUPERSAMPLED = 4096
"""A side in pixels; only photographs whose face is larger are sampled less densely than by area."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """The way from a photograph's pixels to an aligned picture's, and back.

    Attributes:
        matrix: the map from photograph to aligned picture, on continuous pixel coordinates.
    """

    matrix: Matrix

    @cached_property
    def inverse(self) -> Matrix:
        """Aligned picture -> photograph."""
        return invert(self.matrix)

    @property
    def scale(self) -> float:
        """Aligned pixels a pixel of the photograph, along a line."""
        return float(np.sqrt(np.linalg.det(self.matrix[:, :2])))

    def to_aligned(self, points: Float[ndarray, "n 2"]) -> Float[ndarray, "n 2"]:
        return apply(self.matrix, points)

    def to_photo(self, points: Float[ndarray, "n 2"]) -> Float[ndarray, "n 2"]:
        return apply(self.inverse, points)


def standard_template(face_model: MorphableModel, size: int) -> Float[ndarray, "68 2"]:
    """The mean face's landmarks in the standard pose, in pixels of a picture of `size`."""
    points = face_model.mean_shape[face_model.landmark_vertices].cpu()
    return project(to_camera(points[None], torch.zeros(1, 6)), Camera(size))[0].numpy()


def align(landmarks: Float[ndarray, "68 2"], template: Float[ndarray, "68 2"]) -> Alignment:
    """The similarity that brings the inner landmarks nearest to the template's (least squares, no reflection).

    Raises:
        OccfitError: the landmarks are all one point.
    """
    try:
        return Alignment(fit_similarity(landmarks[ALIGNED_POINTS], template[ALIGNED_POINTS]))
    except ValueError as error:
        raise OccfitError("The landmarks are all one point", remedy="Leave the photograph out") from error


def align_image(
    photo: UInt8[ndarray, "h w 3"],
    landmarks: Float[ndarray, "68 2"],
    template: Float[ndarray, "68 2"],
    size: int,
) -> tuple[UInt8[ndarray, "s s 3"], Float[ndarray, "68 2"], Alignment]:
    """The aligned picture of `size` pixels, its landmarks, and how it lies in the photograph.

    A photograph that is shrunk is averaged over each pixel's area, so it doesn't alias.

    Raises:
        OccfitError: the landmarks are all one point, or none lies in the photograph.
    """
    height, width = photo.shape[:2]
    if not ((landmarks >= 0) & (landmarks <= [width, height])).all(axis=1).any():
        reason = f"No landmark lies in the photograph of {width} x {height} pixels"
        raise OccfitError(reason, remedy="Check that they are of this photograph, in its pixels")
    alignment = align(landmarks, template)
    picture = shrink_warp(photo, alignment.matrix, size)
    return picture, alignment.to_aligned(landmarks), alignment


def shrink_warp(photo: UInt8[ndarray, "h w c"], matrix: Matrix, size: int) -> UInt8[ndarray, "s s c"]:
    """The picture of `size` pixels that shows the photograph's point p at `matrix` p, averaged by area.

    It is drawn as many times larger as the photograph is shrunk, and each block of pixels is averaged.
    """
    shrinkage = 1 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    factor = min(max(1, ceil(shrinkage)), max(1, LARGEST_SUPERSAMPLED // size))
    drawn = warp(photo, matrix * factor, (size * factor, size * factor))
    return drawn if factor == 1 else cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA)
