"""Landmark detectors by name."""

from occfit.data.detection.builtin import BuiltinDetector, builtin_detector
from occfit.data.detection.detected_faces import LandmarkDetector
from occfit.data.detection.dlib import dlib_detector
from occfit.data.detection.fan import fan_detector
from occfit.errors import OccfitError, nearest

DETECTORS = {"builtin": builtin_detector, "dlib": dlib_detector, "fan": fan_detector}


def make_detector(name: str, sure: float | None = None) -> LandmarkDetector:
    """Makes the detector `builtin`, `dlib` or `fan`.

    Args:
        sure: the confidence from which on the built-in one takes something for a face; None leaves it its own.

    Raises:
        OccfitError: There is no such detector, or what it needs isn't installed.
    """
    if name not in DETECTORS:
        raise OccfitError(f"There is no landmark detector '{name}'", remedy=nearest(name, DETECTORS))
    detector = DETECTORS[name]()
    if isinstance(detector, BuiltinDetector) and sure is not None:
        return BuiltinDetector(detector.network, sure)
    return detector
