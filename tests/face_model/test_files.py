"""Files in the layout of the Basel Face Model 2017, whole, transposed, cut and damaged."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from small_model import small_model

from occfit.errors import OccfitError
from occfit.face_model.files import load_face_model, save_face_model

pytestmark = pytest.mark.unit

COUNTS = {"shape": 199, "expression": 100, "color": 199}
VERTICES = 72
GROUPS = [f"{part}/model/{array}" for part in COUNTS for array in ("mean", "pcaBasis", "pcaVariance")]


def write_bfm(path: Path, landmarks: str = "json", transposed: bool = False) -> dict[str, np.ndarray]:
    """A model of 72 vertices in a plane, with BFM 2017's component counts; returns what was written."""
    random = np.random.default_rng(0)
    points = np.concatenate([random.uniform(-80, 80, (VERTICES, 2)), np.zeros((VERTICES, 1))], axis=1)
    a, b, c = points[0], points[1], points[2]
    front = [0, 1, 2] if np.cross(b - a, c - a)[2] > 0 else [0, 2, 1]
    written: dict[str, np.ndarray] = {"shape/representer/cells": np.array([front]).T}
    written["shape/representer/points"] = points.T
    for part, count in COUNTS.items():
        mean = {"shape": points.ravel(), "expression": np.full(3 * VERTICES, 0.5)}.get(part)
        written[f"{part}/model/mean"] = random.uniform(0, 1, 3 * VERTICES) if mean is None else mean
        written[f"{part}/model/pcaBasis"] = random.normal(size=(3 * VERTICES, count))
        written[f"{part}/model/pcaVariance"] = random.uniform(0.5, 400, count)
    with h5py.File(path, "w") as file:
        for name, values in written.items():
            turned = transposed and name.split("/")[-1] in ("points", "cells", "pcaBasis")
            file[name] = (values.T if turned else values).astype(np.int32 if "cells" in name else np.float32)
        if landmarks == "json":
            named = [{"id": f"ibug.{i}", "coordinates": points[(i * 7) % 72].tolist()} for i in range(68)]
            file["metadata/landmarks/json"] = json.dumps(named)
        if landmarks == "basel names":
            file["metadata/landmarks/json"] = json.dumps(
                [{"id": "center.nose.tip", "coordinates": [0, 0, 0]}]
            )
    return written


@pytest.mark.parametrize("transposed", [False, True])
def test_reads_and_cuts_a_bfm_file(tmp_path: Path, transposed: bool):
    written = write_bfm(tmp_path / "bfm.h5", transposed=transposed)
    model = load_face_model(tmp_path / "bfm.h5")
    assert model.sizes == {"shape": 80, "expression": 64, "albedo": 80}
    assert model.name == "bfm"
    for part, basis in (("shape", model.shape_basis), ("color", model.albedo_basis)):
        stored = written[f"{part}/model/pcaBasis"].reshape(VERTICES, 3, -1)
        deviations = np.sqrt(written[f"{part}/model/pcaVariance"])
        expected = stored[:, :, :80] * deviations[:80]
        np.testing.assert_allclose(basis.numpy(), expected, rtol=1e-5, atol=1e-5)
    assert model.triangles.shape == (1, 3)


def test_adds_the_expressions_mean_to_the_shape(tmp_path: Path):
    written = write_bfm(tmp_path / "bfm.h5")
    expected = written["shape/model/mean"].reshape(-1, 3) + 0.5
    np.testing.assert_allclose(load_face_model(tmp_path / "bfm.h5").mean_shape.numpy(), expected, atol=1e-4)


def test_reads_landmarks_named_in_the_file(tmp_path: Path):
    write_bfm(tmp_path / "bfm.h5")
    expected = torch.tensor([(index * 7) % 72 for index in range(68)])
    assert torch.equal(load_face_model(tmp_path / "bfm.h5").landmark_vertices, expected)


@pytest.mark.parametrize("name", ["Landmarks68_bfm.anl", "bfm_landmarks.txt"])
@pytest.mark.parametrize("landmarks", ["none", "basel names"])
def test_reads_landmarks_beside_the_file(tmp_path: Path, name: str, landmarks: str):
    write_bfm(tmp_path / "bfm.h5", landmarks=landmarks)
    (tmp_path / name).write_text("\n".join(str(index) for index in range(67, -1, -1)))
    assert torch.equal(load_face_model(tmp_path / "bfm.h5").landmark_vertices, torch.arange(67, -1, -1))


def test_turns_a_mesh_that_shows_its_inside(tmp_path: Path):
    written = write_bfm(tmp_path / "bfm.h5")
    front = load_face_model(tmp_path / "bfm.h5").triangles
    with h5py.File(tmp_path / "bfm.h5", "a") as file:
        del file["shape/representer/cells"]
        file["shape/representer/cells"] = written["shape/representer/cells"][::-1]
    assert sorted(load_face_model(tmp_path / "bfm.h5").triangles[0].tolist()) == sorted(front[0].tolist())
    points = torch.from_numpy(written["shape/representer/points"].T)
    a, b, c = points[load_face_model(tmp_path / "bfm.h5").triangles[0].long()]
    assert torch.linalg.cross(b - a, c - a)[2] > 0


@pytest.mark.parametrize("uv", [False, True])
def test_round_trip_is_exact(tmp_path: Path, uv: bool):
    model = small_model(uv=uv)
    save_face_model(model, tmp_path / "model.h5")
    first = load_face_model(tmp_path / "model.h5", shape=4, expression=3, albedo=5)
    save_face_model(first, tmp_path / "again.h5")
    again = load_face_model(tmp_path / "again.h5", shape=4, expression=3, albedo=5)
    for name, buffer in first.named_buffers():
        assert torch.equal(buffer, getattr(again, name)), name
    assert again.digest() == first.digest()
    assert again.name == "small"
    for name in ("mean_shape", "shape_basis", "expression_basis", "mean_albedo", "albedo_basis"):
        assert torch.equal(getattr(first, name), getattr(model, name)), name
    assert torch.equal(first.landmark_vertices, model.landmark_vertices)


def test_saves_unit_columns(tmp_path: Path):
    model = small_model()
    save_face_model(model, tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5") as file:
        basis, variance = (
            np.asarray(file["shape/model/pcaBasis"]),
            np.asarray(file["shape/model/pcaVariance"]),
        )
        assert np.asarray(file["shape/representer/points"]).shape == (3, 70)
    np.testing.assert_allclose(np.linalg.norm(basis, axis=0), 1.0)
    np.testing.assert_allclose(variance, model.shape_basis.square().sum(dim=(0, 1)).numpy(), rtol=1e-5)


def one_line(error: pytest.ExceptionInfo[OccfitError], *parts: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_no_such_file(tmp_path: Path):
    with pytest.raises(OccfitError) as error:
        load_face_model(tmp_path / "none.h5")
    one_line(error, "no face model file", "none.h5")


def test_not_an_h5_file(tmp_path: Path):
    (tmp_path / "text.h5").write_text("no model")
    with pytest.raises(OccfitError) as error:
        load_face_model(tmp_path / "text.h5")
    one_line(error, "h5 file", "text.h5", "Basel Face Model 2017")


@pytest.mark.parametrize("group", [*GROUPS, "shape/representer/cells", "shape", "expression", "color"])
def test_missing_group(tmp_path: Path, group: str):
    write_bfm(tmp_path / "bfm.h5")
    with h5py.File(tmp_path / "bfm.h5", "a") as file:
        del file[group]
    with pytest.raises(OccfitError) as error:
        load_face_model(tmp_path / "bfm.h5")
    one_line(error, "lacks", group, "bfm.h5")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    "array", ["shape/model/mean", "expression/model/pcaBasis", "color/model/pcaVariance"]
)
def test_values_that_are_not_finite(tmp_path: Path, array: str, bad: float):
    write_bfm(tmp_path / "bfm.h5")
    with h5py.File(tmp_path / "bfm.h5", "a") as file:
        values = np.asarray(file[array])
        values.flat[5] = bad
        del file[array]
        file[array] = values
    with pytest.raises(OccfitError) as error:
        load_face_model(tmp_path / "bfm.h5")
    one_line(error, array, "finite", "bfm.h5")


@pytest.mark.parametrize(
    ("array", "values", "said"),
    [
        ("shape/model/mean", np.zeros(10), "mean (10,)"),
        ("color/model/mean", np.zeros(3 * VERTICES + 3), "basis"),
        ("expression/model/pcaVariance", np.ones(7), "variance (7,)"),
        ("shape/model/pcaVariance", np.full(199, -1.0), "negative variance"),
        ("shape/representer/cells", np.array([[0], [1], [VERTICES]]), "outside 0..71"),
        ("shape/representer/cells", np.array([[0], [1], [-1]]), "outside 0..71"),
        ("shape/representer/cells", np.zeros((4, 5)), "(4, 5)"),
    ],
)
def test_wrong_sizes(tmp_path: Path, array: str, values: np.ndarray, said: str):
    write_bfm(tmp_path / "bfm.h5")
    with h5py.File(tmp_path / "bfm.h5", "a") as file:
        del file[array]
        file[array] = values
    with pytest.raises(OccfitError) as error:
        load_face_model(tmp_path / "bfm.h5")
    one_line(error, said, "bfm.h5")


def test_parts_with_different_vertices(tmp_path: Path):
    write_bfm(tmp_path / "bfm.h5")
    with h5py.File(tmp_path / "bfm.h5", "a") as file:
        for array, values in (("mean", np.zeros(9)), ("pcaBasis", np.zeros((9, 199)))):
            del file[f"color/model/{array}"]
            file[f"color/model/{array}"] = values
    with pytest.raises(OccfitError) as error:
        load_face_model(tmp_path / "bfm.h5")
    one_line(error, "color has 3 vertices", "72")


@pytest.mark.parametrize(("part", "counts"), [("shape", (200, 64, 80)), ("expression", (80, 101, 80))])
def test_more_components_than_there_are(tmp_path: Path, part: str, counts: tuple[int, int, int]):
    write_bfm(tmp_path / "bfm.h5")
    with pytest.raises(OccfitError) as error:
        load_face_model(tmp_path / "bfm.h5", *counts)
    one_line(error, f"{part} components", "fewer components")


@pytest.mark.parametrize("landmarks", ["none", "basel names"])
def test_no_landmarks_anywhere(tmp_path: Path, landmarks: str):
    write_bfm(tmp_path / "bfm.h5", landmarks=landmarks)
    with pytest.raises(OccfitError) as error:
        load_face_model(tmp_path / "bfm.h5")
    one_line(error, "68 iBUG landmarks", "bfm_landmarks.txt")


@pytest.mark.parametrize("text", ["1 2 3", " ".join(["72"] * 68), "-1 " * 68, "nose " * 68, ""])
def test_bad_landmark_file(tmp_path: Path, text: str):
    write_bfm(tmp_path / "bfm.h5", landmarks="none")
    (tmp_path / "bfm_landmarks.txt").write_text(text)
    with pytest.raises(OccfitError) as error:
        load_face_model(tmp_path / "bfm.h5")
    one_line(error, "landmark file", "bfm_landmarks.txt", "68 vertex numbers")


@pytest.mark.parametrize("text", ["{", "3", '[{"name": "ibug.0"}]', '[{"id": "x"}, 4]'])
def test_bad_landmark_json(tmp_path: Path, text: str):
    write_bfm(tmp_path / "bfm.h5", landmarks="none")
    with h5py.File(tmp_path / "bfm.h5", "a") as file:
        file["metadata/landmarks/json"] = text
    with pytest.raises(OccfitError) as error:
        load_face_model(tmp_path / "bfm.h5")
    one_line(error, "metadata/landmarks/json", "bfm.h5")


def test_folder_that_does_not_exist(tmp_path: Path):
    with pytest.raises(OccfitError) as error:
        save_face_model(small_model(), tmp_path / "none" / "model.h5")
    one_line(error, "can't be written", "model.h5")
