"""`occfit predict`: fits photographs and writes what was found, in each photograph's own pixels."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from occfit.apps.gallery import Entry, write_gallery
from occfit.apps.photographs import PHOTO_SUFFIXES, Failure, find_photos, make_folder, results_name, shown
from occfit.apps.prediction_files import Source, write_prediction
from occfit.errors import OccfitError

if TYPE_CHECKING:
    from occfit.data.detection import DetectedFace
    from occfit.fitting.face_fitter import FaceFitter
    from occfit.fitting.fit import Fit

BATCH = 16
"""Faces that are fitted side by side."""

DETECTORS = ("builtin", "dlib", "fan")


@dataclass(frozen=True, eq=False)
class Job:
    """One face to fit.

    Attributes:
        photo: the file.
        picture: what it shows.
        folder: the results' folder, below the output folder.
        face: its landmarks; a given one has confidence 1.
        source: what `fit.json` says of where they come from.
    """

    photo: Path
    picture: UInt8[np.ndarray, "h w 3"]
    folder: str
    face: "DetectedFace"
    source: Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "photos", nargs="+", type=Path, metavar="PHOTO", help="photographs, and folders of them"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="where to write; made if missing"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="a run's checkpoints/last.ckpt, or a released system's folder (default: the system in the package)",
    )
    parser.add_argument(
        "--landmarks",
        type=Path,
        metavar="DIR",
        help="folder with one CSV a photograph, named like it: 68 rows `x,y` in pixels of the upright"
        " photograph, iBUG order, (0, 0) is the centre of the first pixel (default: they are detected)",
    )
    parser.add_argument(
        "--detector",
        choices=DETECTORS,
        default="builtin",
        help="what finds the faces: builtin needs nothing more; dlib and fan are the extras landmarks-dlib and"
        " landmarks-fan (default: builtin)",
    )
    parser.add_argument(
        "--faces",
        choices=("largest", "all"),
        default="largest",
        help="of a photograph: its largest face, or all, in DIR/NAME/face-1, face-2 ... by size (default: largest)",
    )
    parser.add_argument(
        "--min-confidence",
        type=float,
        metavar="P",
        help="a found face that is less sure is left out (default: what the detector itself takes for a face, 0.9 with"
        " builtin); one below 0.95 is marked in the gallery",
    )
    parser.add_argument(
        "--refine",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fit each photograph from the encoder's estimate, if that explains it better (default: yes)",
    )
    parser.add_argument(
        "--refine-size",
        type=int,
        choices=(112, 224),
        help="pixels of the picture that refinement compares (default: the system's own size)",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0, or 1 if a photograph couldn't be done."""
    parser = argparse.ArgumentParser(
        prog="occfit predict",
        description="Finds and fits the face of each photograph and writes DIR/NAME/: visible.png (255 = visible"
        " face), face_region.png (255 = where the face model projects), overlay.jpg, reconstruction.png,"
        " mesh.obj and fit.json; and DIR/index.html, a gallery of them all. Pictures are in the pixels of the"
        " upright photograph. A photograph that can't be done is reported, and the others are done.",
        epilog="Results and landmarks go by the photographs' names: two of one name are both refused. In a folder's"
        " name, underscores stand for dots in front and for dots and spaces at the end.",
    )
    add_arguments(parser)
    return run(parser.parse_args(list(arguments)))


def run(args: argparse.Namespace) -> int:
    """Fits every photograph that can be, and returns 1 if one couldn't.

    Raises:
        OccfitError: nothing can be done at all: no photograph, no folder of landmarks, a bad checkpoint, a detector
            that isn't installed, an output folder that can't be written.
    """
    photos, failures = find_photos(args.photos)
    if not photos:
        if len(failures) == 1:
            raise failures[0].error
        raise OccfitError(
            "There is no photograph to fit",
            ", ".join(str(path) for path in args.photos),
            f"Name files or folders with {', '.join(PHOTO_SUFFIXES)}.",
        )
    if args.landmarks is not None and not args.landmarks.is_dir():
        raise OccfitError(
            "There is no such folder of landmarks", args.landmarks, "Name one with --landmarks."
        )
    fitter = make_fitter(args)
    make_folder(args.out)
    console = Console(stderr=True)
    entries: list[Entry] = []
    with progress_bar(console) as progress:
        watched = progress.track(photos, description="fitting")
        for jobs in batches(watched, args, fitter, failures, progress.console):
            for job, fit in fitted(jobs, fitter, failures, progress.console):
                try:
                    record = write_prediction(
                        fit, args.out / job.folder, job.photo, fitter.checkpoint, job.source
                    )
                except OccfitError as failure:
                    skip(job.photo, failure, failures, progress.console)
                else:
                    entries.append(Entry.of(job.folder, shown(job.photo.name), record))
    write_gallery(args.out, entries, [(shown(failure.photo), shown(failure.error)) for failure in failures])
    report(console, args.out, entries, failures)
    return 1 if failures else 0


def make_fitter(args: argparse.Namespace) -> "FaceFitter":
    """The system that the arguments ask for."""
    from occfit.data.detection.detectors import make_detector
    from occfit.fitting.face_fitter import SMALL, load
    from occfit.fitting.refine import Refinement

    fitter = load(SMALL if args.checkpoint is None else args.checkpoint, device=args.device)
    fitter.refinement = Refinement(size=args.refine_size) if args.refine else None
    if args.landmarks is None:
        fitter.detector = make_detector(args.detector, args.min_confidence)
    return fitter


def batches(
    photos: Iterable[Path],
    args: argparse.Namespace,
    fitter: "FaceFitter",
    failures: list[Failure],
    console: Console,
) -> Iterator[list[Job]]:
    """The faces to fit, some at a time; a photograph without one is a failure."""
    waiting: list[Job] = []
    for photo in photos:
        try:
            waiting += faces_of(photo, args, fitter)
        except OccfitError as failure:
            skip(photo, failure, failures, console)
        if len(waiting) >= BATCH:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def faces_of(photo: Path, args: argparse.Namespace, fitter: "FaceFitter") -> list[Job]:
    """The faces of one photograph that shall be fitted.

    Raises:
        OccfitError: it can't be read, has no landmarks, or no sure face is found.
    """
    from occfit.data.detection import DetectedFace
    from occfit.data.images import read_image, read_landmarks

    picture = read_image(photo)
    if args.landmarks is not None:
        path = args.landmarks / f"{photo.stem}.csv"
        given = DetectedFace(read_landmarks(path), 1.0)
        return [Job(photo, picture, results_name(photo), given, Source(shown(path), None, 1))]
    found = fitter.detect(picture)
    sure = [face for face in found if face.confidence >= (args.min_confidence or 0)]
    if not sure:
        best = max(face.confidence for face in found)
        remedy = f"The best has {best:.2f}: lower --min-confidence, or give its landmarks"
        raise OccfitError("No face in the photograph is sure enough", photo, remedy)
    if args.faces == "largest":
        source = Source(args.detector, sure[0].confidence, len(sure))
        return [Job(photo, picture, results_name(photo), sure[0], source)]
    return [
        Job(
            photo,
            picture,
            f"{results_name(photo)}/face-{number}",
            face,
            Source(args.detector, face.confidence, len(sure)),
        )
        for number, face in enumerate(sure, 1)
    ]


def fitted(
    jobs: Sequence[Job], fitter: "FaceFitter", failures: list[Failure], console: Console
) -> Iterator[tuple[Job, "Fit"]]:
    """The fits of some faces, as one batch; if one of them can't be done, one by one."""
    try:
        fits = fitter.batch([job.picture for job in jobs], [job.face.landmarks for job in jobs])
    except OccfitError as failure:
        if len(jobs) == 1:
            skip(jobs[0].photo, failure, failures, console)
            return
        for job in jobs:
            yield from fitted([job], fitter, failures, console)
    else:
        yield from zip(jobs, fits, strict=True)


def skip(photo: Path, failure: OccfitError, failures: list[Failure], console: Console) -> None:
    error = OccfitError(failure.what, failure.where or photo, failure.remedy)
    failures.append(Failure(photo, error))
    console.print(f"skipped: {shown(error)}", style="red", markup=False, highlight=False, soft_wrap=True)


def progress_bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def report(console: Console, out: Path, entries: Sequence[Entry], failures: Sequence[Failure]) -> None:
    console.print(f"{len(entries)} fitted: {out / 'index.html'}", highlight=False, soft_wrap=True)
    unsure = [entry.name for entry in entries if entry.is_unsure]
    crowded = sorted({entry.name for entry in entries if entry.is_one_of_several})
    if unsure:
        console.print(f"{len(unsure)} of them unsure: {', '.join(unsure)}", highlight=False, soft_wrap=True)
    if crowded:
        text = f"{len(crowded)} with several faces, of which the largest was fitted (--faces all): "
        console.print(text + ", ".join(crowded), highlight=False, soft_wrap=True)
    if failures:
        console.print(f"{len(failures)} not fitted:", style="red", highlight=False)
        for failure in failures:
            console.print(f"  {shown(failure.error)}", highlight=False, soft_wrap=True, markup=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
