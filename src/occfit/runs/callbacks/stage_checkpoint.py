"""Checkpoints within a stage: every so many steps, and when somebody asks the run to stop."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from occfit.runs.stopped import StoppedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_held() -> Iterator[None]:
    """Has SIGINT and SIGTERM wait until `StageCheckpoint` is ready for them.

    While a training is set up, Lightning has a handler of its own, which would talk to the other processes in the midst
    of whatever they do.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class StageCheckpoint(Callback):
    """Saves everything that an exact resume needs, always between two whole steps.

    The first Ctrl-C or SIGTERM lets the step in progress end, saves and raises `StoppedError`; a second one kills.
    Where there are several processes, all stop after the same step as soon as one of them was asked to.
    Training belongs inside `signals_held`.

    Args:
        stage: its name.
        path: the checkpoint's file; at every moment it is the old one or the whole new one.
        every: steps between two checkpoints.
    """

    def __init__(self, stage: str, path: Path, every: int):
        self.stage, self.path, self.every = stage, path, every
        self._saved_at = 0
        self._asked_by: int | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._handlers = {number: signal.getsignal(number) for number in SIGNALS}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved_at = trainer.global_step
        for number in SIGNALS:
            signal.signal(number, self._ask_to_stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._asked_by = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        is_due = trainer.global_step - self._saved_at >= self.every
        asked_by = self._asked_of_any(trainer)
        if is_due or asked_by:
            self.save(trainer)
        if asked_by:
            raise StoppedError(self.stage, trainer.global_step, asked_by, self.path)

    def _asked_of_any(self, trainer: Trainer) -> int:
        """The signal that a process got; 0 if none did."""
        if trainer.world_size == 1:
            return self._asked_by or 0
        number = torch.tensor(self._asked_by or 0, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(number, reduce_op="max"))

    def save(self, trainer: Trainer) -> None:
        self._saved_at = trainer.global_step
        partial = self.path.with_name(f".{self.path.name}.partial")
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            os.replace(partial, self.path)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
