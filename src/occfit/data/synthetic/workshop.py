"""Who paints the world: this process, or several that are spawned."""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import cv2
import torch

from occfit.data.synthetic.faces import FaceStudio
from occfit.data.synthetic.world import BLOCK, Samples, WorldConfig, make_studio, render_block
from occfit.data.threads import one_blas_thread, one_thread
from occfit.errors import OccfitError
from occfit.face_model.morphable_model import MorphableModel

FEW_SAMPLES = 1000
"""Below it, starting processes takes longer than painting."""


class Workshop:
    """Paints splits of one world; a context manager, since it may hold processes.

    Args:
        workers: processes that paint; 0 paints in this one. They are spawned, so a script that asks for them needs
            the usual `if __name__ == "__main__"`.
    """

    def __init__(self, config: WorldConfig, face_model: MorphableModel, workers: int = 0):
        self.config, self.face_model = config, face_model
        self._pool: ProcessPoolExecutor | None = None
        if workers > 0:
            arguments = (config, face_model)
            self._pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, arguments)
            with one_blas_thread():
                self._pool.submit(int)  # starts the processes, which read the environment

    def __enter__(self) -> "Workshop":
        return self

    def __exit__(self, *_) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def samples(self, split: str, count: int) -> Iterator[Samples]:
        """The first `count` samples of a split, in order, a block at a time.

        Raises:
            OccfitError: a painting process ended.
        """
        tasks = [(split, block) for block in range(-(-count // BLOCK))]
        for (_, block), samples in zip(tasks, self._blocks(tasks), strict=True):
            yield samples[: count - block * BLOCK]

    def _blocks(self, tasks: list[tuple[str, int]]) -> Iterator[Samples]:
        if self._pool is None:
            studio = make_studio(self.config, self.face_model)
            for task in tasks:
                with one_thread():
                    samples = render_block(self.config, *task, studio)
                yield samples
            return
        try:
            yield from self._pool.map(_work, tasks)
        except BrokenProcessPool as error:
            remedy = 'Start scripts behind if __name__ == "__main__", or paint with workers=0'
            raise OccfitError("A process that paints samples ended", remedy=remedy) from error


def render_samples(
    config: WorldConfig, split: str, count: int, face_model: MorphableModel, workers: int = 0
) -> Iterator[Samples]:
    """The first `count` samples of a split, in order, a block at a time."""
    with Workshop(config, face_model, workers) as workshop:
        yield from workshop.samples(split, count)


def suitable_workers(count: int) -> int:
    """How many processes are worth it for so many samples: one a core, or none."""
    main = sys.modules["__main__"]
    script = getattr(main, "__file__", None)
    can_spawn = getattr(main, "__spec__", None) is not None or script is None or Path(script).exists()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if count >= FEW_SAMPLES and can_spawn and cores > 1 else 0


_worker: list[tuple[WorldConfig, FaceStudio]] = []


def _start_worker(config: WorldConfig, face_model: MorphableModel) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _worker.append((config, make_studio(config, face_model)))


def _work(task: tuple[str, int]) -> Samples:
    config, studio = _worker[0]
    return render_block(config, *task, studio)
