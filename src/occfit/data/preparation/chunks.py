"""Samples in chunks, each a file of its own, so that a preparation that was stopped goes on where it was."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from occfit.data.preparation.aligned_sample import Geometry, Sample, make_sample
from occfit.data.sources.photo_source import Item, LandmarkFinder, PhotoSource
from occfit.errors import OccfitError

CHUNK = 64
RECORD = "record"
ARRAYS = ("image", "landmarks", "visibility", "known", "face_region", "aligned_to_photo", "kind", "held_out")


@dataclass(frozen=True)
class Rejected:
    """A sample that was left out.

    Attributes:
        position: its place in the listing.
        reason: one line for the user.
    """

    position: int
    reason: str


@dataclass(frozen=True)
class Record:
    """What is in a chunk.

    Attributes:
        positions: the samples' places in the listing, in order.
        hidden: for each sample the share of its landmarks' hull that occluders cover; None where nobody tells.
        is_known: for each sample whether something, and whether everything is known of its visibility.
        has_region: for each sample whether the face's region is told.
        rejected: who was left out.
    """

    positions: list[int]
    hidden: list[float | None]
    is_known: list[tuple[bool, bool]]
    has_region: list[bool]
    rejected: list[Rejected]


@dataclass(frozen=True, eq=False)
class Task:
    """A chunk to make: its number, and samples with their places in the listing."""

    number: int
    items: tuple[tuple[int, Item], ...]


def chunk_path(folder: Path, number: int) -> Path:
    return folder / f"chunk-{number:06d}.safetensors"


def make_chunk(
    task: Task, source: PhotoSource, geometry: Geometry, find: LandmarkFinder, folder: Path
) -> Record:
    """Makes a chunk's samples and writes them; a sample that can't be used is noted with its reason."""
    samples: list[tuple[int, Sample]] = []
    rejected: list[Rejected] = []
    for position, item in task.items:
        try:
            samples.append((position, make_sample(source, item, geometry, find)))
        except OccfitError as error:
            rejected.append(Rejected(position, str(error)))
        except MemoryError:
            raise
        except Exception as error:  # some library's, about this file; it is listed, and the others go on
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            rejected.append(Rejected(position, f"It can't be used ({reason})"))
    record = Record(
        positions=[position for position, _ in samples],
        hidden=[None if np.isnan(one.hidden) else one.hidden for _, one in samples],
        is_known=[(bool(one.known.any()), bool(one.known.all())) for _, one in samples],
        has_region=[one.has_region for _, one in samples],
        rejected=rejected,
    )
    write_chunk(chunk_path(folder, task.number), record, [one for _, one in samples])
    return record


def write_chunk(path: Path, record: Record, samples: Sequence[Sample]) -> None:
    arrays = {
        name: np.stack([np.asarray(getattr(one, name)) for one in samples]) for name in ARRAYS if samples
    }
    content = {"positions": record.positions, "hidden": record.hidden, "is_known": record.is_known}
    content |= {
        "has_region": record.has_region,
        "rejected": [[one.position, one.reason] for one in record.rejected],
    }
    partial = path.with_suffix(".partial")
    partial.write_bytes(save(arrays, metadata={RECORD: json.dumps(content)}))
    partial.replace(path)


def read_record(path: Path) -> Record | None:
    """What is in a finished chunk; None if it isn't there or is torn."""
    try:
        with safe_open(path, framework="np") as file:
            return _record(json.loads(file.metadata()[RECORD]))
    except (OSError, SafetensorError, TypeError, KeyError, ValueError):
        return None


def _record(content: dict[str, Any]) -> Record:
    known = [(bool(some), bool(everything)) for some, everything in content.pop("is_known")]
    rejected = [Rejected(position, reason) for position, reason in content.pop("rejected")]
    return Record(is_known=known, rejected=rejected, **content)


def read_arrays(path: Path) -> dict[str, ndarray]:
    """A finished chunk's samples by field; nothing where all were left out."""
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no iterable)
