"""The built-in mean face: its measures, its mesh, its landmarks, what it shows."""

import numpy as np
import pytest
import torch
from scipy.spatial import KDTree

from occfit.face_model.builtin.anatomy import EYE_CENTRE
from occfit.face_model.builtin.face_mesh import Triangles
from occfit.face_model.builtin.surface import EYEBALL, MOUTH, SKIN, SurfacePoints
from occfit.face_model.ibug_landmarks import FLIP
from occfit.face_model.morphable_model import MorphableModel

pytestmark = pytest.mark.unit

MIRROR = torch.tensor([-1.0, 1.0, 1.0])


def landmarks_of(model: MorphableModel, expression: dict[int, float] | None = None) -> torch.Tensor:
    parameters = torch.zeros(1, 64)
    for component, value in (expression or {}).items():
        parameters[0, component] = value
    return model.vertices(torch.zeros(1, 80), parameters)[0, model.landmark_vertices]


@pytest.mark.parametrize(
    ("measure", "first", "second", "least", "most"),
    [
        ("biocular width", 36, 45, 85, 97),
        ("intercanthal width", 39, 42, 29, 36),
        ("eye fissure width", 42, 45, 28, 33),
        ("eye fissure height", 43, 47, 9, 12),
        ("mouth width", 48, 54, 48, 58),
        ("face width at the ears", 0, 16, 128, 148),
        ("nose bridge to chin", 27, 8, 112, 130),
        ("nose height", 27, 33, 47, 58),
        ("nasal tip protrusion", 30, 33, 16, 22),
        ("lower face height", 33, 8, 60, 74),
        ("upper vermilion", 51, 62, 6, 10),
        ("lower vermilion", 66, 57, 8, 12),
    ],
)
def test_measures_of_an_adult(
    coarse: MorphableModel, measure: str, first: int, second: int, least: float, most: float
):
    points = landmarks_of(coarse)
    assert least <= float((points[first] - points[second]).norm()) <= most, measure


def test_nose_width(coarse: MorphableModel):
    points = landmarks_of(coarse)
    on_wings = (coarse.mean_shape[:, 1] - points[31, 1]).abs() < 6
    nose = coarse.mean_shape[on_wings & (coarse.mean_shape[:, 2] > points[33, 2] - 4)]
    assert 30 <= float(nose[:, 0].max() - nose[:, 0].min()) <= 40


def test_pupils_are_63_mm_apart(coarse: MorphableModel, coarse_mesh: tuple[SurfacePoints, Triangles]):
    eyeball = torch.from_numpy(coarse_mesh[0].part == EYEBALL)
    dark = coarse.mean_albedo.mean(dim=1) < 0.03
    pupils = coarse.mean_shape[eyeball & dark]
    right, left = pupils[pupils[:, 0] > 0], pupils[pupils[:, 0] < 0]
    assert float(right[:, 0].mean() - left[:, 0].mean()) == pytest.approx(2 * EYE_CENTRE[0], abs=0.5)
    assert 2 * EYE_CENTRE[0] == pytest.approx(63, abs=1.5)


def test_mean_face_is_its_own_mirror_image(coarse: MorphableModel):
    distances, images = KDTree(coarse.mean_shape).query(coarse.mean_shape * MIRROR)
    assert distances.max() < 1e-4
    torch.testing.assert_close(coarse.mean_albedo[images], coarse.mean_albedo, atol=1e-5, rtol=0)


def test_landmarks_are_mirror_images_under_flip(coarse: MorphableModel):
    points = landmarks_of(coarse)
    torch.testing.assert_close(points[FLIP] * MIRROR, points, atol=1e-4, rtol=0)


def test_landmarks_are_in_ibug_order(coarse: MorphableModel):
    x, y, z = landmarks_of(coarse).T
    assert (x[:17].diff() > 0).all(), "the contour runs from the picture's left to its right"
    assert (y[:9].diff() < 0).all()
    assert (x[17:27].diff() > 0).all()
    assert (y[27:31].diff() < 0).all()
    assert (z[27:31].diff() > 0).all(), "down the bridge to the tip"
    assert (x[31:36].diff() > 0).all()
    assert x[36] < x[37] < x[38] < x[39] < 0 < x[42] < x[43] < x[44] < x[45]
    assert (y[[37, 38, 43, 44]] > y[[41, 40, 47, 46]]).all()
    assert (x[48:55].diff() > 0).all()
    assert (x[54:60].diff() < 0).all()
    assert (x[60:65].diff() > 0).all()
    assert (x[64:68].diff() < 0).all()
    assert x[48] < x[60] < x[64] < x[54]
    assert y[8] < y[57] < y[66]
    assert y[62] < y[51] < y[33] < y[30] < y[27] < y[19]
    assert y[50] > y[51] < y[52], "the bow of the upper lip"


def test_lips_meet_and_eyes_are_open(coarse: MorphableModel):
    points = landmarks_of(coarse)
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        assert float((points[upper] - points[lower]).norm()) < 0.15
        assert coarse.landmark_vertices[upper] != coarse.landmark_vertices[lower]


def test_jaw_opens_the_mouth_and_lids_shut_the_eyes(coarse: MorphableModel):
    opened = landmarks_of(coarse, {0: 2.5})
    assert 7 < float(opened[62, 1] - opened[66, 1]) < 14
    assert float(opened[60, 1] - landmarks_of(coarse)[60, 1]) < 0
    shut = landmarks_of(coarse, {1: 4.2})
    assert abs(float(shut[43, 1] - shut[47, 1])) < 1.0
    smiling, neutral = landmarks_of(coarse, {2: 2.0}), landmarks_of(coarse)
    assert smiling[54, 1] - neutral[54, 1] > 2
    assert smiling[54, 0] - smiling[48, 0] > neutral[54, 0] - neutral[48, 0] + 4


def test_mesh_is_closed_but_for_its_seven_rims(
    coarse: MorphableModel, coarse_mesh: tuple[SurfacePoints, Triangles]
):
    """The rims: the mask's edge, two eyes, the mouth, two eyeballs, the inside of the mouth."""
    triangles = coarse.triangles.numpy()
    np.testing.assert_array_equal(triangles, coarse_mesh[1])
    edges = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    unique, uses = np.unique(edges, axis=0, return_counts=True)
    assert uses.max() == 2
    rim = unique[uses == 1]
    assert (np.bincount(rim.ravel())[np.unique(rim)] == 2).all()
    assert len(set(_loops(rim))) == 7
    assert len(np.unique(triangles)) == len(coarse.mean_shape)


def _loops(edges: np.ndarray) -> list[int]:
    """The loop that each edge's first vertex belongs to, named by its smallest vertex."""
    name = np.arange(edges.max() + 1)
    for _ in range(len(edges)):
        smallest = np.minimum(name[edges[:, 0]], name[edges[:, 1]])
        before = name.copy()
        np.minimum.at(name, edges.ravel(), np.repeat(smallest, 2))
        if (name == before).all():
            break
    return name[edges[:, 0]].tolist()


def test_each_edge_is_walked_once_in_each_direction(coarse: MorphableModel):
    """Neighbouring triangles agree on what is outside."""
    triangles = coarse.triangles.numpy()
    directed = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    assert len(np.unique(directed, axis=0)) == len(directed)


def test_triangles_face_outwards_and_have_an_area(
    coarse: MorphableModel, coarse_mesh: tuple[SurfacePoints, Triangles]
):
    vertices, triangles = coarse.mean_shape.double().numpy(), coarse.triangles.numpy()
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    areas = np.linalg.norm(normals, axis=1) / 2
    assert areas.min() > 1e-3
    smooth_skin = (
        (coarse_mesh[0].part == SKIN) & (np.abs(coarse_mesh[0].level) < 85) & (coarse_mesh[0].roll == 0)
    )
    outside = vertices - [0.0, 0.0, -40.0]
    facing = ((normals / (2 * areas[:, None])) * outside[triangles[:, 0]]).sum(axis=1)
    assert (facing[smooth_skin[triangles].all(axis=1)] > 0).mean() > 0.98
    hidden = coarse_mesh[0].part[triangles[:, 0]]
    for part in (EYEBALL, MOUTH):
        assert (normals[hidden == part, 2] > 0).all()


def test_vertices_are_dense_where_a_face_has_detail(coarse: MorphableModel, vertex_areas: np.ndarray):
    area = torch.from_numpy(vertex_areas)
    x, y = coarse.mean_shape[:, 0].abs(), coarse.mean_shape[:, 1]
    eyes = (x - EYE_CENTRE[0]).abs().lt(16) & (y - 16).abs().lt(12)
    cheeks = (x - 50).abs().lt(15) & (y + 30).abs().lt(15)
    assert area[eyes].median() < 0.25 * area[cheeks].median()
