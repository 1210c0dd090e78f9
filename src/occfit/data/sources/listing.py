"""What listings have in common: folders that must be there, tables, names that must be unique, shares by hash."""

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from occfit.data.data_source import TRAIN, VALIDATION
from occfit.data.sources.photo_source import Item
from occfit.errors import OccfitError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
SET_NAME = re.compile(r"[A-Za-z0-9][\w-]*")
NAME = "name"


@dataclass(frozen=True)
class Table:
    """A CSV whose first column is `name`.

    Attributes:
        columns: the names of the other columns.
        rows: for each name its values by column.
    """

    columns: tuple[str, ...]
    rows: Mapping[str, Mapping[str, str]]


def require_folder(folder: Path, what: str, remedy: str) -> Path:
    """The folder, if it is one.

    Raises:
        OccfitError: It isn't.
    """
    if not folder.is_dir():
        raise OccfitError(f"There is no folder of {what}", folder, remedy)
    return folder


def find_pictures(root: Path, without: Sequence[Path] = ()) -> dict[str, Path]:
    """The pictures in a folder and all below it, sorted, by their path from there without the suffix.

    Args:
        without: folders that hold no photographs, should they lie in it.

    Raises:
        OccfitError: There is no folder or no picture, or two have the same name.
    """
    require_folder(root, "photographs", "Say root=FOLDER")
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    inside = [folder.resolve() for folder in without if root.resolve() in folder.resolve().parents]
    paths = [path for path in paths if not any(path.resolve().is_relative_to(folder) for folder in inside)]
    paths = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    if not paths:
        remedy = f"It is searched, with all folders in it, for {', '.join(PICTURE_SUFFIXES)}"
        raise OccfitError("The folder holds no photograph", root, remedy)
    names = [path.relative_to(root).with_suffix("").as_posix() for path in paths]
    require_unique(names, root, "Rename one of the two, with its landmarks and its mask")
    return dict(zip(names, paths, strict=True))


def require_unique(names: Iterable[str], where: Path, remedy: str) -> None:
    """Checks that no name occurs twice.

    Raises:
        OccfitError: One does.
    """
    counts = Counter(names)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        more = f" (and {len(twice) - 1} more)" if len(twice) > 1 else ""
        raise OccfitError(f"'{twice[0]}' is there {counts[twice[0]]} times{more}", where, remedy)


def read_table(path: Path) -> Table:
    """A CSV of tags: a header whose first column is `name`, then one row a photograph.

    Raises:
        OccfitError: It can't be read, has no such column, a row of another length, or a name twice.
    """
    lines = read_rows(path)
    if not lines or lines[0][1][:1] != [NAME]:
        first = lines[0][1][0] if lines and lines[0][1] else ""
        raise OccfitError(
            f"The table's first column is '{first}', not '{NAME}'", path, "Name the columns in its first row"
        )
    columns = lines[0][1]
    require_unique(columns, path, "Give each column a name of its own")
    for number, row in lines[1:]:
        if len(row) != len(columns):
            reason = f"The table has {len(row)} values in row {number}, but {len(columns)} columns"
            raise OccfitError(reason, path, "Put values that hold commas into quotes")
    require_unique((row[0] for _, row in lines[1:]), path, "Keep one row for each photograph")
    rows = {row[0]: dict(zip(columns[1:], row[1:], strict=True)) for _, row in lines[1:]}
    return Table(tuple(columns[1:]), rows)


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows of a CSV that hold anything, with their numbers, counted from 1.

    Raises:
        OccfitError: There is no such file, or it isn't text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [[value.strip() for value in row] for row in csv.reader(file)]
    except FileNotFoundError as error:
        raise OccfitError("There is no such table", path, "Check the path") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OccfitError(f"The table can't be read ({error})", path, "Save it as CSV in UTF-8") from error
    return [(number, row) for number, row in enumerate(rows, 1) if any(row)]


def share_of(key: str, seed: int) -> float:
    """A number in [0, 1) that depends on nothing but the key and the seed."""
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def draw(names: Sequence[str], count: int, seed: int, purpose: str) -> set[str]:
    """So many of the names at random; whoever is added later moves few of the others."""
    return set(sorted(names, key=lambda name: share_of(f"{purpose}/{name}", seed))[:count])


def require_set_name(name: str, where: Path) -> str:
    """The name, if a folder may have it.

    Raises:
        OccfitError: It holds anything but letters, digits, `_` and `-`.
    """
    if not SET_NAME.fullmatch(name):
        raise OccfitError(f"A test set can't be called '{name}'", where, "Use letters, digits, _ and -")
    return name


def filled_sets(items: Iterable[Item]) -> list[str]:
    """The test sets that samples belong to, in the order of their first ones."""
    return list(dict.fromkeys(item.split for item in items if item.split not in (TRAIN, VALIDATION)))
