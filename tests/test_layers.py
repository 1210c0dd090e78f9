"""The architecture: imports follow the pipeline, and nothing heavy is imported before it is needed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.api import read_configuration
from importlinter.cli import lint_imports

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "occfit"


def test_imports_follow_the_pipeline(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert lint_imports(cache_dir=None) == 0


def test_every_module_has_its_layer():
    layers = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"][0]["layers"]
    named = {name.strip().removeprefix("occfit.") for layer in layers for name in layer.split(":")}
    there = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert there - {"__init__"} == named


@pytest.mark.parametrize("statement", ["import occfit", "import occfit.cli; occfit.cli.main(['--help'])"])
def test_importing_the_package_is_quick(statement):
    script = f"{statement}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    modules = set(json.loads(printed.splitlines()[-1]))
    assert not modules & {"torch", "numpy", "numba", "cv2", "lightning", "hydra", "trimesh", "pydantic"}
