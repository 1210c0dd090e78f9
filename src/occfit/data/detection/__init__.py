"""From a photograph to the landmarks of the faces in it."""

from occfit.data.detection.detected_faces import DetectedFace, LandmarkDetector

__all__ = ["DetectedFace", "LandmarkDetector"]
