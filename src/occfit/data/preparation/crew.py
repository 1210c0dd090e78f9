"""Who makes the chunks: this process, or several that are spawned. The bits are the same."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path

import cv2
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from occfit.data.preparation.aligned_sample import Geometry
from occfit.data.preparation.chunks import Record, Task, make_chunk
from occfit.data.sources.photo_source import PhotoSource
from occfit.data.threads import one_blas_thread, one_thread
from occfit.errors import OccfitError

AHEAD = 2
"""Chunks in hand for each process."""


@dataclass(frozen=True, eq=False)
class Orders:
    """What everybody who makes chunks must know.

    Attributes:
        detector: the name of the detector for photographs without landmarks.
        folder: where chunks go.
    """

    source: PhotoSource
    geometry: Geometry
    detector: str
    folder: Path


def make_chunks(orders: Orders, tasks: Sequence[Task], workers: int) -> Iterator[tuple[Task, Record]]:
    """Makes chunks, and gives each when it is done, in any order.

    Args:
        workers: processes; 0 works in this one. They are spawned, so a script that asks for them needs the usual
            `if __name__ == "__main__"`.

    Raises:
        OccfitError: A process ended, or the folder can't be written.
    """
    try:
        if workers == 0 or len(tasks) == 1:
            for task in tasks:
                with one_thread():
                    record = fulfil(orders, task)
                yield task, record
        else:
            yield from _in_processes(orders, tasks, min(workers, len(tasks)))
    except OSError as error:
        reason = f"The prepared data can't be written: {error.strerror or error}"
        raise OccfitError(reason, orders.folder, "Choose another output=, with enough space") from error


def _in_processes(orders: Orders, tasks: Sequence[Task], workers: int) -> Iterator[tuple[Task, Record]]:
    waiting = iter(tasks)
    with ProcessPoolExecutor(workers, get_context("spawn"), _start, (orders,)) as pool:
        running: dict[Future[Record], Task] = {}

        def hand_out(count: int) -> None:
            for task in islice(waiting, count):
                running[pool.submit(_work, task)] = task

        try:
            with one_blas_thread():
                hand_out(AHEAD * workers)
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
                hand_out(len(done))
        except BrokenProcessPool as error:
            remedy = "If it ran out of memory, say workers=1; the same command goes on"
            raise OccfitError("A process that prepares photographs ended", remedy=remedy) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def fulfil(orders: Orders, task: Task) -> Record:
    find = partial(find_largest, orders.detector)
    return make_chunk(task, orders.source, orders.geometry, find, orders.folder)


def find_largest(detector: str, image: UInt8[ndarray, "h w 3"]) -> Float[ndarray, "68 2"]:
    """The landmarks of the largest face that the detector is sure of.

    Raises:
        OccfitError: There is none.
    """
    from occfit.data.detection.detectors import make_detector

    faces = make_detector(detector)(image)
    if not faces:
        raise OccfitError("No face was found", remedy="Give its landmarks, or leave it out")
    return faces[0].landmarks


_orders: list[Orders] = []


def _start(orders: Orders) -> None:
    """What each process does first. The one that started it says when to stop, not Ctrl-C; without it this one ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _orders.append(orders)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: Task) -> Record:
    return fulfil(_orders[0], task)
