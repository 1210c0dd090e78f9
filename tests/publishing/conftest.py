"""Three test sets whose pictures differ in the contrast of their light."""

import pytest
from lit_faces import write_store

from occfit.data.store import PreparedStore


@pytest.fixture
def stores(tmp_path) -> dict[str, PreparedStore]:
    contrasts = {"neutral": [0.1, 0.6, 0.2], "glasses": [0.5, 0.0, 0.3], "scarf": [0.4, 0.7, 0.05]}
    return {name: write_store(tmp_path / name, values) for name, values in contrasts.items()}
