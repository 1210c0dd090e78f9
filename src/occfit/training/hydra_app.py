"""Hydra's command line (overrides, --help, --cfg, --multirun) with this project's errors."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from occfit.errors import OccfitError
from occfit.training.config import conf_dir, explain, resolve


def run_app(
    name: str,
    arguments: Sequence[str],
    task: Callable[[dict[str, Any]], None],
    prepare: Callable[[DictConfig], None] = lambda composed: None,
) -> int:
    """Composes conf/`name`.yaml with `arguments` and calls `task` with the resolved, checked result.

    Args:
        prepare: fills in what isn't known before something else has been read.

    Raises:
        OccfitError: of the configuration, or from `task`.
    """
    failures: list[Exception] = []

    def job(composed: DictConfig) -> None:
        hydra_config = HydraConfig.get()
        try:
            prepare(composed)
            config = resolve(composed, name) | {"output": hydra_config.runtime.output_dir}
            task(config)
        except Exception as error:
            if hydra_config.mode == RunMode.MULTIRUN:
                raise
            failures.append(error)  # raised below: Hydra would print lines of its own

    start = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=name)(job)
    try:
        with _as_process_arguments([f"occfit {name}", *arguments]):
            start()
        if failures:
            raise failures[0]
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
