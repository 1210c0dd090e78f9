import json
import multiprocessing
import os
import signal
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest

from occfit.runs.stage_store import MANIFEST, StageKey, StageStore, canonical_json, is_whole

pytestmark = pytest.mark.unit

KEY = StageKey(
    stage="initialise",
    version=1,
    config={"encoder": {"_target_": "occfit.networks.encoder.Encoder", "weights": None}, "weights": [1.0, 2]},
    seed=0,
    precision="32-true",
    batch=8,
    threads=1,
    device="cpu",
    torch="2.13.0",
    packages={"numpy": "2.4.6"},
    parent="ab" * 32,
    files={"face_model": "cd" * 32},
)
OTHER = {
    "stage": "alternate",
    "version": 2,
    "config": {"encoder": {"_target_": "occfit.networks.encoder.Encoder", "weights": "resnet.pt"}},
    "seed": 1,
    "precision": "bf16-mixed",
    "batch": 9,
    "threads": 2,
    "device": "cuda",
    "torch": "2.13.1",
    "packages": {"numpy": "2.4.7"},
    "parent": None,
    "files": {"face_model": "ef" * 32},
    "processes": 2,
}


def write(folder: Path) -> None:
    (folder / "logs").mkdir()
    (folder / "checkpoint.ckpt").write_text("weights")
    (folder / "logs" / "metrics.csv").write_text("step,loss\n")


@pytest.mark.parametrize("name", [field.name for field in fields(StageKey)])
def test_every_field_changes_the_digest(name):
    assert replace(KEY, **{name: OTHER[name]}).digest() != KEY.digest()


def test_the_digest_is_the_recorded_one():
    """A change of the canonical form would silently orphan every finished stage."""
    assert KEY.digest() == "211a8468961601284a3e80ef0b380d7a0eb62a348cd9f2cfcadd4061916a4674"


def test_the_order_of_keys_does_not_matter():
    assert canonical_json({"b": 1, "a": [1.5, None]}) == canonical_json({"a": [1.5, None], "b": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_without_a_json_form_is_refused(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"weight": value})


def test_a_stage_is_built_once(tmp_path):
    store, calls = StageStore(tmp_path), []

    def build(folder: Path) -> None:
        calls.append(folder)
        write(folder)

    first, second = store.get(KEY, build), store.get(KEY, build)
    assert first == second == store.find(KEY)
    assert (first / "logs" / "metrics.csv").is_file()
    assert len(calls) == 1


def test_a_failed_build_leaves_nothing(tmp_path):
    def build(folder: Path) -> None:
        write(folder)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        StageStore(tmp_path).get(KEY, build)
    assert StageStore(tmp_path).find(KEY) is None
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(
    "damage", ["truncate", "delete", "no manifest", "half a manifest", "another manifest"]
)
def test_a_torn_stage_is_not_mistaken_for_a_finished_one(tmp_path, damage):
    store = StageStore(tmp_path)
    folder = store.get(KEY, write)
    match damage:
        case "truncate":
            (folder / "checkpoint.ckpt").write_text("wei")
        case "delete":
            (folder / "logs" / "metrics.csv").unlink()
        case "no manifest":
            (folder / MANIFEST).unlink()
        case "half a manifest":
            text = (folder / MANIFEST).read_text()
            (folder / MANIFEST).write_text(text[: len(text) // 2])
        case "another manifest":
            (folder / MANIFEST).write_text('{"files": 3}')
    assert not is_whole(folder)
    assert is_whole(store.get(KEY, write))
    assert (folder / "checkpoint.ckpt").read_text() == "weights"


def test_a_partial_folder_is_not_a_stage(tmp_path):
    partial = tmp_path / f"{KEY.digest()}.partial"
    partial.mkdir()
    write(partial)
    (partial / "debris").write_text("of a process that was killed")
    folder = StageStore(tmp_path).get(KEY, write)
    assert not (folder / "debris").exists()


def _get(root: Path, seconds: float) -> None:
    def build(folder: Path) -> None:
        (root / f"builder-{os.getpid()}").touch()
        time.sleep(seconds)
        write(folder)

    StageStore(root).get(KEY, build)


def _wait_for_builder(root: Path) -> None:
    deadline = time.monotonic() + 60
    while not list(root.glob("builder-*")):
        assert time.monotonic() < deadline, "no process began to build"
        time.sleep(0.01)


def test_two_processes_that_want_one_stage_build_it_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_get, args=(tmp_path, 0.3)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(list(tmp_path.glob("builder-*"))) == 1
    assert StageStore(tmp_path).find(KEY)


def test_a_dead_holders_lock_is_taken_over(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=_get, args=(tmp_path, 600))
    process.start()
    _wait_for_builder(tmp_path)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    waited = []
    folder = StageStore(tmp_path).get(KEY, write, on_wait=lambda: waited.append(True))
    assert is_whole(folder)
    assert not waited


def test_who_waits_is_told(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=_get, args=(tmp_path, 0.3))
    process.start()
    _wait_for_builder(tmp_path)
    waited = []
    StageStore(tmp_path).get(KEY, write, on_wait=lambda: waited.append(True))
    process.join(60)
    assert waited


def test_the_manifest_says_what_the_stage_was_made_from(tmp_path):
    folder = StageStore(tmp_path).get(KEY, write)
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["key"]["config"]["weights"] == [1.0, 2]
    assert set(manifest["files"]) == {"checkpoint.ckpt", "logs/metrics.csv"}
