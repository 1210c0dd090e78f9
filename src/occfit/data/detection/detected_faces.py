"""What every landmark detector gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray


@dataclass(frozen=True, eq=False)
class DetectedFace:
    """A face in a photograph.

    Attributes:
        landmarks: 68 points in iBUG order, in pixels of the photograph, whose first one's centre is (0.5, 0.5).
        confidence: how sure the detector is that this is a face, in [0, 1]. What a number means differs between
            detectors.
    """

    landmarks: Float[ndarray, "68 2"]
    confidence: float

    @property
    def centre(self) -> Float[ndarray, " 2"]:
        """The mean of the points inside the face's outline: brows, nose, eyes, mouth."""
        return self.landmarks[17:].mean(axis=0)

    @property
    def extent(self) -> float:
        """Root mean square distance of the inner points from their mean, in pixels."""
        offsets = self.landmarks[17:] - self.centre
        return float(np.sqrt((offsets**2).sum(axis=1).mean()))


@runtime_checkable
class LandmarkDetector(Protocol):
    """Finds the faces of a photograph, largest first; an empty list where there is none."""

    def __call__(self, photo: UInt8[ndarray, "h w 3"]) -> list[DetectedFace]: ...


def distinct(answers: Sequence[DetectedFace], agreeing: int = 1) -> list[DetectedFace]:
    """Each face once, largest first.

    Among the answers that lie within one extent of each other, the surest decides where the face is and how large. The
    points are the mean of those that agree with it.

    Args:
        agreeing: how many answers must agree, the surest included, for a face to count.
    """
    kept: list[DetectedFace] = []
    for face in sorted(answers, key=lambda face: -face.confidence):
        if all(np.linalg.norm(face.centre - other.centre) > other.extent for other in kept):
            kept.append(face)
    supporters = [[other for other in answers if agree(face, other)] for face in kept]
    merged = [
        DetectedFace(np.mean([other.landmarks for other in same], axis=0), face.confidence)
        for face, same in zip(kept, supporters, strict=True)
        if len(same) >= agreeing
    ]
    return sorted(merged, key=lambda face: -face.extent)


def agree(one: DetectedFace, other: DetectedFace) -> bool:
    """Whether two answers are about the same place and size."""
    is_near = np.linalg.norm(one.centre - other.centre) < 0.4 * one.extent
    return bool(is_near) and 0.78 < other.extent / one.extent < 1.28
