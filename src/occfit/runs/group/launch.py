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
from pathlib import Path
from typing import Any

from occfit.errors import OccfitError
from occfit.runs.group.place import STARTED, Place
from occfit.runs.outcome import describe_error

PATIENCE = 15.0
"""Seconds that the other processes have to end by themselves after one has failed."""

LOOK_EVERY = 0.05
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class DesertedError(OccfitError):
    """The first process has ended, and another one with it; its own error is the one to be shown."""


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
