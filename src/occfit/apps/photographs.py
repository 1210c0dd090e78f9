"""Which photographs a command is asked to do, and where its results go."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from occfit.errors import OccfitError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Failure:
    """A photograph, or a folder of them, that couldn't be done."""

    photo: Path
    error: OccfitError


def find_photos(inputs: Sequence[Path]) -> tuple[list[Path], list[Failure]]:
    """The photographs among files and folders (not their subfolders), sorted within a folder, each once.

    Photographs that share a name, in any folder and with any suffix, are failures: their landmarks and their
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
    stems = [path.stem for path in unique]
    photos = [path for path in unique if stems.count(path.stem) == 1]
    for path in unique:
        if stems.count(path.stem) > 1:
            remedy = "Rename it and its landmarks, or predict in separate calls."
            error = OccfitError(f"Another photograph is also named '{path.stem}'", path, remedy)
            failures.append(Failure(path, error))
    return photos, failures


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
