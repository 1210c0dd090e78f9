"""Fits photographs with a trained system: `occfit.load` and what it gives."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from occfit.data.alignment import Alignment, standard_template
from occfit.data.detection import DetectedFace, LandmarkDetector
from occfit.data.detection.builtin import builtin_detector
from occfit.data.similarity import warp
from occfit.errors import OccfitError
from occfit.fitting.aligning import Photos, align_photos, inside_photo
from occfit.fitting.face_system import FaceSystem, System, build_system
from occfit.fitting.fit import Fit
from occfit.fitting.inputs import ImageLike, LandmarksLike, as_landmarks, as_photo
from occfit.fitting.photograph_drawing import mesh_of, render_on_photo
from occfit.fitting.pictures import Picture
from occfit.fitting.refine import Refined, Refinement, refine, unrefined
from occfit.fitting.visible_regions import draw_regions
from occfit.runs.checkpoint import read_checkpoint
from occfit.runs.machine import require_device
from occfit.runs.released import SMALL, WEIGHTS, read_release
from occfit.types import FaceBatch


@dataclass(frozen=True)
class CheckpointInfo:
    """Which file a system came from, and what it says of itself.

    Attributes:
        path: the file, or the folder of a released system.
        digest: its SHA-256; of the folder's weights.
        system: the pipeline's name.
        size: side of the aligned picture in pixels.
        config: the resolved configuration of its run.
    """

    path: Path
    digest: str
    system: str
    size: int
    config: dict[str, Any]


def load(checkpoint: str | Path = SMALL, device: str = "cpu") -> "FaceFitter":
    """A system, ready to fit photographs: the one that the package ships, or that of a run's checkpoint or of a
    released system's folder.

    An untrusted file can't run code of its own. It is read as tensors and plain containers; a configuration with an
    interpolation in it is refused; and what the configuration names is called only if `ALLOWED_TARGETS` has it.

    Raises:
        OccfitError: the file is missing, torn, foreign, from a newer version or made with another face model
            than the one its configuration gives here; its configuration isn't plain data, or names what may not be
            called; or torch can't compute on the device.
    """
    require_device(device)
    path = Path(checkpoint)
    content = read_release(path) if path.is_dir() else read_checkpoint(path)
    system = build_system(content, path).to(device)
    entry = content["occfit"]
    with (path / WEIGHTS if path.is_dir() else path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FaceFitter(system, CheckpointInfo(path, digest, entry["system"], entry["size"], entry["config"]))


class FaceFitter(nn.Module):
    """Fits photographs: `fit = fitter(image)`, or `fitter(image, landmarks)`.

    Attributes:
        detector: finds the landmarks where none are given; the built-in one by default.
        refinement: how the encoder's estimate is refined; None leaves it as it is.
    """

    def __init__(
        self,
        system: System,
        checkpoint: CheckpointInfo,
        detector: LandmarkDetector | None = None,
    ):
        super().__init__()
        self.system = system
        self.checkpoint = checkpoint
        self.detector = detector
        self.refinement: Refinement | None = Refinement() if isinstance(system, FaceSystem) else None
        self.template = standard_template(system.renderer.face_model, checkpoint.size)

    def forward(self, image: ImageLike, landmarks: LandmarksLike | None = None) -> Fit:
        """The face in one photograph.

        Args:
            image: a file; or an array `h w 3` or tensor `3 h w`, RGB, 8-bit or float in [0, 1]. A file's EXIF
                orientation is applied: its pixels are those of the upright photograph.
            landmarks: 68 points in iBUG order. As an array or tensor `68 2`: pixels of the photograph, the
                centre of the first one at (0.5, 0.5). As a CSV file: a detector's pixel indices, (0, 0) is
                the centre of the first pixel. None: those of the largest face that `detector` finds.

        Raises:
            OccfitError: the image or the landmarks can't be read or used, or no face is found.
        """
        return self.batch([image], [landmarks])[0]

    def detect(self, image: ImageLike) -> list[DetectedFace]:
        """The faces of one photograph, largest first.

        Raises:
            OccfitError: the image can't be read, or it shows no face.
        """
        faces = (self.detector or builtin_detector())(as_photo(image))
        if not faces:
            remedy = "Give its 68 landmarks, or try another detector"
            where = image if isinstance(image, str | Path) else None
            raise OccfitError("No face was found in the photograph", where, remedy)
        return faces

    def batch(
        self, images: Sequence[ImageLike], landmarks: Sequence[LandmarksLike | None] | None = None
    ) -> list[Fit]:
        """The faces of many photographs, one each, through the networks and the refinement as one batch.

        Raises:
            OccfitError: as for one photograph, or there are not as many landmarks as images.
        """
        landmarks = [None] * len(images) if landmarks is None else landmarks
        if len(images) != len(landmarks):
            reason = f"There are {len(images)} images, but {len(landmarks)} sets of landmarks"
            raise OccfitError(reason, remedy="Give one set an image.")
        if not images:
            return []
        photos = [as_photo(image) for image in images]
        points = [
            self.detect(photo)[0].landmarks if given is None else as_landmarks(given)
            for photo, given in zip(photos, landmarks, strict=True)
        ]
        batch, alignments = self._align(photos, points, self.checkpoint.size)
        refined = self._explain(batch, photos, points)
        return [
            self._fit(photo, batch.image[i : i + 1], refined[i : i + 1], alignment)
            for i, (photo, alignment) in enumerate(zip(photos, alignments, strict=True))
        ]

    def _align(
        self, photos: Photos, points: Sequence[np.ndarray], size: int
    ) -> tuple[FaceBatch, list[Alignment]]:
        template = self.template * (size / self.checkpoint.size)
        batch, alignments = align_photos(photos, points, template, size)
        return batch.to(self.device), alignments

    def _explain(self, batch: FaceBatch, photos: Photos, points: Sequence[np.ndarray]) -> Refined:
        first = self.system(batch)
        if self.refinement is None or not isinstance(self.system, FaceSystem):
            return unrefined(first)
        size = self.refinement.size
        fine = batch if size in (None, self.checkpoint.size) else self._align(photos, points, size)[0]
        return refine(self.system, batch, first, self.refinement, fine)

    @property
    def device(self) -> torch.device:
        return self.system.renderer.face_model.mean_shape.device

    def _fit(
        self, photo: Picture, image: Float[Tensor, "1 3 s s"], refined: Refined, alignment: Alignment
    ) -> Fit:
        explained, renderer = refined.explanation, self.system.renderer
        inside = inside_photo(alignment.matrix, image.shape[-1], photo.shape[:2]).to(image.device)
        visibility = explained.visibility * inside
        reconstruction, region = render_on_photo(renderer, explained.params, alignment, photo.shape[:2])
        return Fit(
            params=explained.params,
            rendering=explained.rendering,
            image=image,
            aligned_visibility=visibility,
            alignment=alignment,
            photo=photo,
            visibility=warp(visibility[0, 0].cpu().numpy(), alignment.inverse, photo.shape[:2]),
            face_region=region,
            reconstruction=reconstruction,
            mesh=mesh_of(renderer.face_model, explained.params),
            regions=draw_regions(renderer, explained.rendering),
            is_refined=bool(refined.improved),
        )
