"""`occfit prepare`: raw photographs to prepared stores, and a page to look at."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from occfit.errors import OccfitError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from occfit.data.preparation.assembly import Assembled
    from occfit.data.preparation.chunks import Record
    from occfit.data.preparation.pipeline import Advance, Plan
    from occfit.data.sources.photo_source import PhotoSource
    from occfit.runs.config import PrepareConfig

STANDARD_SIZE = 64
"""The laptop preset's."""

SHORTHANDS = ("root", "landmarks", "masks", "tags", "splits", "store")
"""What stands at the top and a source refers to."""

NEEDED = ("root", "store")
NAMED = 5
"""As many photographs that were left out are named; rejected.csv has all."""


def main(arguments: Sequence[str]) -> int:
    """The exit code; see `occfit prepare --help`."""
    from occfit.runs.config import parse_preparation
    from occfit.runs.hydra_app import run_app

    return run_app("prepare", arguments, lambda plain: prepare(parse_preparation(plain)), prepare=complete)


def complete(composed: "DictConfig") -> None:
    """Fills in the pictures' size.

    Raises:
        OccfitError: The source needs something that isn't said, or doesn't know what is.
    """
    from occfit.runs.config import conf_dir

    source = composed.get("source")
    if source is None:
        options = sorted(path.stem for path in (conf_dir() / "source").glob("*.yaml"))
        raise OccfitError("source= is missing", remedy=f"Choose from {', '.join(options)}")
    for key in SHORTHANDS:
        if key in NEEDED and key in source and source[key] is None:
            raise OccfitError(f"{key}= is missing", remedy=f"Say {key}=FOLDER")
        if composed[key] is not None and key not in source:
            known = ", ".join(f"{name}=" for name in SHORTHANDS if name in source)
            raise OccfitError(f"{key}= means nothing to this source", remedy=f"It knows {known}")
    if composed.size is None:
        composed.size = natural_size(source) or STANDARD_SIZE


def natural_size(source: "DictConfig") -> int | None:
    """The size that the source's pictures have already, if they have one."""
    from omegaconf import OmegaConf

    node = OmegaConf.to_container(source, resolve=True)
    assert isinstance(node, dict)
    return make_source({str(key): value for key, value in node.items()}).default_size()


def make_source(node: Mapping[str, Any]) -> "PhotoSource":
    """The source that a checked configuration describes."""
    from occfit.runs.config import instantiate

    return instantiate(node)


def prepare(config: "PrepareConfig") -> None:
    """Prepares what the configuration says, and tells what came of it."""
    from occfit.data.detection.detectors import make_detector
    from occfit.data.preparation.pipeline import finish, is_finished, make_plan
    from occfit.data.preparation.pipeline import prepare as prepare_stores
    from occfit.face_model.builtin.model import builtin_face_model
    from occfit.publishing.preview_page import write_preview

    output = Path(config.output)
    make_detector(config.detector)
    source = make_source(config.source)
    natural = source.default_size()
    if natural is not None and natural != config.size:
        reason = f"The prepared pictures have {natural} pixels, not {config.size}"
        raise OccfitError(
            reason, config.store, "Leave size= out, or prepare the photographs again in that size"
        )
    face_model = builtin_face_model()
    plan = make_plan(source, face_model, config.size, config.detector, config.limit)
    if is_finished(plan, output):
        print(f"It is finished already: {output}")
        return
    with progress(plan) as advance:
        assembled = prepare_stores(plan, output, available(config.workers), advance)
    write_preview(
        output, source.name, assembled.counts, assembled.remarks, plan.geometry.mean_face, config.seed
    )
    finish(plan, assembled, output)
    report(assembled, output)


def available(workers: int | None) -> int:
    """The number of processes: what is wanted, or one for each core that this process may use."""
    if workers is not None:
        return workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if cores > 1 else 0


@contextmanager
def progress(plan: "Plan") -> Iterator["Advance"]:
    """A bar on stderr: what is done, how many a second, the time left, how many were left out."""
    columns = (
        TextColumn("preparing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rejected]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("preparing", total=len(plan.items), rate="", rejected="")
        done = left_out = made = 0
        started = time.monotonic()

        def advance(record: "Record", is_new: bool) -> None:
            nonlocal done, left_out, made
            count = len(record.positions) + len(record.rejected)
            done, left_out, made = done + count, left_out + len(record.rejected), made + count * is_new
            rate = f"{made / (time.monotonic() - started):.1f}/s" if made else ""
            bar.update(task, completed=done, rate=rate, rejected=f"{left_out} left out" if left_out else "")

        yield advance


def report(assembled: "Assembled", output: Path) -> None:
    """Says what has been prepared, what was left out, and where to look."""
    from occfit.data.preparation.pipeline import PREVIEW, REJECTED, read_rejected

    for split, count in assembled.counts.items():
        print(f"{split}: {count}")
    for remark in assembled.remarks:
        print(remark)
    if assembled.rejected:
        print(f"{assembled.rejected} left out: {output / REJECTED}")
        rejected = read_rejected(output / REJECTED)
        for name, reason in rejected[:NAMED]:
            print(f"  {name}: {reason}")
        if len(rejected) > NAMED:
            print(f"  and {len(rejected) - NAMED} more")
    print(output / PREVIEW)
