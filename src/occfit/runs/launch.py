"""Starts the processes of one run on this machine, passes signals on to them, and leaves none behind.

    occfit train trainer.devices=2
      |- process 0     trains, writes, prints and scores
      |- process 1     trains

Each process is told its place by the environment variables that torchrun sets. So a run that torchrun or Slurm has
started goes the same way from there on.
"""

import json
import math
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occfit.errors import OccfitError
from occfit.runs.config import TrainConfig
from occfit.runs.outcome import VARIABLE, describe_error

STARTED = "OCCFIT_PROCESS"
"""Set in a process that `run_together` has started."""

TORCHRUN = "TORCHELASTIC_RUN_ID"
SLURM_NODES = "SLURM_STEP_NODELIST"
SLURM_TASKS = "SLURM_STEP_NUM_TASKS"
"""What srun sets in each of its tasks; a batch script and an interactive shell count as one."""

SLURM_PORTS = 15000

PATIENCE = 15.0
"""Seconds that the other processes have to end by themselves after one has failed."""

LOOK_EVERY = 0.05
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class DesertedError(OccfitError):
    """The first process has ended, and another one with it; its own error is the one to be shown."""


@dataclass(frozen=True)
class Place:
    """Which of a run's processes this is.

    Attributes:
        rank: its number over all nodes.
        local_rank: its number on this node, which is that of its GPU.
        world: the number of processes over all nodes.
        node: the node's number.
    """

    rank: int
    local_rank: int
    world: int
    node: int = 0

    def variables(self) -> dict[str, str]:
        """The place as torchrun says it."""
        values = {"RANK": self.rank, "LOCAL_RANK": self.local_rank, "WORLD_SIZE": self.world}
        return {name: str(value) for name, value in {**values, "GROUP_RANK": self.node}.items()}


def find_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """The place that `run_together`, torchrun or srun gave this process; None if it is the only one."""
    if STARTED in environment or TORCHRUN in environment:
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "GROUP_RANK")
    elif int(environment.get(SLURM_TASKS, 1)) > 1:
        names = ("SLURM_PROCID", "SLURM_LOCALID", SLURM_TASKS, "SLURM_NODEID")
    else:
        return None
    place = Place(*(int(environment.get(name, 0)) for name in names))
    return place if place.world > 1 else None


def meeting_point(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Where the processes meet, as torchrun says it. Under Slurm that is the first node, and the job's port."""
    found = {name: environment[name] for name in ("MASTER_ADDR", "MASTER_PORT") if name in environment}
    if SLURM_NODES not in environment:
        return found
    port = SLURM_PORTS + int(environment["SLURM_JOB_ID"]) % 10000
    return {"MASTER_ADDR": first_host(environment[SLURM_NODES]), "MASTER_PORT": str(port)} | found


def first_host(nodes: str) -> str:
    """The first of Slurm's list of nodes: `gpu[07-09,12],login` begins with `gpu07`."""
    found = re.match(r"([^,\[]+)(?:\[(\d+))?", nodes)
    return "".join(part or "" for part in found.groups()) if found else nodes


def must_start(config: TrainConfig, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the run's processes have still to be started.

    Raises:
        OccfitError: others were started than the configuration asks for, nobody started those of several nodes, they
            can't share a batch evenly, or torchrun or srun started a sweep.
    """
    devices, nodes = config.trainer.devices, config.trainer.num_nodes
    place, wanted = find_place(environment), devices * nodes
    _require_even_shares(config, wanted)
    if place is None:
        if nodes > 1:
            remedy = (
                "Start the same command on every node by torchrun or srun; docs/scale.md has the commands"
            )
            raise OccfitError("Nobody has started the processes", f"trainer.num_nodes={nodes}", remedy)
        return wanted > 1 and bool(config.pipeline)
    if place.world != wanted:
        raise OccfitError(
            f"{place.world} processes were started, but the configuration asks for {wanted}",
            f"trainer.devices={devices}, trainer.num_nodes={nodes}",
            "Their product is the number of processes; trainer.devices counts those of one node",
        )
    if VARIABLE in environment and STARTED not in environment:
        remedy = "Start it without; each of its runs starts the processes that it needs"
        raise OccfitError("A sweep can't run under torchrun or srun", "--multirun", remedy)
    return False


def _require_even_shares(config: TrainConfig, processes: int) -> None:
    for name in config.pipeline:
        batch = getattr(config.stages, name).batch
        if batch % processes:
            raise OccfitError(
                f"{processes} processes can't share a batch of {batch} evenly",
                f"stages.{name}.batch",
                f"Choose a multiple of {processes}, or another trainer.devices",
            )


def run_together(module: str, config: Mapping[str, Any], count: int) -> None:
    """Runs `python -m module` in `count` processes, which call `take_part`, until all have ended.

    The first SIGINT or SIGTERM is passed on to all of them, a second one kills them. When one fails, the others have
    `PATIENCE` to end, then they are killed. If this process is killed, they end too. What processes other than the
    first print is thrown away, unless OCCFIT_TRACEBACK is set.

    Raises:
        OccfitError: the system ended a process.
        BaseException: what the first process that failed raised.
    """
    crew: list[subprocess.Popen] = []
    with tempfile.TemporaryDirectory(prefix="occfit-") as folder:
        reports, port = Path(folder), _free_port()
        with _passing_signals_on(crew) as asked:
            try:
                crew.extend(
                    _start(module, config, Place(rank, rank, count), port, reports) for rank in range(count)
                )
                _wait(crew, reports)
            finally:
                ended = [process.poll() for process in crew]
                for process in crew:
                    _kill(process)
                    _let_go(process)
        if len(asked) > 1:
            raise KeyboardInterrupt
        if any(process.returncode for process in crew):
            raise _cause(ended, reports)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def _start(
    module: str, config: Mapping[str, Any], place: Place, port: int, reports: Path
) -> subprocess.Popen:
    """Starts one process in a session of its own, so that a terminal's Ctrl-C comes through this process alone."""
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), STARTED: str(reports)}
    is_shown = place.rank == 0 or "OCCFIT_TRACEBACK" in os.environ
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        env=os.environ | place.variables() | meeting,
        stdin=subprocess.PIPE,
        stdout=None if is_shown else subprocess.DEVNULL,
        stderr=None if is_shown else subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(config).encode() + b"\n")
        process.stdin.flush()
    return process


@contextmanager
def _passing_signals_on(crew: Sequence[subprocess.Popen]) -> Iterator[list[int]]:
    """Gives the signals that have come."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def pass_on(number: int, frame: object) -> None:
        for process in crew:
            if asked:
                _kill(process)
            else:
                process.send_signal(number)
        asked.append(number)

    before = {number: signal.signal(number, pass_on) for number in SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(crew: Sequence[subprocess.Popen], reports: Path) -> None:
    """Waits until all have ended, or one has failed and the others had their time."""
    deadline = math.inf
    while time.monotonic() < deadline:
        codes = [process.poll() for process in crew]
        if None not in codes:
            return
        if deadline == math.inf and (any(codes) or any(reports.glob("*.report"))):
            deadline = time.monotonic() + PATIENCE
        time.sleep(LOOK_EVERY)


def _kill(process: subprocess.Popen) -> None:
    """Kills a process that still runs and all that it has started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _let_go(process: subprocess.Popen) -> None:
    """Closes the standard input that held a process, which has ended."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()


def _cause(ended: Sequence[int | None], reports: Path) -> BaseException:
    """What ended a run: a process that the system ended, else the first error that one has reported.

    Args:
        ended: each process's exit code; None if it had to be killed.
    """
    told = [pickle.loads(path.read_bytes()) for path in reports.glob("*.report")]
    failed = [(rank, code) for rank, code in enumerate(ended) if code]
    for rank, code in failed:
        if code < 0:
            return OccfitError(
                f"Process {rank} of {len(ended)} was ended by {signal.Signals(-code).name}",
                remedy="resume=true goes on. If memory ran out, take fewer processes or a smaller batch",
            )
    if told:
        return min(told, key=lambda report: (isinstance(report[1], DesertedError), report[0]))[1]
    rank, code = failed[0] if failed else (0, None)
    remedy = "OCCFIT_TRACEBACK=1 shows what it printed"
    return OccfitError(f"Process {rank} of {len(ended)} ended with exit code {code}", remedy=remedy)


def take_part(task: Callable[[dict[str, Any]], None]) -> int:
    """What a process of `run_together` does: `task`, with the configuration. Returns its exit code.

    An error isn't printed but reported to the process that started this one, which prints the first one of all.
    """
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        config = json.loads(sys.stdin.readline())
        threading.Thread(target=_end_with_starter, daemon=True).start()
        task(config)
        sys.stdout.flush()
    except BaseException as error:
        if "OCCFIT_TRACEBACK" in os.environ:
            traceback.print_exc()
        _report(error, Path(os.environ[STARTED]) / os.environ["RANK"])
        return 1
    return 0


def _end_with_starter() -> None:
    """Waits for the end of the standard input, which the starter holds open as long as it lives."""
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def _report(error: BaseException, path: Path) -> None:
    try:
        content = pickle.dumps((time.time(), error))
        pickle.loads(content)
    except Exception:
        content = pickle.dumps((time.time(), RuntimeError(describe_error(error))))
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.rename(path.with_suffix(".report"))
