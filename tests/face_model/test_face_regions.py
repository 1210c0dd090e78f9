"""The parts of a face."""

import pytest

from occfit.face_model.builtin.model import builtin_face_model
from occfit.face_model.regions import REGIONS, SKIN, face_regions, skin_vertices

pytestmark = pytest.mark.unit


def test_skin_is_nose_cheeks_and_forehead():
    model = builtin_face_model()
    regions = dict(zip(REGIONS, face_regions(model), strict=True))
    skin = skin_vertices(model)
    assert int(skin.sum()) == sum(int(regions[name].sum()) for name in SKIN)
    assert not (skin & (regions["eyes"] | regions["mouth"])).any()
