"""Small stores for the tests of what reads them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from occfit.data.store import PreparedStore, StoreWriter


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., PreparedStore]:
    """Stores of random samples: `make_store(count, size, name)`."""

    def make(count: int = 20, size: int = 16, name: str = "train", seed: int = 0) -> PreparedStore:
        rng = np.random.default_rng(seed)
        with StoreWriter(tmp_path / name, shard_size=7) as writer:
            writer.add(
                image=rng.integers(0, 256, (count, size, size, 3), np.uint8),
                landmarks=rng.uniform(0, size, (count, 68, 2)).astype(np.float32),
                visibility=rng.random((count, size, size)) < 0.5,
                face_region=rng.random((count, size, size)) < 0.7,
                params=rng.standard_normal((count, 257)).astype(np.float32),
                held_out=rng.random(count) < 0.2,
            )
        return PreparedStore(tmp_path / name)

    return make
