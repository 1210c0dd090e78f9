"""dlib's detector and its 68 landmarks: `pip install 'occfit[landmarks-dlib]'`.

The landmark file was trained on the 300-W photographs, whose licence excludes commercial use; ask Imperial College
London before you use it for that.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from occfit.data.detection.detected_faces import DetectedFace, distinct
from occfit.errors import OccfitError

PACKAGE = "face_recognition_models"
POINTS_FILE = "shape_predictor_68_face_landmarks.dat"
INSTALL = "pip install 'occfit[landmarks-dlib]' (its landmark file is for non-commercial use)"
SMALLEST_SEARCHED = 320
"""The shorter side in pixels; a smaller photograph is searched at twice its size, since dlib finds no face below 80."""

SURE_SCORE = 1.0
"""dlib's score from which on a face is as good as certain; at 0 it is as likely as not."""


class DlibDetector:
    """dlib's frontal detector (HOG), then its ensemble of regression trees (Kazemi and Sullivan, 2014).

    A face's confidence is dlib's score as a share of `SURE_SCORE`, from a half to 1.

    Raises:
        OccfitError: dlib or its landmark file isn't installed.
    """

    def __init__(self) -> None:
        dlib = _import_dlib()
        self._find = dlib.get_frontal_face_detector()
        self._place = dlib.shape_predictor(str(points_file()))

    def __call__(self, photo: UInt8[ndarray, "h w 3"]) -> list[DetectedFace]:
        """The faces of the photograph, largest first."""
        picture = np.ascontiguousarray(photo)
        boxes, scores, _ = self._find.run(picture, int(min(photo.shape[:2]) < SMALLEST_SEARCHED), 0.0)
        faces = []
        for box, score in zip(boxes, scores, strict=True):
            parts = self._place(picture, box).parts()
            points = np.array([(part.x, part.y) for part in parts], np.float32) + 0.5
            faces.append(DetectedFace(points, float(np.clip(0.5 + 0.5 * score / SURE_SCORE, 0, 1))))
        return distinct(faces)


def points_file() -> Path:
    """The landmark file of the package `face_recognition_models`, which is not imported: it needs `pkg_resources`.

    Raises:
        OccfitError: it isn't installed.
    """
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "models" / POINTS_FILE
        if path.is_file():
            return path
    raise OccfitError("dlib's landmark file isn't installed", f"{PACKAGE}/models/{POINTS_FILE}", INSTALL)


def _import_dlib() -> Any:
    try:
        import dlib  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise OccfitError("dlib isn't installed", remedy=INSTALL) from error
    return dlib


@lru_cache(maxsize=1)
def dlib_detector() -> DlibDetector:
    return DlibDetector()
