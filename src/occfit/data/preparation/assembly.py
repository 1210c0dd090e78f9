"""From chunks to stores: who belongs to which, in the listing's order, with the fields that all of them have."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from occfit.data.data_source import TRAIN, VALIDATION
from occfit.data.preparation.chunks import CHUNK, Record, chunk_path, read_arrays
from occfit.data.sources.photo_source import Found, Item, PhotoSource
from occfit.data.store_writer import StoreWriter

SHARD_PIXELS = 2**23
"""A shard's, so that the several that are open at a time fit into memory: 1,024 samples of 64 px, 167 of 224 px."""


@dataclass(frozen=True)
class Assembled:
    """What the stores hold.

    Attributes:
        counts: samples of each split, train and validation first.
        rejected: the number of samples that were left out.
        remarks: what the user should be told.
    """

    counts: Mapping[str, int]
    rejected: int
    remarks: list[str]


@dataclass(frozen=True)
class Fields:
    """Which fields a split's store keeps beside those that all have."""

    visibility: bool
    known: bool
    face_region: bool
    kind: bool
    held_out: bool
    identity: bool

    def take(self, arrays: Mapping[str, ndarray], rows: ndarray) -> dict[str, ndarray]:
        """What the store is given of a chunk's arrays."""
        wanted = ["image", "landmarks", "aligned_to_photo"]
        wanted += [
            name for name in ("visibility", "known", "face_region", "kind", "held_out") if getattr(self, name)
        ]
        return {name: arrays[name][rows] for name in wanted}


def assemble(
    source: PhotoSource,
    items: Sequence[Item],
    records: Sequence[Record],
    work: Path,
    output: Path,
    about: Mapping[str, Any],
) -> Assembled:
    """Writes every split's store.

    Args:
        records: what is in each chunk, by number.
        work: the chunks' folder.
        about: what the stores' metadata say of the preparation, such as the pictures' `size`.
    """
    chosen = chosen_positions(source, items, records)
    persons = {person: number for number, person in enumerate(sorted({item.person or "" for item in items}))}
    rejected = sum(len(record.rejected) for record in records)
    remarks = source.remarks(items, chosen)
    members = {split: set(positions) for split, positions in chosen.items()}
    fields = {split: fields_of(source, items, records, some) for split, some in members.items()}
    for unfinished in output.glob(".*.partial"):
        shutil.rmtree(unfinished, ignore_errors=True)
    shard_size = int(np.clip(SHARD_PIXELS // about["size"] ** 2, CHUNK, 1024))
    with ExitStack() as opened:
        writers = {
            split: opened.enter_context(
                StoreWriter(
                    output / split, metadata_of(source, items, positions, split, about, remarks), shard_size
                )
            )
            for split, positions in chosen.items()
        }
        for number, record in enumerate(records):
            arrays = read_arrays(chunk_path(work, number))
            for split, writer in writers.items():
                rows = np.flatnonzero([position in members[split] for position in record.positions])
                if len(rows):
                    part = [items[record.positions[row]] for row in rows]
                    given = fields[split].take(arrays, rows)
                    if fields[split].identity:
                        given["identity"] = np.array([persons[item.person or ""] for item in part])
                    writer.add(**given, provenance=[f"{source.name}/{item.name}" for item in part])
    return Assembled({split: len(positions) for split, positions in chosen.items()}, rejected, remarks)


def chosen_positions(
    source: PhotoSource, items: Sequence[Item], records: Sequence[Record]
) -> dict[str, list[int]]:
    """The places in the listing of each split that has any; train and validation first."""
    found = [
        Found(position, items[position], float("nan") if hidden is None else hidden)
        for record in records
        for position, hidden in zip(record.positions, record.hidden, strict=True)
    ]
    chosen = {split: sorted(positions) for split, positions in source.split(found).items() if positions}
    order = [split for split in (TRAIN, VALIDATION) if split in chosen]
    return {split: chosen[split] for split in [*order, *(split for split in chosen if split not in order)]}


def fields_of(
    source: PhotoSource, items: Sequence[Item], records: Sequence[Record], members: set[int]
) -> Fields:
    """A mask is kept where it is known of any sample, `known` where it isn't of all."""
    rows = [
        (known, has_region)
        for record in records
        for position, known, has_region in zip(
            record.positions, record.is_known, record.has_region, strict=True
        )
        if position in members
    ]
    anything = any(some for (some, _), _ in rows)
    return Fields(
        visibility=anything,
        known=anything and not all(everything for (_, everything), _ in rows),
        face_region=all(has_region for _, has_region in rows),
        kind=len(source.kinds) > 1,
        held_out=source.holds_out,
        identity=all(items[position].person is not None for position in members),
    )


def metadata_of(
    source: PhotoSource,
    items: Sequence[Item],
    positions: Sequence[int],
    split: str,
    about: Mapping[str, Any],
    remarks: Sequence[str],
) -> dict[str, Any]:
    """What a store says of itself. `tags` has an entry for each sample, if the source knows any."""
    tags = [dict(items[position].tags) for position in positions]
    content = {"source": source.name, "split": split, "kinds": list(source.kinds), "preparation": dict(about)}
    content |= {"notes": [*source.notes, *remarks]}
    return content | ({"tags": tags} if any(tags) else {})
