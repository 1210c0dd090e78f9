"""Three test sets and their union, whose pictures differ in the contrast of their light."""

import pytest
from lit_faces import write_store

from occfit.data.data_source import SetDescription, Splits


@pytest.fixture
def splits(tmp_path) -> Splits:
    contrasts = {"neutral": [0.1, 0.6, 0.2], "glasses": [0.5, 0.0, 0.3], "scarf": [0.4, 0.7, 0.05]}
    stores = {name: write_store(tmp_path / name, values) for name, values in contrasts.items()}
    sets = {name: SetDescription(name) for name in stores}
    return Splits({}, test=stores, sets={**sets, "ar_overall": SetDescription("AR overall", tuple(stores))})
