"""The scores of a run that has learned nothing."""

from pathlib import Path
from typing import Any

import pytest

from occfit.scoring.scored_system import evaluate_run


@pytest.fixture(scope="session")
def scored(checkpoint) -> tuple[Path, dict[str, Any]]:
    """A run's folder with its `metrics.json`, and that file's content."""
    folder = checkpoint.parents[1]
    return folder, evaluate_run(checkpoint, folder)
