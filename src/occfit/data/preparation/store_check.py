"""Whether prepared data is what it says it is; each problem is one line."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from occfit.data.alignment import ALIGNED_POINTS
from occfit.data.data_source import TRAIN, VALIDATION, check_sets
from occfit.data.prepared_sets import SETS, read_collection
from occfit.data.store import PreparedStore
from occfit.errors import OccfitError

BATCH = 256
MARGIN = 0.1
"""A share of the side by which an inner landmark may lie outside the picture."""


def open_stores(folder: Path) -> dict[str, PreparedStore]:
    """A collection's stores, or the one store that the folder is.

    Raises:
        OccfitError: It is neither, or a store can't be opened.
    """
    if (folder / SETS).exists():
        return read_collection(folder).stores
    return {folder.resolve().name: PreparedStore(folder)}


def problems(folder: Path) -> Iterator[str]:
    """What is wrong with a collection or a store, one line each.

    Raises:
        OccfitError: The folder holds neither.
    """
    if not (folder / SETS).exists():
        yield from store_problems(PreparedStore(folder))
        return
    collection = read_collection(folder)
    names = [TRAIN, VALIDATION, *(name for name, one in collection.sets.items() if not one.parts)]
    stores: dict[str, PreparedStore] = {}
    for name in names:
        try:
            if name in collection.sets or (folder / name).exists():
                stores[name] = PreparedStore(folder / name)
        except OccfitError as error:
            yield str(error)
    try:
        tests = [name for name in stores if name not in (TRAIN, VALIDATION)]
        check_sets(collection.sets, tests, collection.judged_on)
    except OccfitError as error:
        yield f"{error} [{folder / SETS}]"
    if len({store.size for store in stores.values()}) > 1:
        found = ", ".join(f"{name} {store.size[1]} x {store.size[0]}" for name, store in stores.items())
        yield f"The stores' pictures differ in size: {found} [{folder}]"
    for store in stores.values():
        yield from store_problems(store)
    yield from leaks(stores)


def store_problems(store: PreparedStore) -> Iterator[str]:
    """What is wrong inside a store: other bytes than were written, landmarks elsewhere, masks that contradict."""
    try:
        store.verify()
    except OccfitError as error:
        yield str(error)
        return
    found: dict[str, list[int]] = {}
    for start in range(0, len(store), BATCH):
        rows = range(start, min(start + BATCH, len(store)))
        for what, wrong in contradictions(store.arrays(rows), store.size).items():
            found.setdefault(what, []).extend((start + np.flatnonzero(wrong)).tolist())
    for what, rows in found.items():
        if rows:
            first = store.provenance(rows[0]) or f"sample {rows[0]}"
            yield f"{len(rows)} of {len(store)} samples {what}, first {first} [{store.folder}]"


def contradictions(arrays: Mapping[str, ndarray], size: tuple[int, int]) -> dict[str, Bool[ndarray, " n"]]:
    """For each thing that can be wrong, which of some samples it is wrong with."""
    side = np.array(size[::-1])
    inner = arrays["landmarks"][:, ALIGNED_POINTS]
    outside = ~((inner >= -MARGIN * side) & (inner <= (1 + MARGIN) * side)).all(axis=(1, 2))
    found = {
        "have landmarks outside the picture": outside,
        "have landmarks that aren't numbers": ~np.isfinite(arrays["landmarks"]).all(axis=(1, 2)),
        "are of one colour": np.ptp(arrays["image"].reshape(len(inner), -1), axis=1) == 0,
    }
    if "known" in arrays:
        unknown = arrays["known"] == 0
        found["show the face where nothing is known"] = (unknown & (arrays["visibility"] > 0)).any(
            axis=(1, 2)
        )
        found["are known by halves"] = ((arrays["known"] > 0) & (arrays["known"] < 255)).any(axis=(1, 2))
    if "face_region" in arrays and "visibility" in arrays:
        beside = (arrays["face_region"] == 0) & (arrays["visibility"] > 127)
        found["show the face outside its region"] = beside.any(axis=(1, 2))
    return found


def leaks(stores: Mapping[str, PreparedStore]) -> Iterator[str]:
    """Photographs that are trained or chosen on and occur elsewhere too."""
    names = {
        split: {name for row in range(len(store)) if (name := store.provenance(row)) is not None}
        for split, store in stores.items()
    }
    for one in (TRAIN, VALIDATION):
        for other in names:
            if one in names and other != one and (one, other) != (VALIDATION, TRAIN):
                shared = names[one] & names[other]
                if shared:
                    yield f"{len(shared)} photographs are in {one} and in {other}, first {min(shared)}"
