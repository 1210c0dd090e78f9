"""The parts of a face: eyes, nose, mouth, cheeks, forehead.

They are patches of the face model's surface, found from where its mean face has its landmarks, so they are the
same for every model of 68 points. Temples, jaw and chin belong to none.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from occfit.face_model.morphable_model import MorphableModel

REGIONS = ("eyes", "nose", "mouth", "cheeks", "forehead")


SKIN = ("nose", "cheeks", "forehead")
"""The parts that are nothing but skin."""


def skin_vertices(face_model: MorphableModel) -> Bool[Tensor, " v"]:
    """Where albedo hardly varies on a real face: nose, cheeks and forehead, as in Deng et al. 2019."""
    return face_regions(face_model)[[REGIONS.index(name) for name in SKIN]].any(0)


def lower_face_vertices(face_model: MorphableModel) -> Bool[Tensor, " v"]:
    """Where a beard can grow: below the nose, but for the mouth."""
    height, nose = face_model.mean_shape[:, 1].cpu(), face_model.landmark_vertices[33].cpu()
    mouth = face_regions(face_model)[REGIONS.index("mouth")]
    return (height < height[nose]) & ~mouth


def face_regions(face_model: MorphableModel) -> Bool[Tensor, "r v"]:
    """Which vertices belong to each of `REGIONS`; a vertex belongs to one at most."""
    points = face_model.mean_shape.cpu().numpy()
    marks = points[face_model.landmark_vertices.cpu().numpy()]
    parts = {
        "eyes": _eye(points, marks[36:42]) | _eye(points, marks[42:48]),
        "mouth": _mouth(points, marks[48:60]),
        "nose": _nose(points, marks),
        "forehead": _forehead(points, marks),
        "cheeks": _cheeks(points, marks),
    }
    taken, found = np.zeros(len(points), bool), {}
    for name, part in parts.items():
        found[name] = part & ~taken
        taken |= part
    return torch.from_numpy(np.stack([found[name] for name in REGIONS]))


Points = Float[ndarray, "v 3"]
Marks = Float[ndarray, "n 3"]
Chosen = Bool[ndarray, " v"]


def _ellipse(points: Points, centre: ndarray, half_width: float, half_height: float) -> Chosen:
    x, y = (points[:, axis] - centre[axis] for axis in (0, 1))
    return (x / half_width) ** 2 + (y / half_height) ** 2 < 1


def _eye(points: Points, marks: Marks) -> Chosen:
    """The eye with its lids."""
    width = float(np.ptp(marks[:, 0]))
    return _ellipse(points, marks.mean(axis=0), 0.65 * width, 0.42 * width)


def _mouth(points: Points, marks: Marks) -> Chosen:
    """The lips and what is between them."""
    width = float(np.ptp(marks[:, 0]))
    height = max(float(np.ptp(marks[:, 1])), 0.25 * width)
    return _ellipse(points, marks.mean(axis=0), 0.56 * width, 0.62 * height)


def _nose(points: Points, marks: Marks) -> Chosen:
    """From the bridge, widening down to the wings."""
    top, bottom = marks[27, 1], marks[33, 1] - 2
    wing = 1.1 * np.abs(marks[[31, 35], 0] - marks[33, 0]).max() + 3
    down = np.clip((top - points[:, 1]) / (top - bottom), 0, 1)
    is_between = (points[:, 1] < top) & (points[:, 1] > bottom)
    return is_between & (np.abs(points[:, 0] - marks[33, 0]) < 6 + (wing - 6) * down)


def _forehead(points: Points, marks: Marks) -> Chosen:
    """Above the brows, from one's outer end to the other's."""
    brows = marks[17:27]
    level = np.interp(points[:, 0], brows[:, 0], brows[:, 1]) + 4
    is_between = (points[:, 0] > brows[:, 0].min()) & (points[:, 0] < brows[:, 0].max())
    return is_between & (points[:, 1] > level)


def _cheeks(points: Points, marks: Marks) -> Chosen:
    """Below the eyes and above the mouth's corners, beside the nose."""
    top = marks[[40, 41, 46, 47], 1].mean() - 5
    bottom = marks[[48, 54], 1].mean()
    inner = np.abs(marks[[31, 35], 0] - marks[33, 0]).max()
    outer = 0.92 * np.abs(marks[[1, 15], 0] - marks[33, 0]).min()
    across = np.abs(points[:, 0] - marks[33, 0])
    return (points[:, 1] < top) & (points[:, 1] > bottom) & (across > inner) & (across < outer)
