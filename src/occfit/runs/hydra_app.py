"""Hydra's command line (overrides, --help, --cfg, --multirun) with this project's errors."""

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from occfit.errors import OccfitError
from occfit.runs.config import conf_dir, explain, resolve
from occfit.runs.outcome import Outcome, describe_error, write_outcome
from occfit.runs.stopped import StoppedError

LONGEST_NAME = 120
"""Of a sweep's folder for one run, in characters; file systems take 255 bytes."""


def short_name(name: str) -> str:
    """The name, or as much of it as a folder may have, and a digest of the rest."""
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


OmegaConf.register_new_resolver("short_name", short_name, replace=True)


@dataclass
class Job:
    """What Hydra calls with a composed configuration, in this process or in one that a launcher started.

    In a sweep a failed job doesn't end the others: each leaves its `Outcome`, named by what is swept. Else what it
    raised is kept in `failures`, since Hydra would print lines of its own.
    """

    name: str
    task: Callable[[dict[str, Any]], None]
    prepare: Callable[[DictConfig], None]
    swept: frozenset[str] = frozenset()
    failures: list[Exception] = field(default_factory=list)

    def __call__(self, composed: DictConfig) -> None:
        hydra_config = HydraConfig.get()
        output, is_sweep = hydra_config.runtime.output_dir, hydra_config.mode == RunMode.MULTIRUN
        reason = None
        try:
            self.prepare(composed)
            self.task(resolve(composed, self.name) | {"output": output})
        except Exception as error:
            if is_sweep and isinstance(error, StoppedError):
                raise KeyboardInterrupt from error
            self.failures.append(error)
            reason = describe_error(error)
        if is_sweep:
            self.failures.clear()
            chosen = [one for one in hydra_config.overrides.task if one.partition("=")[0] in self.swept]
            name = ", ".join(chosen) or output
            write_outcome(Outcome(output, name, reason), hydra_config.job.num)


def leave(composed: DictConfig) -> None:
    """Nothing has to be filled in."""


def run_app(
    name: str,
    arguments: Sequence[str],
    task: Callable[[dict[str, Any]], None],
    prepare: Callable[[DictConfig], None] = leave,
) -> int:
    """Composes conf/`name`.yaml with `arguments` and calls `task` with the resolved, checked result.

    Args:
        prepare: fills in what isn't known before something else has been read.

    Raises:
        OccfitError: of the configuration, or from `task`.
    """
    swept = frozenset(key for key, _, value in (one.partition("=") for one in arguments) if _varies(value))
    job = Job(name, task, prepare, swept)
    start = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(job)
    try:
        with _as_process_arguments([f"occfit {name}", *sorted(arguments, key=_is_setting)]):
            start()
        if job.failures:
            raise job.failures[0]
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, name) from error
    except ValueError as error:
        if not str(error).startswith("Config group override"):
            raise
        raise OccfitError("A group's value is the name of one of its files", remedy=str(error)) from error
    except OSError as error:
        if error.filename is None:
            raise
        remedy = "Check its rights, or choose other folders with output= and OCCFIT_CACHE"
        raise OccfitError(
            f"A file or folder can't be written ({error.strerror})", error.filename, remedy
        ) from error
    return 0


def _varies(value: str) -> bool:
    """Whether a setting has several values: `a,b`, `glob(*)`, `range(3)` and the like."""
    return bool(re.search(r",|^(glob|range|choice|interval|sort|shuffle)\(", value)) and value[:1] not in "[{"


def _is_setting(argument: str) -> bool:
    """Hydra's parser takes no flag between two settings, so flags for many runs go first, wherever they were."""
    return argument not in ("-m", "--multirun")


@contextmanager
def _as_process_arguments(arguments: list[str]) -> Iterator[None]:
    """Hydra reads `sys.argv`, and raises errors instead of printing them if the environment says so."""
    before = sys.argv
    sys.argv = arguments
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = before
