"""One sample: read, checked, brought to the mean face with its masks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from occfit.data.alignment import align, shrink_warp
from occfit.data.preparation.landmark_check import check_landmarks
from occfit.data.preparation.measures import share_of_hull
from occfit.data.similarity import Matrix
from occfit.data.sources.mask_files import as_mask
from occfit.data.sources.photo_source import Item, LandmarkFinder, Photo, PhotoSource
from occfit.errors import OccfitError


@dataclass(frozen=True, eq=False)
class Geometry:
    """What samples are aligned to.

    Attributes:
        size: the aligned pictures' side in pixels.
        template: the mean face's landmarks in them.
        mean_face: the same points in the model's frame, mm.
    """

    size: int
    template: Float[ndarray, "68 2"]
    mean_face: Float[ndarray, "68 3"]


@dataclass(frozen=True, eq=False)
class Sample:
    """A finished sample. Masks are 0..255.

    Attributes:
        visibility: 0 where nothing is known.
        known: 255 where a pixel lies whole in what somebody knows, else 0.
        face_region: zeros where the source doesn't tell, which `has_region` says.
        hidden: the share of the landmarks' hull that occluders cover; NaN where the source doesn't tell.
    """

    image: UInt8[ndarray, "s s 3"]
    landmarks: Float[ndarray, "68 2"]
    visibility: UInt8[ndarray, "s s"]
    known: UInt8[ndarray, "s s"]
    face_region: UInt8[ndarray, "s s"]
    aligned_to_photo: Matrix
    kind: int
    held_out: bool
    has_region: bool
    hidden: float


def make_sample(source: PhotoSource, item: Item, geometry: Geometry, find: LandmarkFinder) -> Sample:
    """Reads and aligns one sample.

    Raises:
        OccfitError: It can't be used.
    """
    if item.problem is not None:
        raise OccfitError(item.problem)
    photo = source.read(item, find)
    check_landmarks(photo.landmarks, photo.image.shape[:2], geometry.mean_face)
    return align_photo(photo, geometry)


def align_photo(photo: Photo, geometry: Geometry) -> Sample:
    """The aligned picture with its masks; one that is aligned already stays as it is.

    Masks are averaged over each pixel's area like the picture. A pixel counts as known if all of it is. What is outside
    a photograph that has a mask shows no face, for sure.
    """
    image, layers = photo.image, mask_layers(photo)
    if photo.aligned_to_photo is None:
        alignment = align(photo.landmarks, geometry.template)
        image = shrink_warp(image, alignment.matrix, geometry.size)
        layers = None if layers is None else shrink_warp(layers, alignment.matrix, geometry.size)
        landmarks, back = alignment.to_aligned(photo.landmarks), alignment.inverse
    else:
        landmarks, back = photo.landmarks, photo.aligned_to_photo
    nothing = np.zeros(image.shape[:2], np.uint8)
    visibility, unknown, region, occluders = [nothing] * 4 if layers is None else np.moveaxis(layers, 2, 0)
    is_known = (unknown == 0) & (photo.visibility is not None)
    return Sample(
        image=image,
        landmarks=landmarks.astype(np.float32),
        visibility=np.where(is_known, visibility, np.uint8(0)),
        known=as_mask(is_known),
        face_region=region,
        aligned_to_photo=back,
        kind=photo.kind,
        held_out=photo.held_out,
        has_region=photo.face_region is not None,
        hidden=float("nan")
        if photo.occluders is None
        else share_of_hull(landmarks, occluders / np.float32(255)),
    )


def mask_layers(photo: Photo) -> UInt8[ndarray, "h w 4"] | None:
    """Visible, unknown, face region, occluders; None where a photograph has none of them."""
    given = (photo.visibility, photo.known, photo.face_region, photo.occluders)
    if all(mask is None for mask in given):
        return None
    nothing = np.zeros(photo.image.shape[:2], np.uint8)
    visibility, known, region, occluders = (nothing if mask is None else mask for mask in given)
    unknown = nothing if photo.known is None else 255 - known
    return np.dstack([visibility, unknown, region, occluders])
