"""How well faces and landmarks are found on photographs: `python -m benchmarks.landmarks --help`.

Per group of photographs (their names up to the last underscore): how many faces are found, how many answers are none,
and how far the 68 points are from given ones, in distances between the outer corners of the eyes.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from occfit.cli import exit_code_of
from occfit.data.detection import DetectedFace, LandmarkDetector
from occfit.data.detection.builtin import BuiltinDetector
from occfit.data.detection.detectors import DETECTORS, make_detector
from occfit.data.images import read_image, read_landmarks
from occfit.errors import OccfitError
from occfit.metrics.reconstruction import landmark_nme
from occfit.networks.landmark_network import read_landmark_network

INNER = slice(17, 68)


@dataclass(frozen=True)
class Finding:
    """What a detector says of one photograph.

    Attributes:
        group: of the photograph.
        is_found: whether its largest face is the given one.
        others: other faces.
        confidence: of the found face.
        nme: of its 68 points; NaN if it isn't found.
        inner_nme: of the 51 points inside the outline.
        seconds: it took.
    """

    group: str
    is_found: bool
    others: int
    confidence: float
    nme: float
    inner_nme: float
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.landmarks",
        description="Finds the largest face of each photograph and compares its landmarks with given ones. Writes"
        " landmarks.jpg, which shows the photographs: mind their terms.",
    )
    parser.add_argument("photos", type=Path, help="folder with img/ and landmarks/*.csv")
    parser.add_argument("--detector", choices=sorted(DETECTORS), default="builtin", help="default: builtin")
    parser.add_argument("--network", type=Path, help="weights that `occfit landmarks` wrote")
    parser.add_argument("--out", type=Path, default=Path("runs/landmarks"), help="default: runs/landmarks")
    args = parser.parse_args()
    return exit_code_of(lambda: run(args))


def run(args: argparse.Namespace) -> int:
    detector = (
        make_detector(args.detector)
        if args.network is None
        else BuiltinDetector(read_landmark_network(args.network))
    )
    names = sorted(path.stem for path in (args.photos / "landmarks").glob("*.csv"))
    if not names:
        raise OccfitError("The folder holds no landmarks", args.photos, "It needs img/ and landmarks/*.csv")
    findings, tiles = [], []
    for finding, tile in track(
        look_at_all(args.photos, names, detector), "finding", len(names), console=Console(stderr=True)
    ):
        findings.append(finding)
        tiles.append(tile)
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(args.out / "landmarks.jpg"), contact_sheet(tiles)[..., ::-1])
    console = Console(width=110)
    console.print(table(findings, f"{args.detector}, {len(names)} photographs"))
    missed = [name for name, finding in zip(names, findings, strict=True) if not finding.is_found]
    console.print(f"Not found: {', '.join(missed) or 'none'}", highlight=False, soft_wrap=True)
    console.print(f"Pictures: {args.out / 'landmarks.jpg'}", highlight=False, soft_wrap=True)
    return 0


def look_at_all(
    folder: Path, names: list[str], detector: LandmarkDetector
) -> Iterator[tuple[Finding, UInt8[ndarray, "s s 3"]]]:
    for name in names:
        photo = read_image(next(iter(sorted((folder / "img").glob(f"{name}.*"))), folder / "img" / name))
        true = read_landmarks(folder / "landmarks" / f"{name}.csv")
        start = time.perf_counter()
        faces = detector(photo)
        seconds = time.perf_counter() - start
        finding = judge(name.rsplit("_", 1)[0], faces, true, seconds)
        yield finding, picture(photo, true, faces[0].landmarks if faces else None)


def judge(group: str, faces: list[DetectedFace], true: Float[ndarray, "68 2"], seconds: float) -> Finding:
    """The largest face against the given one; it is found if the two overlap by half."""
    known = DetectedFace(true, 1.0)
    if not faces or np.linalg.norm(faces[0].centre - known.centre) > known.extent:
        return Finding(group, False, len(faces), np.nan, np.nan, np.nan, seconds)
    found = torch.from_numpy(faces[0].landmarks)[None]
    whole = landmark_nme(found, torch.from_numpy(true)[None]).item()
    between = np.linalg.norm(true[36] - true[45])
    inner = np.linalg.norm(faces[0].landmarks[INNER] - true[INNER], axis=1).mean() / between
    return Finding(group, True, len(faces) - 1, faces[0].confidence, whole, float(inner), seconds)


def table(findings: list[Finding], title: str) -> Table:
    result = Table(
        "photographs",
        "found",
        "other faces",
        "confidence",
        "NME, %",
        "inner NME, %",
        "worst, %",
        "s",
        title=title,
    )
    groups = list(dict.fromkeys(finding.group for finding in findings))
    for group in [*groups, "all"]:
        chosen = [finding for finding in findings if group in (finding.group, "all")]
        found = [finding for finding in chosen if finding.is_found]

        def mean(name: str, of: list[Finding] = found) -> float:
            return float(np.mean([getattr(finding, name) for finding in of])) if of else float("nan")

        worst = max((finding.inner_nme for finding in found), default=float("nan"))
        result.add_row(
            group,
            f"{len(found)} of {len(chosen)}",
            str(sum(finding.others for finding in chosen)),
            f"{mean('confidence'):.2f}",
            f"{100 * mean('nme'):.1f}",
            f"{100 * mean('inner_nme'):.1f}",
            f"{100 * worst:.0f}",
            f"{mean('seconds', chosen):.2f}",
        )
    return result


def picture(
    photo: UInt8[ndarray, "h w 3"], true: Float[ndarray, "68 2"], found: ndarray | None, size: int = 256
) -> UInt8[ndarray, "s s 3"]:
    """The photograph around the face; given points white, found ones green."""
    middle, half = true.mean(axis=0), 0.8 * np.ptp(true, axis=0).max()
    corner = middle - half
    scale = size / (2 * half)
    matrix = np.column_stack([scale * np.eye(2), -scale * corner])
    tile = cv2.warpAffine(photo, matrix, (size, size), flags=cv2.INTER_AREA)
    for points, colour in ((true, (255, 255, 255)), (found, (0, 255, 0))):
        for x, y in (points - corner) * scale if points is not None else ():
            cv2.circle(tile, (round(float(x)), round(float(y))), 2, colour, -1, cv2.LINE_AA)
    return tile


def contact_sheet(tiles: list[ndarray], columns: int = 8) -> UInt8[ndarray, "h w 3"]:
    blank = np.zeros_like(tiles[0])
    padded = [*tiles, *[blank] * (-len(tiles) % columns)]
    rows = [np.concatenate(padded[i : i + columns], axis=1) for i in range(0, len(padded), columns)]
    return np.concatenate(rows)


if __name__ == "__main__":
    sys.exit(main())
