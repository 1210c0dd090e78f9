"""The log as a table: one CSV a stage, which grows line by line and goes on exactly after a resume."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

STEP = "step"


class CSVLog(Logger):
    """Writes `save_dir/name/metrics.csv`: a column `step`, and one for each key that was ever logged.

    Args:
        save_dir: the folder of all logs.
        name: the name of this log's folder.
        flush_every: lines between two writes.
    """

    def __init__(self, save_dir: str | Path, name: str, flush_every: int = 20):
        super().__init__()
        self.folder = Path(save_dir) / name
        self.path = self.folder / "metrics.csv"
        self.flush_every = flush_every
        self.columns: list[str] = []
        self.waiting: list[dict[str, Any]] = []

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def version(self) -> str:
        return ""

    def begin(self, step: int) -> None:
        """Keeps what was logged up to `step`, where the stage goes on, and forgets the rest."""
        self.waiting, self.columns = [], []
        rows = [row for row in self.read() if int(row[STEP]) <= step] if step else []
        self.path.unlink(missing_ok=True)
        for row in rows:
            self._add({key: value for key, value in row.items() if value != ""})
        self.save()

    def read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._add({STEP: step or 0, **metrics})
        if len(self.waiting) >= self.flush_every:
            self.save()

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The run's folder has the configuration."""

    def _add(self, row: dict[str, Any]) -> None:
        self.waiting.append(row)

    def save(self) -> None:
        """Appends the waiting lines; a new key means a new header, so then the file is written anew."""
        if not self.waiting:
            return
        new = [key for row in self.waiting for key in row if key not in self.columns]
        rows, mode = self.waiting, "a"
        if new:
            rows, mode = [*self.read(), *self.waiting], "w"
            self.columns = list(dict.fromkeys([*self.columns, *new]))
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.path.open(mode, newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, restval="", lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerows(rows)
        self.waiting = []

    def finalize(self, status: str) -> None:
        self.save()
