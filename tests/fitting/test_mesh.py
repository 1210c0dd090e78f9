"""A mesh survives its file formats."""

import numpy as np
import pytest
import trimesh

from occfit.errors import OccfitError
from occfit.fitting.mesh import Mesh, srgb_to_linear

pytestmark = pytest.mark.unit


@pytest.fixture
def mesh() -> Mesh:
    vertices = np.array([[0, 0, 0], [60, 0, 0], [0, 80, 0], [0, 0, 40.5]], np.float32)
    triangles = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    colours = np.array([[1, 0, 0], [0, 1, 0], [0.2, 0.4, 0.6], [0.9, 0.7, 0.5]], np.float32)
    return Mesh(vertices, triangles, colours)


def read(path) -> trimesh.Trimesh:
    read = trimesh.load(path, process=False, maintain_order=True, force="mesh")
    assert isinstance(read, trimesh.Trimesh)
    return read


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".glb"])
def test_vertices_and_triangles_round_trip_in_millimetres(mesh, tmp_path, suffix):
    copy = read(mesh.export(tmp_path / f"face{suffix}"))
    np.testing.assert_allclose(copy.vertices, mesh.vertices, atol=1e-4)
    np.testing.assert_array_equal(copy.faces, mesh.triangles)


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".glb"])
def test_colours_round_trip(mesh, tmp_path, suffix):
    copy = read(mesh.export(tmp_path / f"face{suffix}"))
    expected = srgb_to_linear(mesh.colours) if suffix == ".glb" else mesh.colours
    assert copy.visual.kind == "vertex"  # type: ignore
    np.testing.assert_allclose(copy.visual.vertex_colors[:, :3] / 255, expected, atol=1 / 255)  # type: ignore


def test_the_suffix_may_be_upper_case(mesh, tmp_path):
    assert len(read(mesh.export(tmp_path / "face.PLY")).vertices) == 4


@pytest.mark.parametrize("name", ["face.fbx", "face"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(mesh, tmp_path, name):
    with pytest.raises(OccfitError, match=r"\.obj, \.ply, \.glb"):
        mesh.export(tmp_path / name)


def test_a_folder_that_is_not_there_is_an_error_of_ours(mesh, tmp_path):
    with pytest.raises(OccfitError, match="can't be written"):
        mesh.export(tmp_path / "nowhere" / "face.ply")


def test_linear_light_matches_the_standard_s_known_points():
    encoded = np.array([[0.0, 0.04045, 0.5], [1.0, 2.0, -1.0]], np.float32)
    expected = [[0.0, 0.0031308, 0.2140411], [1.0, 1.0, 0.0]]
    np.testing.assert_allclose(srgb_to_linear(encoded), expected, atol=1e-6)
