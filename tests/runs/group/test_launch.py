"""Starting the processes of a run: who is who, what is refused, and that none is left."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny_run import TINY

from occfit.errors import OccfitError
from occfit.runs.config import TrainConfig, compose
from occfit.runs.group import launch
from occfit.runs.group.launch import run_together
from occfit.runs.group.place import Place, find_place, first_host, meeting_point, must_start
from occfit.runs.outcome import VARIABLE
from occfit.runs.stopped import StoppedError

pytestmark = pytest.mark.unit

TESTS = Path(__file__).parents[2]
TWO = ("trainer=ddp", "trainer.devices=2")
TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "5",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "8",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "node1",
    "MASTER_PORT": "29500",
}
SRUN = {
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_NODELIST": "gpu[07-09,12],login",
    "SLURM_JOB_ID": "1234567",
}


def tiny(*overrides: str) -> TrainConfig:
    return compose([*TINY, *overrides])


@pytest.fixture
def start(tmp_path, monkeypatch) -> Callable[..., None]:
    """Runs two processes, each of which does what is said of it."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(TESTS.parent / "src")]))
    return lambda first, second, **more: run_together(
        "launched", {"folder": str(tmp_path), "0": first, "1": second, **more}, 2
    )


def is_alive(number: int) -> bool:
    """Zombies, which nobody has asked for their exit code yet, don't live."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(number)], capture_output=True, text=True).stdout
    return bool(shown.strip()) and "Z" not in shown


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


def has_started(folder: Path) -> bool:
    return all((folder / rank).exists() and (folder / rank).read_text() for rank in "01")


def started(folder: Path) -> list[int]:
    return [int((folder / rank).read_text()) for rank in "01"]


@pytest.fixture(autouse=True)
def none_is_left(tmp_path) -> Iterator[None]:
    yield
    numbers = [int(path.read_text()) for path in tmp_path.glob("[01]")]
    assert wait_until(lambda: not any(map(is_alive, numbers)), 10)


def test_both_do_their_part_and_only_the_first_is_heard(start, tmp_path, capfd):
    start("end", "end")
    assert len(set(started(tmp_path))) == 2
    assert capfd.readouterr().err == "process 0 is to end\n"


@pytest.mark.parametrize(("first", "second"), [("sleep", "fail"), ("fail", "sleep"), ("fail", "fail")])
def test_an_error_of_one_ends_both_and_is_raised_here(start, monkeypatch, capfd, first, second):
    monkeypatch.setattr(launch, "PATIENCE", 0.5)
    with pytest.raises(OccfitError, match=r"^The disk is full \[here\]. Buy another$"):
        start(first, second)
    assert "Traceback" not in capfd.readouterr().err


def test_the_first_ones_error_is_raised_though_others_saw_it_earlier(start):
    with pytest.raises(OccfitError, match="The disk is full"):
        start("fail", "desert", seconds=1)


def test_an_error_that_cannot_be_sent_is_told(start):
    with pytest.raises(RuntimeError, match="OddError: in a way of its own"):
        start("end", "err")


@pytest.mark.parametrize(
    ("second", "words"),
    [("die", "Process 1 of 2 was ended by SIGKILL"), ("leave", "Process 1 .* exit code 3")],
)
def test_a_process_that_dies_ends_the_other(start, monkeypatch, second, words):
    monkeypatch.setattr(launch, "PATIENCE", 0.5)
    with pytest.raises(OccfitError, match=words):
        start("sleep", second)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_both(start, tmp_path, number):
    before = signal.getsignal(number)

    with sending(tmp_path, number), pytest.raises(KeyboardInterrupt):
        start("sleep", "sleep")
    assert signal.getsignal(number) is before


def test_a_second_signal_kills(start, tmp_path):
    with sending(tmp_path, signal.SIGINT, signal.SIGINT), pytest.raises(KeyboardInterrupt):
        start("endure", "sleep")


@contextmanager
def sending(folder: Path, *numbers: int) -> Iterator[None]:
    """Sends this process signals, one after another, once both processes are at work."""

    def send() -> None:
        if wait_until(lambda: has_started(folder)):
            for number in numbers:
                time.sleep(0.3)
                os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    yield
    thread.join()


def test_no_process_outlives_the_one_that_started_it(start, tmp_path):
    starter = subprocess.Popen([sys.executable, "-m", "launched", str(tmp_path)])
    assert wait_until(lambda: has_started(tmp_path))
    starter.kill()
    starter.wait()


def test_a_place_is_the_launchers():
    assert find_place({}) is None
    assert find_place({"WORLD_SIZE": "8", "RANK": "5"}) is None
    assert find_place(TORCHRUN) == find_place(SRUN) == Place(rank=5, local_rank=1, world=8, node=1)
    assert find_place({**SRUN, "SLURM_STEP_NUM_TASKS": "1"}) is None


def test_processes_meet_on_the_first_node():
    assert meeting_point(TORCHRUN) == {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"}
    assert meeting_point(SRUN) == {"MASTER_ADDR": "gpu07", "MASTER_PORT": "19567"}
    assert meeting_point({**SRUN, "MASTER_PORT": "1"})["MASTER_PORT"] == "1"


@pytest.mark.parametrize("nodes", ["a1", "a1,b2", "a[1-3]", "a[1,3]", "a[1]"])
def test_first_host(nodes):
    assert first_host(nodes) == "a1"


def test_one_process_and_a_system_without_training_start_nothing():
    assert not must_start(tiny(), {})
    assert not must_start(tiny(*TWO, "pipeline=egger"), {})
    assert must_start(tiny(*TWO), {})
    assert not must_start(tiny("trainer=ddp", "trainer.devices=1"), {})


def test_what_a_launcher_started_is_not_started_again():
    eight = [f"stages.{stage}.batch=8" for stage in ("initialise", "warm_up", "alternate")]
    for launcher in (TORCHRUN, SRUN):
        assert not must_start(tiny("trainer.devices=4", "trainer.num_nodes=2", *eight), launcher)


@pytest.mark.parametrize(
    ("overrides", "environment", "words"),
    [
        (
            ["trainer.devices=4"],
            {},
            r"4 processes can't share a batch of 2 evenly.*initialise.*multiple of 4",
        ),
        (["trainer.num_nodes=2"], {}, "Nobody has started.*torchrun or srun"),
        (["trainer.devices=2"], TORCHRUN, "8 processes were started, but the configuration asks for 2"),
        ([], SRUN, "8 processes were started, but the configuration asks for 1"),
        (
            ["trainer.devices=2"],
            {**TORCHRUN, "WORLD_SIZE": "2", VARIABLE: "x"},
            "sweep can't run under torchrun",
        ),
    ],
)
def test_what_is_refused(overrides, environment, words):
    with pytest.raises(OccfitError, match=words):
        must_start(tiny(*overrides), environment)


def test_a_stopped_run_can_be_told_to_another_process(tmp_path):
    error = StoppedError("alternate", 3, signal.SIGTERM, tmp_path)
    sent = pickle.loads(pickle.dumps(error))
    assert (str(sent), sent.exit_code) == (str(error), 143)
