"""The wheel holds the configuration, and works in an empty environment far from the checkout."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return next(folder.glob("occfit-*.whl"))


@pytest.mark.unit
def test_the_wheel_holds_the_package_and_its_configuration(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        f"occfit/{path.relative_to(ROOT / 'src' / 'occfit')}" for path in _files(ROOT / "src" / "occfit")
    }
    conf = {f"occfit/conf/{path.relative_to(ROOT / 'conf')}" for path in _files(ROOT / "conf")}
    assert "occfit/conf/train.yaml" in conf
    assert sources | conf <= names
    assert not [name for name in names if name.startswith("tests")]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_a_run_in_an_empty_environment(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", constraints, wheel], check=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["OCCFIT_CACHE"] = str(tmp_path / "cache")
    occfit = tmp_path / "venv" / "bin" / "occfit"
    where = subprocess.run(
        [python, "-c", "import occfit; print(occfit.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert str(tmp_path) in where.stdout
    subprocess.run([occfit, "train", "preset=smoke", "output=run"], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "run" / "metrics.json").is_file()
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
    photo = tmp_path / "astronaut.png"
    Image.fromarray(data.astronaut()).save(photo)
    subprocess.run([occfit, "predict", photo, "--out", "out"], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "out" / "astronaut" / "mesh.obj").is_file()
