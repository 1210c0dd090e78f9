"""The files of one fitted photograph."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from occfit import __version__
from occfit.apps.photographs import shown
from occfit.errors import OccfitError
from occfit.fitting.face_fitter import CheckpointInfo
from occfit.fitting.fit import Fit
from occfit.fitting.pictures import Picture, mask_picture, strip
from occfit.rendering.camera import STANDARD_DISTANCE
from occfit.scoring.canonical import write_json

STRIP_SIDE = 256


@dataclass(frozen=True)
class Source:
    """Where a face's landmarks come from.

    Attributes:
        detector: its name, or the landmarks' file.
        confidence: how sure it is that there is a face; None if its landmarks were given.
        faces: how many sure ones the photograph shows.
    """

    detector: str
    confidence: float | None
    faces: int


def write_prediction(
    fit: Fit, folder: Path, photo: Path, checkpoint: CheckpointInfo, source: Source
) -> dict[str, Any]:
    """Writes one photograph's results into `folder` and returns the content of its `fit.json`.

    Raises:
        OccfitError: the folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.where(fit.visible_face, 255, 0).astype(np.uint8)).save(folder / "visible.png")
        Image.fromarray(np.where(fit.face_region, 255, 0).astype(np.uint8)).save(folder / "face_region.png")
        Image.fromarray(fit.reconstruction).save(folder / "reconstruction.png")
        overlay = fit.overlay()
        Image.fromarray(overlay).save(folder / "overlay.jpg", quality=92)
        Image.fromarray(contact_strip(fit, overlay)).save(folder / "strip.jpg", quality=88)
    except OSError as error:
        reason = f"The results can't be written: {error.strerror or error}"
        raise OccfitError(reason, folder, "Check the folder's rights and the disk's space.") from error
    fit.mesh.export(folder / "mesh.obj")
    record = fit_record(fit, photo, checkpoint, source)
    write_json(folder / "fit.json", record)
    return record


def fit_record(fit: Fit, photo: Path, checkpoint: CheckpointInfo, source: Source) -> dict[str, Any]:
    """What `fit.json` holds. Pixels are continuous: (0.5, 0.5) is the centre of the first one."""
    params = {f.name: getattr(fit.params, f.name)[0].tolist() for f in dataclasses.fields(fit.params)}
    angles, translation = params["pose"][:3], params["pose"][3:]
    return {
        "photo": shown(photo),
        "photo_size": [fit.photo.shape[1], fit.photo.shape[0]],
        "occfit": __version__,
        "checkpoint": {
            "file": checkpoint.path.name,
            "sha256": checkpoint.digest,
            "system": checkpoint.system,
        },
        "is_occluded": fit.is_occluded,
        "visible_fraction": fit.visible_fraction,
        "visible_fractions": fit.visible_fractions,
        "refined": fit.is_refined,
        "landmarks": {**dataclasses.asdict(source), "points": fit.landmarks},
        "parameters": params,
        "pose": {
            "angles_degrees": {axis: math.degrees(angle) for axis, angle in zip("xyz", angles, strict=True)},
            "translation_mm": [*translation[:2], translation[2] - STANDARD_DISTANCE],
        },
        "alignment": {
            "size": fit.image.shape[-1],
            "photo_to_aligned": fit.alignment.matrix,
            "aligned_to_photo": fit.alignment.inverse,
        },
    }


def contact_strip(fit: Fit, overlay: Picture) -> UInt8[np.ndarray, "s row 3"]:
    """Photograph, overlay, reconstruction and visible face around the aligned picture, 256 px each."""
    pictures = [fit.photo, overlay, fit.reconstruction, mask_picture(fit.visible_face)]
    box = crop_box(fit)
    return strip([crop(picture, box) for picture in pictures], gap=4)


def crop_box(fit: Fit) -> tuple[int, int, int, int]:
    """Left, upper, right, lower of the upright square around the aligned picture, in the photograph."""
    size = fit.image.shape[-1]
    corners = np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]], float)
    points = corners @ np.asarray(fit.alignment.inverse, float).T
    centre, half = points.mean(axis=0), np.abs(points - points.mean(axis=0)).max()
    left, upper = np.floor(centre - half)
    right, lower = np.ceil(centre + half)
    return int(left), int(upper), int(right), int(lower)


def crop(picture: Picture, box: tuple[int, int, int, int]) -> UInt8[np.ndarray, "s s 3"]:
    """The box's part of the picture at 256 x 256; black where the box leaves the picture."""
    part = Image.fromarray(picture).crop(box)
    return np.asarray(part.resize((STRIP_SIDE, STRIP_SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0))
