"""Shared by every test: shapes are checked, one thread a process, no network, one cache for all workers."""

import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ["WANDB_MODE"] = "offline"
os.environ.setdefault("OCCFIT_TEST_CACHE", f"{tempfile.gettempdir()}/occfit-tests-{os.getpid()}")
os.environ["OCCFIT_CACHE"] = os.environ["OCCFIT_TEST_CACHE"]

import pytest
import torch
from jaxtyping import install_import_hook

# A shell that starts the tests in the background has them ignore Ctrl-C, which some of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)

SOURCES = Path(__file__).parents[1] / "src"
SHAPES = re.compile(r"^from (jaxtyping|occfit\.types) import", re.MULTILINE)


def checked_modules() -> list[str]:
    """Every module that annotates shapes but the numba kernels, which can't compile when a type checker wraps them."""
    files = [file for file in sorted(SOURCES.rglob("*.py")) if "kernels" not in file.name]
    shaped = [file for file in files if SHAPES.search(file.read_text(encoding="utf-8"))]
    return [".".join(file.relative_to(SOURCES).with_suffix("").parts) for file in shaped]


install_import_hook(checked_modules(), "checking.check")


LONGEST = ("test_stages.py", "test_predict.py", "test_config.py", "test_ddp_run.py", "test_kernel_threads.py")
"""Files that are tested first: workers take whole files, and a long one at the end would keep the others waiting."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_unconfigure() -> None:
    """Removes the cache if it is this process's own."""
    cache = Path(os.environ["OCCFIT_CACHE"])
    if cache.name == f"occfit-tests-{os.getpid()}":
        shutil.rmtree(cache, ignore_errors=True)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """The last checkpoint of a run that has learned nothing."""
    from untrained import write_run

    return write_run(tmp_path_factory.mktemp("run"))
