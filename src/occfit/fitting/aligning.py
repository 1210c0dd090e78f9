"""Photographs and their landmarks, brought into the pictures that a system was trained on."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8

from occfit.data.alignment import Alignment, align_image
from occfit.data.similarity import Matrix, apply, invert
from occfit.fitting.inputs import as_image
from occfit.types import FaceBatch, Mask

Photos = Sequence[UInt8[np.ndarray, "_ _ 3"]]
"""Photographs of any sizes."""


def align_photos(
    photos: Photos,
    landmarks: Sequence[Float[np.ndarray, "68 2"]],
    template: Float[np.ndarray, "68 2"],
    size: int,
) -> tuple[FaceBatch, list[Alignment]]:
    """The aligned pictures of `size` pixels as a batch on the CPU, and how each lies in its photograph.

    Args:
        landmarks: one face a photograph, in its pixels.
        template: where the aligned pictures have theirs.

    Raises:
        OccfitError: a photograph's landmarks are all one point, or none lies in it.
    """
    aligned = [
        align_image(photo, points, template, size) for photo, points in zip(photos, landmarks, strict=True)
    ]
    batch = FaceBatch(
        image=torch.stack([as_image(picture) for picture, _, _ in aligned]),
        landmarks=torch.stack([torch.from_numpy(points) for _, points, _ in aligned]),
        index=torch.arange(len(aligned)),
    )
    return batch, [alignment for _, _, alignment in aligned]


def inside_photo(matrix: Matrix, size: int, shape: tuple[int, int]) -> Mask:
    """1 where an aligned picture's pixel has its centre in the photograph, 0 where it was padded.

    Args:
        matrix: photograph -> aligned picture.
        size: side of the aligned picture.
        shape: the photograph's height and width.
    """
    columns, rows = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    x, y = apply(invert(matrix), np.stack([columns.ravel(), rows.ravel()], axis=1)).T
    inside = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
    return torch.from_numpy(inside.reshape(1, 1, size, size)).float()
