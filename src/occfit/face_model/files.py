"""Face models in files, in the layout of the Basel Face Model 2017.

    shape | expression | color / model / mean, pcaBasis, pcaVariance    values interleaved x y z x y z ...
    shape / representer / points (3 x n), cells (3 x m)                 stored transposed by some writers
    metadata / landmarks / json                                         a list of {"id", "coordinates": [x, y, z]}

Lengths are mm, colours lie in [0, 1], `pcaBasis` has unit columns, so a column of a `MorphableModel`'s basis is
`pcaBasis * sqrt(pcaVariance)`. The expression's mean is added to the shape's.

The 68 iBUG landmarks are looked for in this order: in `metadata/landmarks/json`, under the names `ibug.0` ...
`ibug.67`; in a file `Landmarks68_<stem>.anl` beside the model (68 vertex numbers, the form in which they are
handed round for the BFM 2017); in `<stem>_landmarks.txt`, of the same form.
"""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree

from occfit.errors import OccfitError
from occfit.face_model.ibug_landmarks import COUNT
from occfit.face_model.morphable_model import MorphableModel

_PARTS = ("shape", "expression", "color")
_MODEL_ARRAYS = ("mean", "pcaBasis", "pcaVariance")
_LANDMARK_NAMES = [f"ibug.{index}" for index in range(COUNT)]
_LAYOUT = "Give a face model in the h5 layout of the Basel Face Model 2017"


def load_face_model(
    path: str | Path, shape: int = 80, expression: int = 64, albedo: int = 80
) -> MorphableModel:
    """Reads a face model and keeps its leading components.

    Args:
        path: an h5 file in the layout of this module's docstring.
        shape: identity components to keep.
        expression: expression components to keep.
        albedo: colour components to keep.

    Raises:
        OccfitError: The file is missing or no h5 file, lacks a group or the 68 landmarks, has wrong sizes or values
            that aren't finite, or has fewer components than asked for.
    """
    path = Path(path)
    counts = dict(zip(_PARTS, (shape, expression, albedo), strict=True))
    with _open(path) as file:
        _require_layout(file, path)
        models = {part: _read_model(file, part, counts[part], path) for part in _PARTS}
        vertex_count = models["shape"][0].shape[0]
        for part in _PARTS:
            if models[part][0].shape[0] != vertex_count:
                what = f"The face model's {part} has {models[part][0].shape[0]} vertices, its shape {vertex_count}"
                raise OccfitError(what, path, _LAYOUT)
        triangles = _read_triangles(file, vertex_count, path)
        mean_shape = models["shape"][0] + models["expression"][0]
        landmarks = _read_landmarks(file, models["shape"][0], path)
        uv = np.asarray(file["metadata/uv"]) if "metadata/uv" in file else None
        name = str(file.attrs.get("name", path.stem))
    return MorphableModel(
        name,
        mean_shape=torch.from_numpy(mean_shape),
        shape_basis=torch.from_numpy(models["shape"][1]),
        expression_basis=torch.from_numpy(models["expression"][1]),
        mean_albedo=torch.from_numpy(models["color"][0]),
        albedo_basis=torch.from_numpy(models["color"][1]),
        triangles=torch.from_numpy(_outward(triangles, mean_shape)),
        landmark_vertices=torch.from_numpy(landmarks),
        uv=None if uv is None else torch.from_numpy(uv),
    )


def save_face_model(model: MorphableModel, path: str | Path) -> None:
    """Writes a face model in the layout of this module's docstring; loading it gives the same bits.

    Raises:
        OccfitError: The file can't be written.
    """
    path = Path(path)
    mean_shape = _array(model.mean_shape)
    landmarks = _array(model.landmark_vertices)
    named = [
        {"id": name, "coordinates": mean_shape[vertex].tolist(), "vertex": int(vertex)}
        for name, vertex in zip(_LANDMARK_NAMES, landmarks, strict=True)
    ]
    try:
        with h5py.File(path, "w") as file:
            file.attrs["name"] = model.name
            _write_model(file, "shape", mean_shape, _array(model.shape_basis))
            _write_model(file, "expression", np.zeros_like(mean_shape), _array(model.expression_basis))
            _write_model(file, "color", _array(model.mean_albedo), _array(model.albedo_basis))
            for part in _PARTS:
                file[f"{part}/representer/points"] = mean_shape.T
                file[f"{part}/representer/cells"] = _array(model.triangles).T
            file["metadata/landmarks/json"] = json.dumps(named)
            if model.uv is not None:
                file["metadata/uv"] = _array(model.uv)
    except OSError as error:
        raise OccfitError(
            "The face model can't be written", path, "Choose a folder you may write to"
        ) from error


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    return tensor.detach().cpu().numpy()


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        raise OccfitError("There is no face model file", path, "Check the path")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise OccfitError("The face model isn't a readable h5 file", path, _LAYOUT) from error


def _require_layout(file: h5py.File, path: Path) -> None:
    needed = [f"{part}/model/{array}" for part in _PARTS for array in _MODEL_ARRAYS]
    missing = [name for name in [*needed, "shape/representer/cells"] if name not in file]
    if missing:
        raise OccfitError(f"The face model lacks {', '.join(missing)}", path, _LAYOUT)


def _read_array(file: h5py.File, name: str, path: Path) -> NDArray[np.float64]:
    values = np.asarray(file[name], dtype=np.float64)
    if not np.isfinite(values).all():
        what = f"The face model's {name} has values that aren't finite numbers"
        raise OccfitError(what, path, "Fetch or export the file again")
    return values


def _read_model(file: h5py.File, part: str, count: int, path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean `v 3` and basis `v 3 count`, the latter times its standard deviations."""
    mean, basis, variance = (_read_array(file, f"{part}/model/{array}", path) for array in _MODEL_ARRAYS)
    mean, variance = mean.reshape(-1), variance.reshape(-1)
    if basis.shape == (variance.size, mean.size) and basis.shape[0] != basis.shape[1]:
        basis = basis.T
    if mean.size % 3 or basis.shape != (mean.size, variance.size):
        what = (
            f"The face model's {part} has mean {mean.shape}, basis {basis.shape}, variance {variance.shape}"
        )
        raise OccfitError(
            what, path, "The basis must have a row for each x, y, z and a column for each variance"
        )
    if (variance < 0).any():
        raise OccfitError(f"The face model's {part} has a negative variance", path, _LAYOUT)
    if variance.size < count:
        what = f"The face model has {variance.size} {part} components, {count} are asked for"
        raise OccfitError(what, path, "Ask for fewer components, or give a larger model")
    scaled = basis[:, :count] * np.sqrt(variance[:count])
    return mean.reshape(-1, 3).astype(np.float32), scaled.reshape(-1, 3, count).astype(np.float32)


def _read_triangles(file: h5py.File, vertex_count: int, path: Path) -> NDArray[np.int32]:
    cells = np.asarray(file["shape/representer/cells"])
    if cells.ndim != 2 or 3 not in cells.shape:
        raise OccfitError(f"The face model's cells have the shape {cells.shape}", path, "They must be 3 x m")
    triangles = np.ascontiguousarray(cells.T if cells.shape[0] == 3 else cells).astype(np.int32)
    if triangles.size == 0 or triangles.min() < 0 or triangles.max() >= vertex_count:
        what = f"The face model's cells name vertices outside 0..{vertex_count - 1}"
        raise OccfitError(what, path, "Fetch or export the file again")
    return triangles


def _outward(triangles: NDArray[np.int32], vertices: NDArray[Any]) -> NDArray[np.int32]:
    """The triangles, turned if the face as a whole would show its inside to a viewer on the z axis."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    facing = np.cross(b - a, c - a)[:, 2].sum()
    return triangles if facing > 0 else np.ascontiguousarray(triangles[:, ::-1])


def _read_landmarks(file: h5py.File, points: NDArray[Any], path: Path) -> NDArray[np.int64]:
    if "metadata/landmarks/json" in file:
        indices = _named_landmarks(np.asarray(file["metadata/landmarks/json"]), points, path)
        if indices is not None:
            return indices
    for side_file in (
        path.with_name(f"Landmarks68_{path.stem}.anl"),
        path.with_name(f"{path.stem}_landmarks.txt"),
    ):
        if side_file.is_file():
            return _side_file_landmarks(side_file, len(points))
    what = "The face model doesn't name the 68 iBUG landmarks (ibug.0 ... ibug.67 in metadata/landmarks/json)"
    raise OccfitError(
        what, path, f"Put their 68 vertex numbers, one a line, into {path.stem}_landmarks.txt beside it"
    )


def _named_landmarks(stored: NDArray[Any], points: NDArray[Any], path: Path) -> NDArray[np.int64] | None:
    """The vertices nearest to the landmarks named ibug.0 ... ibug.67, None if they aren't all there."""
    text = stored.reshape(-1)[0]
    try:
        entries = json.loads(text)
        found = {entry["id"]: entry for entry in entries}
        if not set(_LANDMARK_NAMES) <= set(found):
            return None
        chosen = [found[name] for name in _LANDMARK_NAMES]
        coordinates = np.array([entry["coordinates"] for entry in chosen], dtype=np.float64).reshape(COUNT, 3)
    except (ValueError, TypeError, KeyError) as error:
        what = "The face model's metadata/landmarks/json isn't a list of landmarks"
        raise OccfitError(what, path, "Each entry needs an id and coordinates [x, y, z]") from error
    nearest = KDTree(points).query(coordinates)[1].astype(np.int64)
    stated = np.array([entry.get("vertex", -1) for entry in chosen])
    return np.where((stated >= 0) & (stated < len(points)), stated, nearest).astype(np.int64)


def _side_file_landmarks(path: Path, vertex_count: int) -> NDArray[np.int64]:
    try:
        indices = np.array(path.read_text().replace(",", " ").split(), dtype=np.int64)
    except (ValueError, OSError) as error:
        raise OccfitError(
            "The landmark file isn't a list of numbers", path, "Give 68 vertex numbers"
        ) from error
    if indices.shape != (COUNT,) or indices.min() < 0 or indices.max() >= vertex_count:
        what = f"The landmark file has {indices.size} numbers for a model of {vertex_count} vertices"
        raise OccfitError(what, path, f"Give {COUNT} vertex numbers from 0 to {vertex_count - 1}")
    return indices


def _write_model(file: h5py.File, part: str, mean: NDArray[Any], basis: NDArray[Any]) -> None:
    """Float64, so that unit columns times their lengths give back the float32 basis exactly."""
    columns = basis.reshape(-1, basis.shape[-1]).astype(np.float64)
    lengths = np.linalg.norm(columns, axis=0)
    file[f"{part}/model/mean"] = mean.reshape(-1).astype(np.float32)
    file[f"{part}/model/pcaBasis"] = columns / np.where(lengths > 0, lengths, 1.0)
    file[f"{part}/model/pcaVariance"] = lengths**2
