"""From a photograph to the landmarks of the faces in it."""

from occfit.data.detection.faces import DetectedFace, LandmarkDetector

__all__ = ["DetectedFace", "LandmarkDetector"]
