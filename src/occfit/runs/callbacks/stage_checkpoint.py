"""Checkpoints within a stage: every so many steps, and when somebody asks the run to stop."""

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from occfit.runs.stopped import StoppedError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StageCheckpoint(Callback):
    """Saves everything that an exact resume needs, always between two whole steps.

    The first Ctrl-C or SIGTERM lets the step in progress end, saves and raises `StoppedError`; a second one kills.

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

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved_at = trainer.global_step
        self._handlers = {number: signal.signal(number, self._ask_to_stop) for number in SIGNALS}

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._asked_by = number
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        is_due = trainer.global_step - self._saved_at >= self.every
        if is_due or self._asked_by is not None:
            self.save(trainer)
        if self._asked_by is not None:
            raise StoppedError(self.stage, trainer.global_step, self._asked_by, self.path)

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
