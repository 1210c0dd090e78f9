"""Which photographs a command is asked to do, and where its results go."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from occfit.errors import OccfitError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
GALLERY_FILES = ("index.html", "summary.json")
"""What stands in an output folder beside the photographs' own folders."""


@dataclass(frozen=True)
class Failure:
    """A photograph, or a folder of them, that couldn't be done."""

    photo: Path
    error: OccfitError


def find_photos(inputs: Sequence[Path]) -> tuple[list[Path], list[Failure]]:
    """The photographs among files and folders (not their subfolders), sorted within a folder, each once.

    Photographs that share a name, in any folder and with any suffix, are failures: their landmarks or their
    results would be one. So are folders without a photograph and paths that don't exist.
    """
    found, failures = [], []
    for path in inputs:
        if path.is_dir():
            inside = [file for file in sorted(path.iterdir()) if file.suffix.lower() in PHOTO_SUFFIXES]
            found += inside
            if not inside:
                remedy = f"A folder is searched for {', '.join(PHOTO_SUFFIXES)}."
                failures.append(Failure(path, OccfitError("The folder holds no photograph", path, remedy)))
        elif path.exists():
            found.append(path)
        else:
            failures.append(
                Failure(path, OccfitError("There is no such photograph", path, "Check the path."))
            )
    unique = list({os.path.realpath(path): path for path in found}.values())
    names = Counter(results_name(path) for path in unique)
    photos = [path for path in unique if names[results_name(path)] == 1]
    for path in unique:
        if names[results_name(path)] > 1:
            remedy = "Rename it and its landmarks, or predict in separate calls."
            error = OccfitError(
                f"Another photograph's results are also named '{results_name(path)}'", path, remedy
            )
            failures.append(Failure(path, error))
    return photos, failures


def results_name(photo: Path) -> str:
    """The name of the folder that a photograph's results go into, which is the photograph's own where it can be.

    Underscores stand for dots in front (they hide a folder, or name the one above), for dots and spaces at the end
    (not every system keeps them), and for control characters and bytes that aren't UTF-8. A name that the gallery's
    files have gets one more.
    """
    name = "".join(c if is_text(c) else "_" for c in photo.stem)
    kept = name.lstrip(".")
    name = kept.rjust(len(name), "_")
    kept = name.rstrip(". ")
    name = kept.ljust(len(name), "_")
    return f"{name}_" if name.lower() in GALLERY_FILES else name


def shown(something: object) -> str:
    """A path, or an error that names one, as one line of UTF-8: `\\ufffd` stands for what that can't hold."""
    return "".join(c if is_text(c) else "\ufffd" for c in str(something))


def is_text(character: str) -> bool:
    """Whether it is neither a control character nor one of Python's stand-ins for bytes that aren't UTF-8."""
    return unicodedata.category(character) not in ("Cc", "Cs")


def make_folder(path: Path) -> None:
    """Makes an output folder and tries to write there.

    Raises:
        OccfitError: it can't be made or written.
    """
    probe = path / ".occfit"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = f"The output folder can't be written: {error.strerror}"
        raise OccfitError(reason, path, "Choose another.") from error
