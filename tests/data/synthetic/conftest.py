"""A small world, and scenes of it to paint on."""

import pytest

from occfit.data.synthetic.faces import Face
from occfit.data.synthetic.priors import Setting
from occfit.data.synthetic.splits import Plan
from occfit.data.synthetic.world import BLOCK, WorldConfig, make_studio
from occfit.face_model import MorphableModel, builtin_face_model


@pytest.fixture(scope="session")
def face_model() -> MorphableModel:
    return builtin_face_model("coarse")


@pytest.fixture(scope="session")
def config() -> WorldConfig:
    return WorldConfig(size=64, seed=3, train=40, validation=8, test=8)


@pytest.fixture(scope="session")
def plans() -> list[Plan]:
    return [
        Plan("train", person, Setting.STUDIO if person % 2 == 0 else Setting.WILD, ())
        for person in range(BLOCK)
    ]


@pytest.fixture(scope="session")
def faces(config: WorldConfig, face_model: MorphableModel, plans: list[Plan]) -> list[Face]:
    return make_studio(config, face_model).draw(config.seed, "train", range(BLOCK), plans)
