"""How the built-in model is built, kept and found again."""

import inspect
import threading
from pathlib import Path

import pytest
import torch
from small_model import small_model

from occfit.errors import OccfitError
from occfit.face_model.builtin import model as builtin
from occfit.face_model.builtin.model import build_face_model, builtin_face_model
from occfit.face_model.files import load_face_model
from occfit.face_model.morphable_model import MorphableModel
from occfit.types import PARAMETER_SIZES

pytestmark = pytest.mark.unit


def test_sizes(coarse: MorphableModel):
    assert coarse.sizes == {kind: PARAMETER_SIZES[kind] for kind in ("shape", "expression", "albedo")}
    assert 2200 <= len(coarse.mean_shape) <= 2800
    assert coarse.landmark_vertices.unique().numel() == 68


def test_building_again_gives_the_same_bits_as_the_kept_file(coarse: MorphableModel):
    assert build_face_model("coarse").digest() == coarse.digest()


@pytest.fixture
def counted_builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for the building; its list grows by one with each build."""
    builds: list[str] = []

    def build(resolution: str) -> MorphableModel:
        builds.append(resolution)
        return small_model()

    monkeypatch.setattr(builtin, "build_face_model", build)
    monkeypatch.setattr(builtin, "load_face_model", lambda path: load_face_model(path, 4, 3, 5))
    return builds


def test_is_built_once_for_each_resolution(tmp_path: Path, counted_builds: list[str]):
    for resolution in ("coarse", "coarse", "fine", "coarse"):
        builtin_face_model(resolution, tmp_path / "deep" / "cache")
    assert counted_builds == ["coarse", "fine"]


def test_is_kept_where_the_environment_says(
    tmp_path: Path, counted_builds: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OCCFIT_CACHE", str(tmp_path / "elsewhere"))
    builtin_face_model("coarse")
    assert len(list((tmp_path / "elsewhere").glob("face_model_coarse_*.h5"))) == 1
    assert counted_builds == ["coarse"]


def test_another_version_is_built_anew(
    tmp_path: Path, counted_builds: list[str], monkeypatch: pytest.MonkeyPatch
):
    builtin_face_model("coarse", tmp_path)
    monkeypatch.setattr(builtin, "VERSION", builtin.VERSION + 1)
    builtin_face_model("coarse", tmp_path)
    assert counted_builds == ["coarse", "coarse"]


def test_threads_that_want_it_at_once_build_it_once(tmp_path: Path, counted_builds: list[str]):
    threads = [threading.Thread(target=builtin_face_model, args=("coarse", tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted_builds == ["coarse"]


def test_an_interrupted_write_leaves_no_file(
    tmp_path: Path, counted_builds: list[str], monkeypatch: pytest.MonkeyPatch
):
    def interrupted(model: MorphableModel, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(builtin, "save_face_model", interrupted)
        with pytest.raises(KeyboardInterrupt):
            builtin_face_model("coarse", tmp_path)
    assert [file.suffix for file in tmp_path.iterdir() if file.suffix != ".lock"] == []
    assert torch.equal(builtin_face_model("coarse", tmp_path).mean_shape, small_model().mean_shape)


@pytest.mark.parametrize("kept", [0, 10, 4000])
def test_a_damaged_file_is_built_again(tmp_path: Path, counted_builds: list[str], kept: int):
    model = builtin_face_model("coarse", tmp_path)
    (file,) = tmp_path.glob("*.h5")
    assert file.stat().st_mode & 0o444 == 0o444  # for all who share the cache
    file.write_bytes(file.read_bytes()[:kept])
    assert builtin_face_model("coarse", tmp_path).digest() == model.digest()
    assert counted_builds == ["coarse", "coarse"]


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OccfitError, match=r"can't be kept.*OCCFIT_CACHE") as error:
        builtin_face_model("coarse", tmp_path / "file" / "cache")
    assert "\n" not in str(error.value)


def test_an_unknown_resolution():
    with pytest.raises(OccfitError, match=r"'huge'.*coarse or fine"):
        inspect.unwrap(builtin_face_model)("huge")
