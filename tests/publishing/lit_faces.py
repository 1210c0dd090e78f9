"""Stores of faces that are lighter on one side, by as much as a test says."""

from pathlib import Path

import numpy as np

from occfit.data.store import PreparedStore, StoreWriter

SIZE = 32


def write_store(folder: Path, contrasts: list[float]) -> PreparedStore:
    """Faces whose left half is lighter than the right one by so much; what isn't face is white and black."""
    count = len(contrasts)
    image = np.zeros((count, SIZE, SIZE, 3), np.uint8)
    image[:, :4] = 255
    for one, contrast in zip(image, contrasts, strict=True):
        one[8:24, 8:16] = round(255 * (0.5 + contrast / 2))
        one[8:24, 16:24] = round(255 * (0.5 - contrast / 2))
    visibility = np.zeros((count, SIZE, SIZE), np.uint8)
    visibility[:, 9:23, 9:23] = 255
    with StoreWriter(folder) as writer:
        writer.add(image=image, landmarks=np.zeros((count, 68, 2), np.float32), visibility=visibility)
    return PreparedStore(folder)
