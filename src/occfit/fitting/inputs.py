"""Photographs and landmarks in every form that a caller may have them in."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from occfit.data.images import read_image, read_landmarks
from occfit.errors import OccfitError
from occfit.fitting.pictures import Picture

ImageLike = str | Path | np.ndarray | Tensor
LandmarksLike = str | Path | np.ndarray | Tensor


def as_photo(image: ImageLike) -> Picture:
    """A file, an array `h w 3` or a tensor `3 h w` (8-bit, or float in [0, 1]; RGB) as 8-bit `h w 3`.

    Raises:
        OccfitError: the file can't be read, or the array is none of these.
    """
    if isinstance(image, str | Path):
        return read_image(Path(image))
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        if image.ndim != 3 or image.shape[0] != 3:
            raise _wrong(f"is a tensor of shape {tuple(image.shape)}", "A tensor is 3 h w, an array h w 3.")
        image = _as_array(image.permute(1, 2, 0))
    if not isinstance(image, np.ndarray):
        raise _wrong(f"is a {type(image).__name__}", "Give a file's path, an array h w 3 or a tensor 3 h w.")
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise _wrong(f"is an array of shape {image.shape}", "An array is h w 3, a tensor 3 h w.")
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if not np.issubdtype(image.dtype, np.floating):
        raise _wrong(f"holds {image.dtype}", "Give 8-bit values, or floats in [0, 1].")
    if not (image.min() >= 0 and image.max() <= 1):
        raise _wrong("holds floats outside [0, 1], or NaN", "Divide 8-bit values by 255.")
    return np.round(image * 255).astype(np.uint8)


def as_landmarks(landmarks: LandmarksLike) -> Float[np.ndarray, "68 2"]:
    """A CSV file (a detector's pixel indices), or an array or tensor `68 2` (continuous pixels), as the latter.

    Raises:
        OccfitError: the file can't be read, or the array has another shape or holds NaN.
    """
    if isinstance(landmarks, str | Path):
        return read_landmarks(Path(landmarks))
    if isinstance(landmarks, Tensor):
        landmarks = _as_array(landmarks.detach().cpu())
    if not isinstance(landmarks, np.ndarray):
        reason = f"The landmarks are a {type(landmarks).__name__}"
        raise OccfitError(reason, remedy="Give a CSV file's path, or an array or tensor 68 2.")
    if not (np.issubdtype(landmarks.dtype, np.floating) or np.issubdtype(landmarks.dtype, np.integer)):
        raise OccfitError(f"The landmarks hold {landmarks.dtype}", remedy="Give numbers.")
    if landmarks.shape != (68, 2):
        reason = f"The landmarks have the shape {landmarks.shape}"
        raise OccfitError(reason, remedy="Give 68 points x, y in iBUG order.")
    if not np.isfinite(landmarks).all():
        raise OccfitError(
            "The landmarks hold NaN or infinity", remedy="Leave photographs without a face out."
        )
    return landmarks.astype(np.float32)


def _as_array(tensor: Tensor) -> np.ndarray:
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def as_image(picture: Picture) -> Float[Tensor, "3 h w"]:
    """An 8-bit picture as an image in [0, 1]."""
    return torch.from_numpy(picture).permute(2, 0, 1).float().div(255)


def _wrong(what: str, remedy: str) -> OccfitError:
    return OccfitError(f"The image {what}", remedy=remedy)
