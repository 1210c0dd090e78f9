"""The photographs, their truth, and how well a fit finds it."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool
from numpy import ndarray
from PIL import Image

from benchmarks.photographs.painters import PAINTERS, Photo, Points, paint
from occfit.errors import OccfitError
from occfit.fitting.fit import Fit
from occfit.fitting.inputs import as_landmarks, as_photo
from occfit.metrics.reconstruction import coverage
from occfit.metrics.segmentation import confusion, f1, iou, region_scores

CONDITIONS = ("plain", *PAINTERS)
HALVES = ("choose", "report")
MISLABELLED = ("celebamask_004",)
"""A hand over its chin is labelled as face; it counts for nothing."""

Pixels = Bool[ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class Case:
    """A photograph in one condition.

    Attributes:
        name: of the photograph.
        condition: one of `CONDITIONS`.
        photo: as it is shown to a system.
        landmarks: pixels, the first one's centre at (0.5, 0.5).
        visible: where the face is visible.
        face: where it would be without what is painted.
    """

    name: str
    condition: str
    photo: Photo
    landmarks: Points
    visible: Pixels
    face: Pixels


def find_names(folder: Path, half: str) -> list[str]:
    """The photographs with true masks: every second one to `choose` by, the others to `report`; or `both`.

    Raises:
        OccfitError: the folder has none.
    """
    found = [path.stem for path in sorted((folder / "visible").glob("*.png")) if path.stem not in MISLABELLED]
    if not found:
        raise OccfitError(
            "The folder holds no photograph with a true mask",
            folder,
            "It needs img/, landmarks/ and visible/*.png",
        )
    return found if half == "both" else found[HALVES.index(half) :: 2]


def cases(folder: Path, names: list[str], seed: int = 0) -> Iterator[Case]:
    """Every photograph in every condition.

    Raises:
        OccfitError: a photograph, its landmarks or its mask can't be read, or they don't belong together.
    """
    for number, name in enumerate(names):
        photo = as_photo(next(iter(sorted((folder / "img").glob(f"{name}.*"))), folder / "img" / name))
        landmarks = as_landmarks(folder / "landmarks" / f"{name}.csv")
        face = np.asarray(Image.open(folder / "visible" / f"{name}.png").convert("L")) > 127
        if face.shape != photo.shape[:2]:
            raise OccfitError("The mask hasn't the photograph's size", folder / "visible" / f"{name}.png")
        yield Case(name, "plain", photo, landmarks, face, face)
        for kind_number, kind in enumerate(PAINTERS):
            painted = paint(kind, photo, landmarks, seed + 1000 * number + kind_number)
            yield Case(name, kind, painted.photo, landmarks, face & ~painted.hidden, face)


def score(case: Case, fit: Fit, everything: bool = False) -> dict[str, float]:
    """Of one fit: the paper's four scores, F1 and IoU of the occlusion class, both inside the rendered region, and the
    share of the face that the region covers.

    Args:
        everything: score the mask that calls the whole region visible face.
    """
    region, visible, truth, face = (
        torch.from_numpy(np.ascontiguousarray(pixels))[None, None]
        for pixels in (fit.face_region, fit.visibility > 0.5, case.visible, case.face)
    )
    visible = torch.ones_like(visible) if everything else visible
    occlusion = confusion(~visible, ~truth, region)
    scores = region_scores(visible, truth, region) | {
        "occlusion_f1": f1(occlusion),
        "occlusion_iou": iou(occlusion),
        "coverage": coverage(face.float(), region.float()),
    }
    return {key: float(value) for key, value in scores.items()}


def true_visible_fraction(case: Case, fit: Fit) -> float:
    """Share of the rendered region's pixels that truly show the face."""
    count = int(fit.face_region.sum())
    return float((fit.face_region & case.visible).sum() / count) if count else float("nan")


def contact_row(case: Case, fit: Fit, size: int = 256) -> Photo:
    """Photograph, overlay, mask, truth and error (red: missed occlusion, blue: face taken for one), side by side."""
    region, visible = fit.face_region, fit.visible_face
    error = (case.photo // 3).copy()
    error[region & visible & ~case.visible] = (255, 60, 60)
    error[region & ~visible & case.visible] = (60, 110, 255)
    masks = [
        np.repeat((mask & region)[..., None] * np.uint8(255), 3, axis=2) for mask in (visible, case.visible)
    ]
    left, top = (
        np.floor(case.landmarks.min(axis=0) - 0.35 * np.ptp(case.landmarks, axis=0)).astype(int).clip(0)
    )
    right, bottom = np.ceil(case.landmarks.max(axis=0) + 0.35 * np.ptp(case.landmarks, axis=0)).astype(int)
    pictures = [case.photo, fit.overlay(), *masks, error]
    return np.concatenate(
        [cv2.resize(p[top:bottom, left:right], (size, size), interpolation=cv2.INTER_AREA) for p in pictures],
        axis=1,
    )


def write_scores(path: Path, rows: list[dict[str, object]]) -> None:
    """One line a photograph and condition."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
