"""`tiny_world` as fixtures."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny_world
from lightning.pytorch import Trainer

from occfit.method.module import OccFit
from occfit.rendering.renderer import FaceRenderer
from occfit.types import FaceBatch


@pytest.fixture(scope="session")
def renderer() -> FaceRenderer:
    return tiny_world.make_renderer()


@pytest.fixture(scope="session")
def faces(renderer: FaceRenderer) -> FaceBatch:
    return tiny_world.make_faces(renderer)


@pytest.fixture
def make_module(renderer: FaceRenderer) -> Callable[..., OccFit]:
    return partial(tiny_world.make_module, renderer)


@pytest.fixture
def fit(faces: FaceBatch, tmp_path: Path) -> Callable[..., Trainer]:
    """`tiny_world.fit` on `faces`, or on the batches that `choose` makes of them."""

    def run(module: OccFit, steps: int, resume: Path | None = None, **options: Any) -> Trainer:
        choose = options.pop("choose", tiny_world.as_they_are)
        data = tiny_world.TinyData(faces, choose)
        return tiny_world.fit(module, data, steps, resume, default_root_dir=tmp_path, **options)

    return run
