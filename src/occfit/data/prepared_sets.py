"""What `occfit prepare` leaves: prepared stores beside each other, and a file that says which are test sets.

OUTPUT/
  sets.json        the test sets in order, with unions of them; with it the collection is finished
  train/           a prepared store, as validation/ and every test set's folder
  rejected.csv     what was left out, and why
  preview.html     what it looks like
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from occfit.data.data_source import TRAIN, VALIDATION, SetDescription, check_sets
from occfit.data.store import PreparedStore
from occfit.data.store_format import MANIFEST
from occfit.errors import OccfitError

FORMAT = 1
SETS = "sets.json"
PREPARE = "Prepare it with `occfit prepare`, or name a folder that it has written"


@checked(frozen=True, config=ConfigDict(extra="forbid"))
class _SetsFile:
    format: int
    name: str
    judged_on: str | None
    sets: dict[str, SetDescription]


@dataclass(frozen=True)
class Collection:
    """A finished collection.

    Attributes:
        folder: where it lies.
        name: the data set's.
        sets: every test set and every union of them, in the order of tables.
        judged_on: the set that alone says which run is better.
    """

    folder: Path
    name: str
    sets: Mapping[str, SetDescription]
    judged_on: str | None = None

    @cached_property
    def stores(self) -> dict[str, PreparedStore]:
        """`train` and `validation`, as far as they are there, and the test sets."""
        names = [TRAIN, VALIDATION, *(name for name, one in self.sets.items() if not one.parts)]
        return {name: PreparedStore(self.folder / name) for name in names if self._is_there(name)}

    def _is_there(self, name: str) -> bool:
        return name in self.sets or (self.folder / name / MANIFEST).exists()


def write_sets(folder: Path, name: str, sets: Mapping[str, SetDescription], judged_on: str | None) -> None:
    """Writes the file that finishes a collection, whose stores lie there already.

    Raises:
        OccfitError: sets and stores don't belong together, or the folder can't be written.
    """
    check_sets(sets, [key for key in sets if (folder / key / MANIFEST).exists()], judged_on)
    content = TypeAdapter(_SetsFile).dump_json(_SetsFile(FORMAT, name, judged_on, dict(sets)), indent=1)
    partial = folder / f".{SETS}.partial"
    try:
        partial.write_bytes(content + b"\n")
        partial.replace(folder / SETS)
    except OSError as error:
        raise OccfitError(f"The collection can't be finished: {error.strerror}", folder) from error


def read_collection(folder: Path | str) -> Collection:
    """A finished collection; its stores are opened when they are asked for.

    Raises:
        OccfitError: there is none, or its description can't be understood.
    """
    folder = Path(folder)
    path = folder / SETS
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise OccfitError("There is no prepared data", folder, PREPARE) from error
    except (OSError, ValueError) as error:
        raise OccfitError(
            "The prepared data's description can't be read", path, "Prepare it again"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        reason = f"The prepared data has format {found}, this version of occfit reads format {FORMAT}"
        raise OccfitError(reason, folder, "Prepare it again")
    try:
        read = TypeAdapter(_SetsFile).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise OccfitError(f"'{key}' is wrong in the data's description: {first['msg']}", path) from error
    for name in read.sets:
        if Path(name).name != name or name in (TRAIN, VALIDATION, ".", ".."):
            raise OccfitError(f"A test set can't be called '{name}'", path)
    return Collection(folder, read.name, read.sets, read.judged_on)
