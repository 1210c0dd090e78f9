"""The built-in model at both resolutions, built once a session."""

import numpy as np
import pytest

from occfit.face_model.builtin.face_mesh import COARSE, Triangles, face_mesh
from occfit.face_model.builtin.model import builtin_face_model
from occfit.face_model.builtin.surface import SurfacePoints
from occfit.face_model.morphable_model import MorphableModel


@pytest.fixture(scope="session")
def coarse() -> MorphableModel:
    return builtin_face_model("coarse")


@pytest.fixture(scope="session")
def fine() -> MorphableModel:
    return builtin_face_model("fine")


@pytest.fixture(scope="session")
def coarse_mesh() -> tuple[SurfacePoints, Triangles]:
    """Where the coarse model's vertices lie on the template, in the model's order."""
    return face_mesh(COARSE)


@pytest.fixture(scope="session")
def vertex_areas(coarse: MorphableModel) -> np.ndarray:
    """A third of the area of the triangles around each vertex of the mean face, sum 1."""
    vertices, triangles = coarse.mean_shape.double().numpy(), coarse.triangles.numpy()
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6.0
    total = np.zeros(len(vertices))
    for corner in range(3):
        np.add.at(total, triangles[:, corner], areas)
    return total / total.sum()
