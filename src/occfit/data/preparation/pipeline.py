"""From a source to a collection: list, make chunks, assemble stores, describe them.

OUTPUT/.work/    plan.json (what is prepared), chunk-000000.safetensors ...; removed at the end
OUTPUT/NAME/     stores, OUTPUT/rejected.csv, OUTPUT/preview.html and, last, OUTPUT/sets.json
"""

import csv
import dataclasses
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from occfit.data.alignment import standard_template
from occfit.data.preparation.aligned_sample import Geometry
from occfit.data.preparation.assembly import Assembled, assemble
from occfit.data.preparation.chunks import CHUNK, Record, Rejected, Task, chunk_path, read_record
from occfit.data.preparation.crew import Orders, make_chunks
from occfit.data.prepared_sets import SETS, read_collection, write_sets
from occfit.data.sources.photo_source import Item, PhotoSource
from occfit.data.store import PreparedStore
from occfit.errors import OccfitError
from occfit.face_model.morphable_model import MorphableModel

VERSION = 1
"""It is raised with every change that alters a sample, since it is part of the plan's key."""

WORK, PLAN, LOCK = ".work", "plan.json", "lock"
REJECTED, PREVIEW = "rejected.csv", "preview.html"
OWN_FILES = (WORK, SETS, REJECTED, PREVIEW)

Advance = Callable[[Record, bool], None]
"""Told each chunk's record, and whether it was made now."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that decides what is prepared.

    Attributes:
        items: the listing.
        detector: the name of the detector for photographs without landmarks.
        digest: SHA-256 of all this and the files' sizes; equal ones mean equal samples.
    """

    source: PhotoSource
    items: list[Item]
    geometry: Geometry
    detector: str
    digest: str

    @property
    def tasks(self) -> list[Task]:
        """The samples in chunks."""
        numbered = list(enumerate(self.items))
        starts = range(0, len(numbered), CHUNK)
        return [Task(number, tuple(numbered[start : start + CHUNK])) for number, start in enumerate(starts)]


def make_plan(
    source: PhotoSource,
    face_model: MorphableModel,
    size: int,
    detector: str = "builtin",
    limit: int | None = None,
) -> Plan:
    """Lists the samples.

    Args:
        size: the aligned pictures' side in pixels.
        limit: as many samples of each split, the first ones; None takes all.

    Raises:
        OccfitError: The source's layout is wrong, or there is nothing in it.
    """
    items = limited(source.items(), limit)
    if not items:
        raise OccfitError("The source lists no sample", source.name)
    mean_face = face_model.mean_shape[face_model.landmark_vertices].cpu().numpy()
    geometry = Geometry(size, standard_template(face_model, size), mean_face)
    return Plan(source, items, geometry, detector, digest_of(source, items, geometry, detector))


def limited(items: Sequence[Item], limit: int | None) -> list[Item]:
    """The first `limit` samples of each split."""
    counts: Counter[str] = Counter()
    kept = []
    for item in items:
        counts[item.split] += 1
        if limit is None or counts[item.split] <= limit:
            kept.append(item)
    return kept


def digest_of(source: PhotoSource, items: Sequence[Item], geometry: Geometry, detector: str) -> str:
    hashed = hashlib.sha256()
    head = [VERSION, source.name, settings_of(source), source.fingerprints(), geometry.size, detector]
    hashed.update(json.dumps(head, sort_keys=True).encode())
    for points in (geometry.template, geometry.mean_face):
        hashed.update(points.round(3).tobytes())
    for item in items:
        sizes = [_size(path) for path in (item.picture, item.landmarks, item.mask)]
        hashed.update(json.dumps([dataclasses.asdict(item), sizes], sort_keys=True, default=str).encode())
    return hashed.hexdigest()


def settings_of(source: PhotoSource) -> dict[str, Any]:
    """The source's settings in plain JSON."""
    settings = dataclasses.asdict(source)  # pyright: ignore[reportArgumentType]
    return json.loads(json.dumps(settings, default=str))


def _size(path: Path | None) -> int | None:
    try:
        return None if path is None or path.is_dir() else path.stat().st_size
    except OSError:
        return None


def is_finished(plan: Plan, output: Path) -> bool:
    """Whether the output folder holds this plan's collection already.

    Raises:
        OccfitError: It holds another one, or something else.
    """
    if (output / SETS).exists():
        stores = read_collection(output).stores.values()
        if plan.digest in {store.metadata.get("preparation", {}).get("digest") for store in stores}:
            return True
        remedy = "Choose another output=, or delete the folder"
        raise OccfitError("The folder holds data that was prepared in another way", output, remedy)
    foreign = [path for path in output.iterdir() if path.name not in OWN_FILES] if output.is_dir() else []
    if foreign and not (output / WORK).is_dir():
        raise OccfitError(
            "The folder holds something else", output, "Name an empty or new folder with output="
        )
    return False


def prepare(plan: Plan, output: Path, workers: int, advance: Advance | None = None) -> Assembled:
    """Makes the stores of a collection, which `finish` then completes.

    A preparation that was stopped goes on with the chunks that it has left in `output`.

    Args:
        workers: processes; 0 works in this one.
        advance: told of each chunk, also of those that are there already.

    Raises:
        OccfitError: The folder is in use or belongs to something else, it can't be written, a process ended, or not one
            sample can be used.
    """
    work = output / WORK
    with alone(work):
        claim(plan, work)
        records = [read_record(chunk_path(work, task.number)) for task in plan.tasks]
        tell = advance or (lambda record, is_new: None)
        for record in records:
            if record is not None:
                tell(record, False)
        missing = [task for task in plan.tasks if records[task.number] is None]
        orders = Orders(plan.source, plan.geometry, plan.detector, work)
        for task, record in make_chunks(orders, missing, workers):
            records[task.number] = record
            tell(record, True)
        finished = [record for record in records if record is not None]
        write_rejected(output / REJECTED, plan.items, [one for record in finished for one in record.rejected])
        require_some(plan, finished, output)
        about = {"digest": plan.digest, "size": plan.geometry.size, "settings": settings_of(plan.source)}
        return assemble(plan.source, plan.items, finished, work, output, about | {"detector": plan.detector})


@contextmanager
def alone(work: Path) -> Iterator[None]:
    """Keeps other processes out of a work folder, which it makes if there is none.

    Raises:
        OccfitError: Another one is there, or the folder can't be written.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(work / LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        remedy = "Wait for it, or choose another output="
        raise OccfitError("Another process prepares data there", work.parent, remedy) from error
    except OSError as error:
        reason = f"The output folder can't be written: {error.strerror}"
        raise OccfitError(reason, work.parent, "Choose another output=") from error
    try:
        yield
    finally:
        lock.release()


def claim(plan: Plan, work: Path) -> None:
    """Notes whose chunks these are.

    Raises:
        OccfitError: They are another plan's.
    """
    path = work / PLAN
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["digest"]
    except FileNotFoundError:
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({"digest": plan.digest, "source": plan.source.name}), encoding="utf-8")
        partial.replace(path)
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OccfitError(
            "The plan can't be read", path, "Delete the folder, and prepare the data again"
        ) from error
    if found != plan.digest:
        reason = "Other settings or other photographs than now were being prepared there"
        raise OccfitError(reason, work.parent, "Choose another output=, or delete the folder")


def require_some(plan: Plan, records: Sequence[Record], output: Path) -> None:
    """Checks that a sample is left; without one the work is forgotten, so that it can be done again.

    Raises:
        OccfitError: None is; it says why most aren't.
    """
    if any(record.positions for record in records):
        return
    shutil.rmtree(output / WORK, ignore_errors=True)
    first = next(one for record in records for one in record.rejected)
    reason = f"Not one of {len(plan.items)} photographs can be used"
    remedy = f"The first is '{plan.items[first.position].name}': {first.reason}"
    raise OccfitError(reason, output / REJECTED, remedy)


def write_rejected(path: Path, items: Sequence[Item], rejected: Sequence[Rejected]) -> None:
    """Lists who was left out, and why."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=os.linesep)
        writer.writerow(["photograph", "reason"])
        for one in sorted(rejected, key=lambda one: one.position):
            writer.writerow([items[one.position].name, one.reason])


def read_rejected(path: Path) -> list[tuple[str, str]]:
    """Name and reason of each sample that was left out; nothing where there is no such list."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [(row[0], row[1]) for row in list(csv.reader(file))[1:]]


def finish(plan: Plan, assembled: Assembled, output: Path) -> None:
    """Describes the collection, which completes it, and removes what it was made from."""
    source = plan.source
    filled = [name for name in assembled.counts if name not in ("train", "validation")]
    write_sets(output, source.name, source.test_sets(filled), source.judged_on(filled))
    shutil.rmtree(output / WORK, ignore_errors=True)


def opened(assembled: Assembled, output: Path) -> dict[str, PreparedStore]:
    """The stores that have been made."""
    return {name: PreparedStore(output / name) for name in assembled.counts}
