"""The face's parts lie where its landmarks say, and their visible shares are counted as by hand."""

import math

import numpy as np
import pytest
import torch
from skimage import data

import occfit
from occfit.face_model import builtin_face_model
from occfit.face_model.regions import REGIONS, face_regions
from occfit.fitting.visible_regions import draw_regions, visible_fractions
from occfit.rendering.rasterize import make_rasterizer
from occfit.rendering.renderer import FaceRenderer
from occfit.types import FaceParams

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def renderer() -> FaceRenderer:
    return FaceRenderer(builtin_face_model("coarse"), make_rasterizer("numba"), 128)


def turned(degrees: float) -> FaceParams:
    vector = torch.zeros(1, 257)
    vector[0, 225] = math.radians(degrees)
    return FaceParams.from_vector(vector)


def test_landmarks_lie_in_their_regions(renderer):
    rendering = renderer(turned(0))
    regions = draw_regions(renderer, rendering)[0].numpy()
    columns, rows = rendering.landmarks[0].numpy().astype(int).T
    inside = {name: regions[k][rows, columns] for k, name in enumerate(REGIONS)}
    assert inside["eyes"][36:48].all()
    assert inside["nose"][28:31].all()
    assert inside["mouth"][60:68].all()
    assert not inside["forehead"].any()
    assert not any(inside[name][:17].any() for name in REGIONS)


def test_regions_are_disjoint_and_mirrored(renderer):
    vertices = face_regions(renderer.face_model)
    assert (vertices.sum(dim=0) <= 1).all()
    regions = draw_regions(renderer, renderer(turned(0)))[0]
    assert (regions.sum(dim=0) <= 1).all()
    for region in regions:
        assert (region != region.flip(-1)).sum() < 0.2 * region.sum()
    assert (regions.sum(dim=(1, 2)) > 100).all()


def test_visible_fractions_are_shares_of_pixels(renderer):
    regions = draw_regions(renderer, renderer(turned(0)))
    middle = regions.shape[-1] // 2
    visible = torch.zeros(1, 1, 128, 128, dtype=torch.bool)
    visible[..., :middle] = True
    assert all(share == pytest.approx(0.5, abs=0.1) for share in visible_fractions(visible, regions).values())
    shares = visible_fractions(~regions[:, 1:2], regions)
    assert shares["nose"] == 0
    assert shares["cheeks"] == 1


def test_a_region_out_of_sight_has_no_share(renderer):
    away = draw_regions(renderer, renderer(turned(180)))
    visible = torch.ones(1, 1, 128, 128, dtype=torch.bool)
    assert all(math.isnan(share) for share in visible_fractions(visible, torch.zeros_like(away)).values())


def test_a_fit_knows_its_regions(checkpoint):
    fitter = occfit.load(checkpoint)
    fit = fitter(data.astronaut(), (3 * fitter.template + 100).astype(np.float32))
    assert tuple(fit.visible_fractions) == REGIONS
    assert all(0 <= share <= 1 for share in fit.visible_fractions.values())
