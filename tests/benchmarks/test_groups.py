"""Skin and pose split the synthetic faces as their names say."""

import numpy as np
import pytest
import torch

from benchmarks.groups import groups, skin_brightness
from occfit.cache import cache_dir
from occfit.data.synthetic import WorldConfig, prepare_synthetic
from occfit.face_model import builtin_face_model
from occfit.types import FaceParams

pytestmark = pytest.mark.unit


def test_every_picture_is_in_one_quarter_and_one_range_of_turns():
    world = WorldConfig(size=64, train=16, validation=16, test=16)
    model = builtin_face_model("coarse")
    store = prepare_synthetic(
        world, model, cache_dir() / "data", workers=0, progress=False, splits=["overall"]
    )["overall"]
    found = groups(store)
    for start in ("skin", "turned"):
        parts = [chosen for name, chosen in found.items() if name.startswith(start)]
        np.testing.assert_array_equal(np.sum(parts, axis=0), 1)
    brightness = skin_brightness(FaceParams.from_vector(torch.from_numpy(store.arrays(range(16))["params"])))
    darkest, lightest = found["skin: darkest quarter"], found["skin: lightest quarter"]
    assert brightness[darkest].max() < brightness[lightest].min()
