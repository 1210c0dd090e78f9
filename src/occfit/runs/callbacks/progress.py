"""A stage's progress: a live bar in a terminal, a line now and then in a file."""

import time
from collections import deque
from typing import Any

from lightning.pytorch import Callback, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from occfit.method.module import OccFit

REFRESH_SECONDS = 0.2
SPEED_SECONDS = 20.0
"""The speed is that of the last so many seconds."""


class StageProgress(Callback):
    """Says stage, phase, step, speed and time left. In the first process only.

    Args:
        stage: its name.
        console: where to; standard error by default.
        every: seconds between two lines where the console isn't a terminal.
    """

    def __init__(self, stage: str, console: Console | None = None, every: float = 30.0):
        self.stage, self.every = stage, every
        self.console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._shown = 0.0
        self._times: deque[tuple[float, int]] = deque()

    def on_train_start(self, trainer: Trainer, pl_module: OccFit) -> None:  # type: ignore[override]
        if not trainer.is_global_zero:
            return
        self._shown = time.monotonic()
        self._times = deque([(self._shown, trainer.global_step)])
        if self.console.is_terminal:
            columns = (TextColumn("{task.description:<28}"), BarColumn(None), MofNCompleteColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[pace]}"), console=self.console)
            self._task = self._bar.add_task(
                self.stage, total=trainer.max_steps, completed=trainer.global_step, pace=""
            )
            self._bar.start()

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: OccFit, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not trainer.is_global_zero:
            return
        now, step = time.monotonic(), trainer.global_step
        is_last = step >= trainer.max_steps
        if now - self._shown < (REFRESH_SECONDS if self._bar else self.every) and not is_last:
            return
        self._shown = now
        self._times.append((now, step))
        while len(self._times) > 2 and self._times[1][0] < now - SPEED_SECONDS:
            self._times.popleft()
        phase = pl_module.schedule.phase_at(max(0, step - 1))
        self._show(f"{self.stage}: {phase}", step, trainer.max_steps)

    def _show(self, description: str, step: int, total: int) -> None:
        pace = describe_pace(*self._times[0], *self._times[-1], total)
        if self._bar is not None:
            self._bar.update(self._task, description=description, completed=step, pace=pace)
        else:
            self.console.print(f"{description}  {step}/{total}  {pace}", highlight=False)

    def on_train_end(self, trainer: Trainer, pl_module: OccFit) -> None:  # type: ignore[override]
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: OccFit, exception: BaseException) -> None:  # type: ignore[override]
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def describe_pace(since: float, first: int, now: float, step: int, total: int) -> str:
    """`12.3 steps/s, 2:05 left`, by the steps from `first` at `since` to `step` at `now` (seconds)."""
    speed = (step - first) / max(1e-9, now - since)
    if speed <= 0:
        return "0 steps/s"
    return f"{speed:.1f} steps/s, {describe_seconds((total - step) / speed)} left"


def describe_seconds(seconds: float) -> str:
    """`0:07`, `12:05`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
