"""`occfit predict`: fits photographs and writes what was found, in each photograph's own pixels."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from occfit.apps.gallery import Entry, write_gallery
from occfit.apps.prediction_files import write_prediction
from occfit.errors import OccfitError

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Failure:
    """A photograph, or a folder of them, that couldn't be done."""

    photo: Path
    error: OccfitError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "photos", nargs="+", type=Path, metavar="PHOTO", help="photographs, and folders of them"
    )
    parser.add_argument(
        "--checkpoint",
        required=True,
        type=Path,
        help="a run's checkpoints/last.ckpt, or a released system's folder",
    )
    parser.add_argument(
        "--landmarks",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder with one CSV a photograph, named like it: 68 rows `x,y` in pixels of the upright"
        " photograph, iBUG order, (0, 0) is the centre of the first pixel",
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="where to write; made if missing"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0, or 1 if a photograph couldn't be done."""
    parser = argparse.ArgumentParser(
        prog="occfit predict",
        description="Fits the face of each photograph and writes DIR/<name>/: visible.png (255 = visible"
        " face), face_region.png (255 = where the face model projects), overlay.jpg, reconstruction.png,"
        " mesh.obj and fit.json; and DIR/index.html, a gallery of them all. Pictures are in the pixels of the"
        " upright photograph. A photograph that can't be done is reported, and the others are done.",
        epilog="Results and landmarks go by the photographs' names: two of one name are both refused.",
    )
    add_arguments(parser)
    return run(parser.parse_args(list(arguments)))


def run(args: argparse.Namespace) -> int:
    """Fits every photograph that can be, and returns 1 if one couldn't.

    Raises:
        OccfitError: nothing can be done at all: no photograph, no folder of landmarks, a bad checkpoint, an
            output folder that can't be written.
    """
    from occfit.evaluation.system import load

    photos, failures = find_photos(args.photos)
    if not photos:
        if len(failures) == 1:
            raise failures[0].error
        raise OccfitError(
            "There is no photograph to fit",
            ", ".join(str(path) for path in args.photos),
            f"Name files or folders with {', '.join(PHOTO_SUFFIXES)}.",
        )
    if not args.landmarks.is_dir():
        raise OccfitError(
            "There is no such folder of landmarks", args.landmarks, "Name one with --landmarks."
        )
    fitter = load(args.checkpoint, device=args.device)
    make_folder(args.out)
    console = Console(stderr=True)
    entries = []
    with progress_bar(console) as progress:
        for photo in progress.track(photos, description="fitting"):
            try:
                fit = fitter(photo, args.landmarks / f"{photo.stem}.csv")
                record = write_prediction(fit, args.out / photo.stem, photo, fitter.checkpoint)
            except OccfitError as failure:
                error = OccfitError(failure.what, failure.where or photo, failure.remedy)
                failures.append(Failure(photo, error))
                progress.console.print(
                    f"skipped: {error}", style="red", markup=False, highlight=False, soft_wrap=True
                )
            else:
                entries.append(Entry(photo.stem, photo.name, record["visible_fraction"]))
    write_gallery(args.out, entries, [(str(failure.photo), str(failure.error)) for failure in failures])
    report(console, args.out, len(entries), failures)
    return 1 if failures else 0


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
        raise OccfitError(reason, path, "Choose another with --out.") from error


def progress_bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def report(console: Console, out: Path, done: int, failures: Sequence[Failure]) -> None:
    console.print(f"{done} fitted: {out / 'index.html'}", highlight=False, soft_wrap=True)
    if failures:
        console.print(f"{len(failures)} not fitted:", style="red", highlight=False)
        for failure in failures:
            console.print(f"  {failure.error}", highlight=False, soft_wrap=True, markup=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
