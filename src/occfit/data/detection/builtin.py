"""The detector that needs nothing: boxes from a cascade, points from a network trained on synthetic faces."""

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from occfit.data.alignment import align, shrink_warp
from occfit.data.detection.cascade import cascade_boxes
from occfit.data.detection.faces import DetectedFace, distinct
from occfit.data.similarity import Matrix, apply, invert
from occfit.networks.landmarks import CROP_SIZE, LandmarkNetwork, read_landmark_network

BOX_PER_FACE = 1.11
"""The cascade's boxes are so many times as wide as a face from ear to ear (mean of 66 photographs)."""

BOX_ABOVE = 0.07
"""Their centres lie above the mean of the inner landmarks by this part of the face's width."""

LEAST_CONFIDENCE = 0.5
"""Below it, there is no face."""

PASSES = 2
BATCH = 64


class BuiltinDetector:
    """Boxes of scikit-image's cascade, and where it finds none, boxes all over the photograph; then the network, twice.

    The second time it sees the face as the first answer says it lies: upright, centred, in its size. What it says then
    of there being a face is the face's confidence.
    """

    def __init__(self, network: LandmarkNetwork, least_confidence: float = LEAST_CONFIDENCE):
        self.network = network
        self.least_confidence = least_confidence
        self.template = network.template.numpy().astype(np.float64)

    def __call__(self, photo: UInt8[ndarray, "h w 3"]) -> list[DetectedFace]:
        """The faces of the photograph, largest first."""
        faces = self.look_at(photo, cascade_boxes(photo))
        return faces or self.look_at(photo, boxes_everywhere(photo.shape[:2]))

    def look_at(self, photo: UInt8[ndarray, "h w 3"], boxes: Float[ndarray, "n 3"]) -> list[DetectedFace]:
        """The faces among boxes: centre x, centre y, side in pixels."""
        crops = [box_to_crop(box, self.template) for box in boxes]
        points, confidence = self.passes(photo, crops)
        sure = [
            DetectedFace(landmarks, float(probability))
            for landmarks, probability in zip(points, confidence, strict=True)
            if probability >= self.least_confidence
        ]
        return distinct(sure)

    def passes(
        self, photo: UInt8[ndarray, "h w 3"], crops: list[Matrix]
    ) -> tuple[Float[ndarray, "n 68 2"], Float[ndarray, " n"]]:
        """Landmarks in the photograph and confidences after the last pass.

        Args:
            crops: photograph -> crop, of the first pass.
        """
        points, confidence = np.zeros((len(crops), 68, 2), np.float32), np.zeros(len(crops))
        for number in range(PASSES):
            if number:
                crops = [align(face, self.template).matrix for face in points]
            points, confidence = self._read(photo, crops)
        return points, confidence

    def _read(
        self, photo: UInt8[ndarray, "h w 3"], crops: list[Matrix]
    ) -> tuple[Float[ndarray, "n 68 2"], Float[ndarray, " n"]]:
        points, confidence = np.zeros((len(crops), 68, 2), np.float32), np.zeros(len(crops))
        for start in range(0, len(crops), BATCH):
            part = slice(start, start + BATCH)
            pictures = np.stack([shrink_warp(photo, matrix, CROP_SIZE) for matrix in crops[part]])
            with torch.no_grad():
                guess = self.network(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255)
            found = zip(crops[part], guess.landmarks.numpy(), strict=True)
            points[part] = [apply(invert(matrix), landmarks) for matrix, landmarks in found]
            confidence[part] = guess.confidence.numpy()
        return points, confidence


def box_to_crop(box: Float[ndarray, " 3"], template: Float[ndarray, "68 2"]) -> Matrix:
    """The shift and scale that bring a cascade's box to the crop's template."""
    width = box[2] / BOX_PER_FACE
    centre = box[:2] + [0, BOX_ABOVE * width]
    scale = np.ptp(template[:, 0]) / width
    return np.column_stack([scale * np.eye(2), template[17:].mean(axis=0) - scale * centre])


def boxes_everywhere(shape: tuple[int, int]) -> Float[ndarray, "n 3"]:
    """Boxes of a fifth of the shorter side and more, a third of a box apart.

    Args:
        shape: the photograph's height and width.
    """
    boxes: list[Iterable[float]] = []
    for share in (0.95, 0.68, 0.48, 0.34, 0.24):
        side = share * min(shape)
        ys, xs = (np.arange(0.4 * side, length - 0.4 * side, 0.34 * side) for length in shape)
        boxes += [(x, y, side) for y in ys for x in xs]
    return np.array(boxes, float).reshape(-1, 3)


@lru_cache(maxsize=1)
def builtin_detector() -> BuiltinDetector:
    """With the weights that the package ships."""
    path = Path(str(files("occfit"))) / "assets" / "landmarks.safetensors"
    return BuiltinDetector(read_landmark_network(path))
