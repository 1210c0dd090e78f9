import subprocess
import sys

import cv2
import numba
import pytest
import torch

from occfit.errors import OccfitError
from occfit.runs import machine
from occfit.runs.machine import describe_machine, prepare_machine, resolve_precision, set_threads

pytestmark = pytest.mark.unit


def test_one_call_sets_everybodys_threads():
    assert set_threads(1) == 1
    assert torch.get_num_threads() == numba.get_num_threads() == cv2.getNumThreads() == 1


def test_the_environment_bounds_the_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert set_threads(16) == 1


def test_no_number_means_every_core_of_this_process(monkeypatch):
    monkeypatch.setattr(machine, "available_cores", lambda: 1)
    assert set_threads(None) == 1


@pytest.mark.parametrize(
    ("amx", "avx512", "precision"), [(1, 0, "bf16-mixed"), (0, 1, "bf16-mixed"), (0, 0, "32-true")]
)
def test_auto_takes_bf16_where_the_cpu_multiplies_it(monkeypatch, amx, avx512, precision):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bool(amx))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bool(avx512))
    assert resolve_precision("auto", "cpu") == precision


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_given_precision_stays(precision):
    assert resolve_precision(precision, "cpu") == precision


def test_auto_is_resolved(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    prepared = prepare_machine("auto", "auto", 1)
    assert prepared.device == "cpu"
    assert prepared.precision != "auto"
    assert prepared.threads == 1


def test_a_description_says_what_a_reader_needs_to_repeat_a_result():
    description = describe_machine("cpu")
    assert description["versions"]["torch"] == torch.__version__
    assert description["threads"] == torch.get_num_threads()
    assert description["device"]["type"] == "cpu"
    assert set(description) == {"commit", "versions", "threads", "device"}


def test_there_is_no_commit_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "a" / "b" / "c" / "machine.py"))
    assert machine.commit() is None


def test_the_commit_of_a_checkout(tmp_path, monkeypatch):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "file").write_text("1")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "src" / "occfit" / "training" / "machine.py"))
    clean = machine.commit()
    assert clean is not None
    assert len(clean) == 40
    (tmp_path / "file").write_text("2")
    assert machine.commit() == f"{clean}-dirty"


def test_importing_it_does_not_start_cuda():
    script = "import occfit.runs.machine, torch; assert not torch.cuda.is_initialized()"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_gpu_that_is_not_here_is_refused(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    if torch.cuda.is_available():
        pytest.skip("torch has found a GPU already")
    with pytest.raises(OccfitError, match="can't compute on 'cuda'"):
        prepare_machine("gpu", "32-true", 1)
