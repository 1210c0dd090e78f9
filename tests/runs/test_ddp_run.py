"""Two processes train as one does, and a run of theirs that is stopped or killed goes on exactly."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tiny_run import TINY

from occfit.apps.train import train_and_evaluate
from occfit.cache import cache_dir
from occfit.errors import OccfitError
from occfit.runs.build import build_networks
from occfit.runs.config import compose
from occfit.runs.machine import Machine
from occfit.runs.stages import require_shareable

pytestmark = pytest.mark.slow

STAGES = ("initialise", "warm_up", "alternate")
SETTINGS = [
    *TINY,
    "data.validation=5",  # which two processes can't share evenly
    "stages.initialise={steps: 4, batch: 2}",
    "stages.alternate={steps: 24, batch: 2}",
    "trainer.validate_every=4",
    "trainer.save_every=2",
]
TWO = ["trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu"]


def run(output: Path, *overrides: str) -> None:
    train_and_evaluate(compose([*SETTINGS, f"output={output}", *overrides]))


@contextmanager
def cache_of_its_own(folder: Path, source: Path) -> Iterator[None]:
    """A cache with everybody's data, and no finished stage but the recognition network, which one process trains."""
    folder.mkdir()
    for entry in source.iterdir():
        if entry.name != "stages":
            (folder / entry.name).symlink_to(entry.resolve())
    for manifest in source.glob("stages/*/manifest.json"):
        if json.loads(manifest.read_text())["key"]["stage"] == "recognition":
            shutil.copytree(manifest.parent, folder / "stages" / manifest.parent.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCCFIT_CACHE", str(folder))
        yield


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The run of one process."""
    output = tmp_path_factory.mktemp("alone") / "run"
    run(output)
    return output


@pytest.fixture(scope="module")
def together(alone, tmp_path_factory) -> Path:
    """The run of two processes that nobody disturbs."""
    folder = tmp_path_factory.mktemp("together")
    with cache_of_its_own(folder / "cache", cache_dir()):
        run(folder / "run", *TWO)
    return folder / "run"


def rows(output: Path, stage: str) -> list[dict[str, str]]:
    with (output / "logs" / stage / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("stage", STAGES)
def test_the_losses_are_those_of_one_process_with_the_whole_batch(alone, together, stage):
    """Until a vertex crosses a line of the rasterizer's grid, which makes a small difference a larger one."""
    expected, found = rows(alone, stage), rows(together, stage)
    assert [row["step"] for row in found] == [row["step"] for row in expected]
    for wanted, row in zip(expected[:6], found[:6], strict=True):
        assert row.keys() == wanted.keys()
        for key, value in wanted.items():
            if value == "":
                assert row[key] == "", key
            else:
                assert float(row[key]) == pytest.approx(float(value), rel=2e-3, abs=1e-3), (row["step"], key)


def test_it_ends_with_one_table_of_scores(alone, together):
    expected, found = (json.loads((output / "metrics.json").read_text()) for output in (alone, together))
    assert found["test_sets"].keys() == expected["test_sets"].keys()
    for name, scores in expected["test_sets"].items():
        assert found["test_sets"][name]["rmse"]["mean"] == pytest.approx(scores["rmse"]["mean"], rel=1e-2)
    recorded = json.loads((together / "stages.json").read_text())
    assert [stage["steps"] for stage in recorded] == [2, 4, 2, 24]


def stopped_by(number: int, output: Path) -> str:
    """The standard error of a run that a user starts and stops in its last stage."""
    arguments = ["train", *SETTINGS, *TWO, f"output={output}"]
    started = subprocess.Popen(
        [sys.executable, "-m", "occfit.cli", *arguments], stderr=subprocess.PIPE, text=True
    )
    assert wait_until((output / "logs" / "alternate" / "metrics.csv").exists)
    started.send_signal(number)
    _, printed = started.communicate(timeout=120)
    assert started.returncode == 128 + number
    return printed


def wait_until(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 120
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


@contextmanager
def meanwhile(condition: Callable[[], bool], act: Callable[[], None]) -> Iterator[None]:
    """Does something as soon as a condition holds, while this thread trains."""
    thread = threading.Thread(target=lambda: wait_until(condition) and act())
    thread.start()
    yield
    thread.join()


def workers() -> dict[str, int]:
    """The processes that this one has started for a run, by their rank."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,command=", "--ppid", str(os.getpid())], capture_output=True, text=True
    ).stdout
    numbers = sorted(int(line.split()[0]) for line in listed.splitlines() if "occfit.apps.train" in line)
    return {str(rank): number for rank, number in enumerate(numbers)}


@pytest.mark.nightly
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_and_then_killed_goes_on_exactly(together, tmp_path, capfd, number):
    output = tmp_path / "run"
    checkpoint = output / "checkpoints" / "last.ckpt"
    with cache_of_its_own(tmp_path / "cache", together.parent / "cache"):
        printed = stopped_by(number, output)
        assert printed.startswith("occfit: Stopped in stage 'alternate' after step "), printed
        assert printed.count("\n") == 1, printed
        saved = checkpoint.stat().st_mtime_ns
        with (
            meanwhile(
                lambda: checkpoint.stat().st_mtime_ns != saved,
                lambda: os.kill(workers()["1"], signal.SIGKILL),
            ),
            pytest.raises(OccfitError, match="Process 1 of 2 was ended by SIGKILL"),
        ):
            run(output, *TWO, "resume=true")
        assert not workers()
        assert capfd.readouterr().err == ""
        assert torch.load(checkpoint, weights_only=True)["occfit"]["stage"] == "alternate"
        assert not (output / "metrics.json").exists()
        run(output, *TWO, "resume=true")
    assert_same_run(output, together)


def assert_same_run(output: Path, expected: Path) -> None:
    for name in ("scores.csv", *(f"logs/{stage}/metrics.csv" for stage in STAGES)):
        assert (output / name).read_bytes() == (expected / name).read_bytes(), name
    states = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (output, expected)
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0].keys() | states[1].keys())
    assert (output / "metrics.json").exists()


def test_batch_statistics_need_gpus(tmp_path):
    networks = build_networks(compose([*TINY, "encoder.backbone=resnet18", f"output={tmp_path}"]))
    require_shareable(networks, Machine("cpu", "32-true", 1, processes=1))
    require_shareable(networks, Machine("cuda", "32-true", 1, processes=2))
    with pytest.raises(OccfitError, match=r"Batch normalisation.*needs GPUs.*encoder=small"):
        require_shareable(networks, Machine("cpu", "32-true", 1, processes=2))


@pytest.mark.gpu
def test_two_gpus_train_as_one_does(tmp_path):
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    run(tmp_path / "alone", "trainer.accelerator=gpu")
    run(tmp_path / "run", *TWO, "trainer.accelerator=gpu")
    for stage in STAGES:
        expected, found = rows(tmp_path / "alone", stage), rows(tmp_path / "run", stage)
        assert [row["step"] for row in found] == [row["step"] for row in expected]
        assert float(found[0][f"train/{phase_of(stage)}/total"]) == pytest.approx(
            float(expected[0][f"train/{phase_of(stage)}/total"]), rel=1e-2
        )


def phase_of(stage: str) -> str:
    """The phase of a stage's first step."""
    return "reconstruction" if stage == "initialise" else "segmentation"
