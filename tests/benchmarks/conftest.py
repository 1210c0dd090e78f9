"""A run that has learned nothing."""

from pathlib import Path

import pytest
from untrained import write_run


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))
