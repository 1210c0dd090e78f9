"""The 68 iBUG landmarks: their groups, their mirror images, their weights.

"Left" and "right" are the picture's: contour point 0 is at the picture's left, beside the subject's right ear.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

COUNT = 68
CONTOUR = slice(0, 17)
BROWS = slice(17, 27)
NOSE = slice(27, 36)
EYES = slice(36, 48)
MOUTH = slice(48, 68)

_MIRRORED = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *(27, 28, 29, 30, 35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
)

FLIP: Int[Tensor, " 68"] = torch.tensor(_MIRRORED)
"""`landmarks[:, FLIP]` renames the points of a mirrored picture; its own inverse."""


def paper_weights() -> Float[Tensor, " 68"]:
    """The paper's landmark weights: contour 0.2, brows 0.1, every other point 1."""
    weights = torch.ones(COUNT)
    weights[CONTOUR] = 0.2
    weights[BROWS] = 0.1
    return weights
