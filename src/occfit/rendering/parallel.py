"""How CPU kernels are compiled, and how they share the cores.

Kernels are serial numba functions that release the interpreter's lock; plain Python threads run them over
slices of the batch. numba's own parallel loops are not used: under OpenMP a process that has run one can't
fork, and under workqueue two threads can't run one at the same time; both abort the process.

Kernels don't check bounds: whoever calls one expands its arrays to the sizes that they must have, which
raises where they don't fit, and checks its indices.

Each image is done by one thread from its first to its last pixel, so the bits of a result don't depend on
the number of threads.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numba
import torch
from filelock import FileLock
from numba.core.caching import FunctionCache

SLICES_PER_THREAD = 4
"""More slices than threads, so that a thread that was held up leaves work to the others."""


def compiled(function: Callable) -> Callable:
    """Compiles `function` when it is first called; keeps the machine code on disk where that is possible."""
    dispatcher = numba.njit(nogil=True, error_model="numpy")(function)
    try:
        setattr(dispatcher, "_cache", SharedCache(function))  # noqa: B010
    except RuntimeError:  # numba finds no folder that it may write to: each process compiles for itself
        return dispatcher
    return dispatcher


class SharedCache(FunctionCache):
    """numba's cache on disk, also for processes that fill it at the same time.

    numba numbers its files by an index that it reads and then writes: two processes that compile one function
    for float32 and float64 take the same number, and every later process loads the wrong one. Hence the lock.
    A cache that can't be read or written any more is passed over.
    """

    def load_overload(self, sig, target_context):
        try:
            with self._lock():
                return super().load_overload(sig, target_context)
        except OSError:
            return None

    def save_overload(self, sig, data):
        try:
            with self._lock():
                super().save_overload(sig, data)
        except OSError:
            return

    def _lock(self) -> FileLock:
        folder = Path(self.cache_path)
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / "occfit.lock", is_singleton=True)


def run_sliced(kernel: Callable, ranges: list[tuple[int, ...]], *arguments) -> None:
    """Calls `kernel(*range, *arguments)` for each range, on as many threads as torch may use in this process.

    A process with one thread (torch's setting in a DataLoader's workers) starts none.
    """
    pending = deque(ranges)
    helpers = min(torch.get_num_threads(), len(ranges)) - 1
    if helpers <= 0:
        _work_off(pending, kernel, arguments)
        return
    with ThreadPoolExecutor(helpers) as pool:
        others = [pool.submit(_work_off, pending, kernel, arguments) for _ in range(helpers)]
        _work_off(pending, kernel, arguments)
        for other in others:
            other.result()


def _work_off(pending: deque[tuple[int, ...]], kernel: Callable, arguments: tuple) -> None:
    """Takes one range after the other, until another thread has taken the last."""
    while True:
        try:
            bounds = pending.popleft()
        except IndexError:
            return
        kernel(*bounds, *arguments)


def slices(count: int) -> list[tuple[int, int]]:
    """Splits `range(count)` into a few (start, stop) for every thread; one of them if there is one thread."""
    threads = torch.get_num_threads()
    return _split(count, threads * SLICES_PER_THREAD if threads > 1 else 1)


def row_slices(count: int, rows: int) -> list[tuple[int, int, int, int]]:
    """Splits images into (start, stop, first row, last row), by rows only if there are fewer than threads."""
    bands = _split(rows, -(-torch.get_num_threads() // max(count, 1)))
    return [(*images, *band) for images in slices(count) for band in bands]


def _split(count: int, parts: int) -> list[tuple[int, int]]:
    parts = min(count, parts)
    return list(pairwise(count * part // parts for part in range(parts + 1))) if parts else []
