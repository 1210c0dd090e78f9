"""Landmark detectors by name."""

from occfit.data.detection.builtin import builtin_detector
from occfit.data.detection.dlib import dlib_detector
from occfit.data.detection.faces import LandmarkDetector
from occfit.data.detection.fan import fan_detector
from occfit.errors import OccfitError, nearest

DETECTORS = {"builtin": builtin_detector, "dlib": dlib_detector, "fan": fan_detector}


def make_detector(name: str) -> LandmarkDetector:
    """`builtin`, `dlib` or `fan`.

    Raises:
        OccfitError: there is no such detector, or what it needs isn't installed.
    """
    if name not in DETECTORS:
        raise OccfitError(f"There is no landmark detector '{name}'", remedy=nearest(name, DETECTORS))
    return DETECTORS[name]()
