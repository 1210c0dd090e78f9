"""The face alignment network (Bulat and Tzimiropoulos, 2017): `pip install 'occfit[landmarks-fan]'`.

Its two weight files are not downloaded: they are looked for where `face-alignment` itself puts them, in torch's hub
folder.
"""

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from occfit.data.detection.detected_faces import DetectedFace, distinct
from occfit.errors import OccfitError

FILES = {
    "s3fd-619a316812.pth": "finds the face",
    "2DFAN4-11f355bf06.pth.tar": "finds its landmarks",
}
HOME = "https://www.adrianbulat.com/downloads/python-fan/"
INSTALL = (
    "pip install 'occfit[landmarks-fan]', then, since it brings the OpenCV with windows, which needs libGL:"
    " pip uninstall -y opencv-python && pip install --force-reinstall --no-deps opencv-python-headless"
)


class FanDetector:
    """S3FD's boxes, then 2DFAN-4's heat maps. A face's confidence is its landmarks' mean score.

    Raises:
        OccfitError: `face-alignment` or a weight file isn't installed.
    """

    def __init__(self, device: str = "cpu"):
        require_weights()
        fan = _import_fan()
        self._network = fan.FaceAlignment(
            fan.LandmarksType.TWO_D, device=device, flip_input=False, compile=False
        )

    def __call__(self, photo: UInt8[ndarray, "h w 3"]) -> list[DetectedFace]:
        """The faces of the photograph, largest first."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "No faces were detected")
            points, scores, _ = self._network.get_landmarks_from_image(photo, return_landmark_score=True)
        if points is None:
            return []
        return distinct(
            [
                DetectedFace(np.asarray(place, np.float32) + 0.5, float(np.clip(np.mean(score), 0, 1)))
                for place, score in zip(points, scores, strict=True)
            ]
        )


def weights_folder() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def require_weights() -> None:
    """Raises:
    OccfitError: a weight file is missing; says which and where it goes.
    """
    for name, task in FILES.items():
        if not (weights_folder() / name).is_file():
            remedy = f"Download {HOME}{name} to that place (BSD-3-Clause; trained on 300-W-LP, for research)"
            raise OccfitError(f"The weight file that {task} is missing", weights_folder() / name, remedy)


def _import_fan() -> Any:
    try:
        import face_alignment  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise OccfitError("face-alignment isn't installed", remedy=INSTALL) from error
    return face_alignment


@lru_cache(maxsize=2)
def fan_detector(device: str = "cpu") -> FanDetector:
    return FanDetector(device)
