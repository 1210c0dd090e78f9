"""How many threads compute: one, where processes are the parallelism or the bits shall not depend on the machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and OpenCV, for as long as it lasts."""
    threads, drawing_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(drawing_threads)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """For processes that are started meanwhile: NumPy's OpenBLAS asks only when it is loaded.

    With a thread a core in each, two processes on two cores paint 112 px at less than half the speed.
    """
    name = "OPENBLAS_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
