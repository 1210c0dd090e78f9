"""The system in the package fits a real photograph that it has never seen, and finds what is painted onto it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

import occfit
from benchmarks.photographs.painters import paint
from occfit.data.images import read_landmarks
from occfit.fitting.face_fitter import SMALL
from occfit.metrics.segmentation import confusion, f1

pytestmark = pytest.mark.unit

ASTRONAUT = Path(__file__).parents[1] / "apps" / "astronaut.csv"


@pytest.fixture(scope="module")
def fitter() -> "occfit.FaceFitter":
    return occfit.load()


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return read_landmarks(ASTRONAUT)


def test_all_weights_together_are_at_most_eight_megabytes():
    files = [file for file in SMALL.parent.rglob("*") if file.suffix == ".safetensors"]
    assert len(files) == 2
    assert sum(file.stat().st_size for file in files) <= 8e6


def test_the_model_card_lies_beside_the_weights():
    card = (SMALL / "README.md").read_text()
    for heading in ("Data", "Command", "Scores", "Limits", "Intended use", "Misuse", "Licence"):
        assert f"## {heading}" in card


def test_a_plain_face_is_found_fitted_and_called_visible(fitter, truth):
    fit = fitter(data.astronaut())
    between = np.linalg.norm(truth[36] - truth[45])
    assert np.linalg.norm(fit.landmarks[17:] - truth[17:], axis=1).mean() < 0.12 * between
    assert min(fit.visible_fractions[name] for name in ("eyes", "nose", "cheeks")) > 0.9
    assert not fit.is_occluded


def painted_variants(truth: np.ndarray) -> list[np.ndarray]:
    kinds = ("sunglasses", "mask", "scarf", "hand")
    return [data.astronaut(), *(paint(kind, data.astronaut(), truth, seed=3).photo for kind in kinds)]


def test_what_is_refined_explains_the_photograph_better(fitter, truth):
    photos = painted_variants(truth)
    refined = fitter.batch(photos, [truth] * len(photos))
    fitter.refinement, settings = None, fitter.refinement
    try:
        first = fitter.batch(photos, [truth] * len(photos))
    finally:
        fitter.refinement = settings
    assert any(fit.is_refined for fit in refined)
    for before, after in zip(first, refined, strict=True):
        both = before.visible_face & after.visible_face
        errors = [np.abs(fit.photo.astype(int) - fit.reconstruction)[both].mean() for fit in (before, after)]
        assert errors[1] < errors[0] if after.is_refined else errors[1] == errors[0]


@pytest.mark.parametrize(("kind", "least"), [("sunglasses", 0.6), ("mask", 0.8), ("scarf", 0.8)])
def test_what_is_painted_onto_a_face_is_found(fitter, truth, kind, least):
    """Where the face is visible without it; the astronaut's fringe hides her forehead anyway."""
    painted = paint(kind, data.astronaut(), truth, seed=3)
    plain, fit = fitter(data.astronaut(), truth), fitter(painted.photo, truth)
    found, hidden, region = (
        torch.from_numpy(np.ascontiguousarray(mask))[None, None]
        for mask in (~fit.visible_face, painted.hidden, fit.face_region & plain.visible_face)
    )
    assert f1(confusion(found, hidden, region)).item() > least
    assert fit.is_occluded
