"""The face model: identity, expression and albedo in, vertices and colours out."""

from occfit.face_model.builtin.model import builtin_face_model
from occfit.face_model.files import load_face_model, save_face_model
from occfit.face_model.morphable_model import MorphableModel

__all__ = ["MorphableModel", "builtin_face_model", "load_face_model", "save_face_model"]
