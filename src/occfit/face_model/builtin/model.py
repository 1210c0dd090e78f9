"""The face model that needs no download: a template face with Gaussian-process bases, at two resolutions."""

import os
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from filelock import FileLock

from occfit.cache import cache_dir
from occfit.errors import OccfitError
from occfit.face_model.builtin.albedo_basis import AlbedoBasis, mean_colours
from occfit.face_model.builtin.anatomy import Array
from occfit.face_model.builtin.expressions import ExpressionBasis
from occfit.face_model.builtin.face_mesh import COARSE, FINE, Triangles, face_mesh
from occfit.face_model.builtin.gaussian_process import Controls
from occfit.face_model.builtin.identity import IdentityBasis
from occfit.face_model.builtin.landmark_places import landmark_vertices
from occfit.face_model.builtin.surface import SKIN, Place
from occfit.face_model.files import load_face_model, save_face_model
from occfit.face_model.morphable_model import MorphableModel
from occfit.types import PARAMETER_SIZES

Resolution = Literal["coarse", "fine"]

VERSION = 13
"""Part of the cached file's name; raised whenever the model changes."""

ORIGIN = np.array([0.0, 4.0, -35.0])
"""Where the model's origin lies on the template: mid-face, inside the head, so that the mean face is centred."""

_DENSITIES = {"coarse": COARSE, "fine": FINE}


def builtin_face_model(resolution: Resolution = "coarse", cache: Path | None = None) -> MorphableModel:
    """The built-in model: an adult's face from ear to ear, 80 identity, 64 expression and 80 albedo components.

    The mean is a neutral face of medium skin tone with its mouth closed and its eyes open, within published
    measurements (`anatomy`). Its bases are named directions and Gaussian processes on the template, so both
    resolutions show the same faces for the same parameters.

    The first expression components are, in the order of `expressions.named_expressions`: 0 the jaw (3.7 mm of
    opening at the lips per standard deviation), 1 the lids (4.2 shuts them), 2 a smile, 3 a pucker, 4 the mouth's
    corners down ... The first albedo component is the skin's lightness (-2.5 very dark, 2.5 very pale).

    Args:
        resolution: "coarse" has about 2,500 vertices, "fine" about 25,000.
        cache: the folder where the model is kept once it is built; `cache_dir()` by default.

    Raises:
        OccfitError: an unknown resolution, or a folder that can't be written.
    """
    if resolution not in _DENSITIES:
        raise OccfitError(
            f"There is no built-in face model called {resolution!r}", None, "Say coarse or fine"
        )
    folder = cache_dir() if cache is None else Path(cache)
    path = folder / f"face_model_{resolution}_v{VERSION}.h5"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _kept(path) or _build_once(resolution, path)
    except OSError as error:
        raise OccfitError(
            "The face model can't be kept", folder, "Set OCCFIT_CACHE to a folder you may write to"
        ) from error


def _kept(path: Path) -> MorphableModel | None:
    """The model in the file; None where there is none or it has been damaged since."""
    try:
        return load_face_model(path) if path.is_file() else None
    except OccfitError:
        return None


def _build_once(resolution: Resolution, path: Path) -> MorphableModel:
    """Builds the model into the file, unless another process has just done it."""
    with FileLock(path.with_suffix(".lock")):
        if found := _kept(path):
            return found
        _save_whole(build_face_model(resolution), path)
    return load_face_model(path)


def _save_whole(model: MorphableModel, path: Path) -> None:
    """Writes under another name and renames, so that a file of the right name is always whole."""
    handle, name = tempfile.mkstemp(prefix=path.stem, suffix=".partial", dir=path.parent)
    os.close(handle)
    try:
        save_face_model(model, name)
        os.chmod(name, 0o644)  # `mkstemp` hides it from those who share the cache
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def build_face_model(resolution: Resolution) -> MorphableModel:
    """Builds the model from nothing; the same bits every time, and nearly always on other machines too."""
    coarse_points, coarse_triangles = face_mesh(COARSE)
    reference = Place.of(coarse_points)
    weights = _vertex_areas(reference.position, coarse_triangles)
    if resolution == "coarse":
        points, triangles, place = coarse_points, coarse_triangles, reference
    else:
        points, triangles = face_mesh(_DENSITIES[resolution])
        place = Place.of(points)
    half = (coarse_points.angle >= 0) & (coarse_points.part == SKIN) & (coarse_points.roll == 0)
    controls = Controls(reference.position[half], weights[half] / weights[half].sum())
    sizes = PARAMETER_SIZES
    (shape,) = IdentityBasis(controls, sizes["shape"])(reference, weights, [place])
    (expression,) = ExpressionBasis(controls, sizes["expression"])(reference, weights, [place])
    (albedo,) = AlbedoBasis(controls, sizes["albedo"])([place])
    return MorphableModel(
        f"occfit built-in, {resolution}",
        mean_shape=_tensor(place.position - ORIGIN),
        shape_basis=_tensor(shape),
        expression_basis=_tensor(expression),
        mean_albedo=_tensor(mean_colours(place)),
        albedo_basis=_tensor(albedo),
        triangles=torch.from_numpy(triangles).int(),
        landmark_vertices=torch.from_numpy(landmark_vertices(points)),
    )


_STEP = 2.0**-13


def _tensor(values: Array) -> torch.Tensor:
    """Values rounded to about 1e-4 mm (or of reflectance), far above the differences between math libraries.

    Adding 0 makes -0 a 0: they are equal, but their bits aren't.
    """
    return torch.from_numpy(np.round(values / _STEP) * _STEP + 0.0).float()


def _vertex_areas(positions: Array, triangles: Triangles) -> Array:
    """A third of the area of every triangle that meets at a vertex, sum 1."""
    a, b, c = (positions[triangles[:, corner]] for corner in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    total = np.bincount(triangles.ravel(), np.repeat(areas, 3), minlength=len(positions))
    return total / total.sum()
