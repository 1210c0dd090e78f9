"""An untrained system in a checkpoint, and a photograph with its landmarks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

ASTRONAUT = Path(__file__).with_name("astronaut.csv")


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """scikit-image's photograph of Eileen Collins, 512 x 512; its landmarks, placed by hand, lie beside this file."""
    return data.astronaut()


@pytest.fixture
def photos(tmp_path, astronaut) -> Path:
    """A folder with the astronaut as `astronaut.png` and, beside it, `landmarks/astronaut.csv`."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(astronaut).save(folder / "astronaut.png")
    landmarks = tmp_path / "landmarks"
    landmarks.mkdir()
    (landmarks / "astronaut.csv").write_text(ASTRONAUT.read_text())
    return folder
