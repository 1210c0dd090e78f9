"""A run's folder: what is in it, and who may write to it.

config.yaml             the resolved configuration
stages.json             per stage: its key in the store, its steps, its seconds
logs/STAGE/metrics.csv  what was logged
checkpoints/last.ckpt   within a stage everything to go on from, in the end the trained system
metrics.json            the scores; with it the run is finished
"""

import json
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout
from omegaconf import OmegaConf

from occfit.errors import OccfitError
from occfit.runs.config import TrainConfig

UNIMPORTANT = ("output", "resume", "trainer", "logger")
"""What may differ when a run goes on."""


class RunFolder:
    def __init__(self, path: Path):
        self.path = path
        self.config = path / "config.yaml"
        self.stages = path / "stages.json"
        self.logs = path / "logs"
        self.checkpoints = path / "checkpoints"
        self.checkpoint = self.checkpoints / "last.ckpt"
        self.metrics = path / "metrics.json"

    @contextmanager
    def claimed(self, config: TrainConfig):
        """Holds the folder for one run and writes its configuration there.

        Raises:
            OccfitError: the folder can't be written, another process writes to it, it has a run in it and the
                configuration doesn't say `resume=true`, or that run is another one.
        """
        with self._lock():
            self._check(config)
            OmegaConf.save(OmegaConf.create(config.plain()), self.config)
            yield

    def _lock(self) -> AcquireReturnProxy:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            return FileLock(self.path / ".lock").acquire(timeout=0)
        except Timeout as error:
            raise OccfitError("Another process is writing to this run", self.path) from error
        except OSError as error:
            reason = f"The folder can't be written ({error.strerror})"
            raise OccfitError(reason, self.path, "Choose another output=") from error

    def _check(self, config: TrainConfig) -> None:
        has_something_to_lose = self.metrics.exists() or self.checkpoint.exists()
        if not self.config.exists() or not has_something_to_lose:
            return
        if not config.resume:
            state = "a finished run" if self.metrics.exists() else "an unfinished run"
            raise OccfitError(
                f"The folder holds {state}",
                self.path,
                "resume=true goes on with it; or choose another output=",
            )
        if changed := self.difference(config):
            raise OccfitError(
                f"The run in the folder was started with other settings ({', '.join(changed)})",
                self.path,
                "Go on with the same ones, or choose another output=",
            )

    def difference(self, config: TrainConfig) -> list[str]:
        """The settings that differ from those the run was started with, as `key: before -> now`."""
        started = OmegaConf.to_container(OmegaConf.load(self.config))
        assert isinstance(started, dict)
        before, now = _flatten(started), _flatten(config.plain())
        return [
            f"{key}: {before.get(key)} -> {now.get(key)}"
            for key in sorted(before.keys() | now.keys())
            if key.split(".")[0] not in UNIMPORTANT and before.get(key) != now.get(key)
        ]

    def is_finished(self) -> bool:
        return self.metrics.exists()

    def write_stages(self, stages: list[dict[str, Any]]) -> None:
        self.stages.write_text(json.dumps(stages, indent=1) + "\n")


def _flatten(node: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(node, Mapping):
        return {path: list(node) if isinstance(node, list | tuple) else node}
    children = [_flatten(value, f"{path}.{key}" if path else str(key)) for key, value in node.items()]
    return {key: value for child in children for key, value in child.items()}
