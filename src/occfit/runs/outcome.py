"""How the runs of a sweep ended, wherever they ran."""

import json
import os
import shutil
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from occfit.cache import cache_dir
from occfit.errors import OccfitError

VARIABLE = "OCCFIT_SWEEP"


@dataclass(frozen=True)
class Outcome:
    """How one run of several ended.

    Attributes:
        folder: the run's folder.
        name: what it was: system and seed, or a sweep's overrides.
        error: in one line; None if it is finished.
    """

    folder: str
    name: str
    error: str | None = None

    def scores(self) -> dict[str, Any] | None:
        """Its `metrics.json`; None if there is none."""
        path = Path(self.folder) / "metrics.json"
        return None if self.error or not path.exists() else json.loads(path.read_text(encoding="utf-8"))


def describe_error(error: BaseException) -> str:
    """One line; where it arose too, if it isn't one that a user can mend."""
    reason = " ".join(str(error).split()) or "no reason given"
    if isinstance(error, OccfitError):
        return reason
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {reason}{place}"


@contextmanager
def sweep_folder(arguments: Sequence[str]) -> Iterator[Path]:
    """Where the runs of a sweep leave their outcomes: in the cache, which all machines of a cluster share.

    It is there as long as the sweep takes. Processes that launchers start find it in the environment, if the command
    line's `arguments` ask for a sweep.
    """
    folder = cache_dir() / "sweeps" / uuid.uuid4().hex
    if {"-m", "--multirun"} & set(arguments):
        os.environ[VARIABLE] = str(folder)
    try:
        yield folder
    finally:
        os.environ.pop(VARIABLE, None)
        shutil.rmtree(folder, ignore_errors=True)


def write_outcome(outcome: Outcome, number: int) -> None:
    """Leaves the outcome where the process that started the sweep looks for it."""
    folder = Path(os.environ[VARIABLE])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number:05d}.json").write_text(json.dumps(asdict(outcome)), encoding="utf-8")


def read_outcomes(folder: Path) -> list[Outcome]:
    """In the order of the sweep."""
    return [Outcome(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json"))]
