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
from occfit.data.detection.detected_faces import DetectedFace, distinct
from occfit.data.similarity import Matrix, apply, invert
from occfit.networks.landmark_network import CROP_SIZE, LandmarkNetwork, read_landmark_network

BOX_PER_FACE = 1.11
"""The cascade's boxes are so many times as wide as a face from ear to ear (mean of 66 photographs)."""

BOX_ABOVE = 0.07
"""Their centres lie above the mean of the inner landmarks by this part of the face's width."""

SURE = 0.9
"""The confidence that the best answer about a face must have. On 74 photographs nearly all true faces have 0.99."""

LIKELY = 0.5
"""The confidence from which on an answer supports another."""

SMALL_FACE = 0.06
"""A share of the photograph's shorter side. A face of a smaller extent is easily nothing, so all answers about it
must be sure."""

AGREEING = 5
"""How many of the boxes all over a photograph must lead to a face. On photographs of people in masks and sunglasses 6
to 16 led to the face, and seldom more than 2 to something else."""

PASSES = 2
BATCH = 64


class BuiltinDetector:
    """Looks at the boxes of scikit-image's cascade, or where it finds none, at boxes all over the photograph.

    The network looks twice. The second time it sees the face as the first answer says it lies: upright, centred, in its
    size. The face's confidence is what the network says then.
    """

    def __init__(self, network: LandmarkNetwork, sure: float = SURE):
        self.network = network
        self.sure = sure
        self.template = network.template.numpy().astype(np.float64)

    def __call__(self, photo: UInt8[ndarray, "h w 3"]) -> list[DetectedFace]:
        """The faces of the photograph, largest first."""
        return self.among_boxes(photo, cascade_boxes(photo)) or self.anywhere(photo)

    def among_boxes(self, photo: UInt8[ndarray, "h w 3"], boxes: Float[ndarray, "n 3"]) -> list[DetectedFace]:
        """The faces in some of the boxes, each looked at in five variants: centre x, centre y, side in pixels."""
        found = []
        for box in boxes:
            answers = self.answers(photo, varied(box[None]))
            likely = [face for face in answers if face.confidence >= LIKELY]
            for best in distinct(likely)[:1]:
                is_small = best.extent < SMALL_FACE * min(photo.shape[:2])
                typical = float(np.mean([face.confidence for face in answers]))
                if (typical if is_small else best.confidence) >= self.sure:
                    found.append(best)
        return distinct(found)

    def anywhere(self, photo: UInt8[ndarray, "h w 3"]) -> list[DetectedFace]:
        """The faces that several boxes all over the photograph lead to."""
        answers = self.answers(photo, boxes_everywhere(photo.shape[:2]))
        likely = [face for face in answers if face.confidence >= LIKELY]
        return [face for face in distinct(likely, AGREEING) if face.confidence >= self.sure]

    def answers(self, photo: UInt8[ndarray, "h w 3"], boxes: Float[ndarray, "n 3"]) -> list[DetectedFace]:
        """What the network makes of each box."""
        crops = [box_to_crop(box, self.template) for box in boxes]
        points, confidence = self.passes(photo, crops)
        return [DetectedFace(place, float(sure)) for place, sure in zip(points, confidence, strict=True)]

    def passes(
        self, photo: UInt8[ndarray, "h w 3"], crops: list[Matrix]
    ) -> tuple[Float[ndarray, "n 68 2"], Float[ndarray, " n"]]:
        """Landmarks in the photograph and confidences after the last pass.

        Args:
            crops: the maps from photograph to crop of the first pass.
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


def varied(boxes: Float[ndarray, "n 3"]) -> Float[ndarray, "m 3"]:
    """Each box, and four that are larger or smaller, and beside it."""
    changes = np.array([[0, 0, 1], [0.1, 0, 1.15], [-0.1, 0, 1.15], [0, 0.1, 0.87], [0, -0.1, 0.87]])
    moved = boxes[:, None, :2] + changes[:, :2] * boxes[:, None, 2:]
    return np.concatenate([moved, boxes[:, None, 2:] * changes[:, 2:]], axis=2).reshape(-1, 3)


def boxes_everywhere(shape: tuple[int, int]) -> Float[ndarray, "n 3"]:
    """Boxes of a quarter of the shorter side and more, at most a third of a box apart.

    Args:
        shape: the photograph's height and width.
    """
    boxes: list[Iterable[float]] = []
    for share in (0.95, 0.68, 0.48, 0.34, 0.24):
        side = share * min(shape)
        ys, xs = (
            np.linspace(0.4 * side, length - 0.4 * side, int(np.ceil((length / side - 0.8) / 0.34)) + 1)
            for length in shape
        )
        boxes += [(x, y, side) for y in ys for x in xs]
    return np.array(boxes, float).reshape(-1, 3)


@lru_cache(maxsize=1)
def builtin_detector() -> BuiltinDetector:
    """Makes the detector with the weights that the package ships."""
    path = Path(str(files("occfit"))) / "assets" / "landmarks.safetensors"
    return BuiltinDetector(read_landmark_network(path))
