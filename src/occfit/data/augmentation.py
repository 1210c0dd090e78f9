"""Training samples, changed a little: mirrored, moved, in other light, through another camera."""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from occfit.data.patches import Arrays, Images, Patch
from occfit.data.similarity import warp
from occfit.data.store_format import MASKS
from occfit.errors import OccfitError
from occfit.face_model.ibug_landmarks import FLIP

_FLIP = FLIP.numpy()
_INVALIDATED = ("params", "aligned_to_photo")


@dataclass(frozen=True)
class Augmentation:
    """Changes samples. The moves' defaults are the published method's, which leaves the pixels' values alone.

    Mirror image, shift, scale and rotation are one matrix, so pictures are resampled once, by any fraction of a
    pixel (albumentations' own shifts are whole pixels, at 64 px a third of the largest one), and masks and landmarks
    move with them exactly. All 68 landmarks stay, also those that leave the picture. Before that, albumentations
    changes the pixels' values; so what comes from outside the picture is black, as it is in an aligned photograph,
    and it is never visible.

    The true parameters and the way back to the photograph don't hold for a changed sample, so it has none.

    Attributes:
        shift: the largest shift along each axis, in picture widths (10 px at 224 px).
        scale: the largest change of scale, as a factor's distance from 1.
        rotation: the largest turn in degrees.
        flip: the probability of the mirror image, whose landmarks are renamed.
        photometric: how often and how much pixel values change, from 0, never, to 1, as designed.
        patch: what hides a part of the picture after all other changes; see `patches`.

    Raises:
        OccfitError: A value is out of its range.
    """

    shift: float = 10 / 224
    scale: float = 0.1
    rotation: float = 10.0
    flip: float = 0.5
    photometric: float = 1.0
    patch: Patch | None = None

    def __post_init__(self) -> None:
        limits = {"shift": 1.0, "scale": 0.9, "rotation": 180.0, "flip": 1.0, "photometric": 1.0}
        for name, limit in limits.items():
            if not 0 <= getattr(self, name) <= limit:
                reason = f"{name} is {getattr(self, name)}"
                raise OccfitError(reason, "augmentation", f"Choose a value from 0 to {limit:g}")

    def __call__(
        self, arrays: Arrays, rngs: Sequence[np.random.Generator], others: Images | None = None
    ) -> Arrays:
        """Stored arrays of some samples, each changed by its own random numbers; `others` is what to paste from."""
        changed = {name: value for name, value in arrays.items() if name not in _INVALIDATED}
        size = arrays["image"].shape[1:3]
        matrices, is_mirrored = self.moves(np.stack([rng.random(5) for rng in rngs]), size)
        changed["landmarks"] = move_points(arrays["landmarks"], matrices, is_mirrored)
        masks = [name for name in MASKS if name in arrays]
        if masks:
            stacks = np.stack([arrays[name] for name in masks], axis=-1)
            moved = [warp(s, m, size, cv2.INTER_NEAREST) for s, m in zip(stacks, matrices, strict=True)]
            stacks = np.stack(moved).reshape(stacks.shape)
            changed |= {name: np.ascontiguousarray(stacks[..., i]) for i, name in enumerate(masks)}
        images = [self._repaint(image, rng) for image, rng in zip(arrays["image"], rngs, strict=True)]
        moved = [warp(i, m, size, cv2.INTER_CUBIC) for i, m in zip(images, matrices, strict=True)]
        changed["image"] = np.stack(moved)
        if self.patch is not None:
            self.patch(changed, rngs, others)
        return changed

    def moves(
        self, draws: Float[ndarray, "n 5"], size: tuple[int, int]
    ) -> tuple[Float[ndarray, "n 2 3"], Bool[ndarray, " n"]]:
        """The samples' matrices, and which of them mirror.

        Args:
            draws: uniform numbers in [0, 1): shift across, shift down, scale, rotation, mirror image.
            size: the pictures' height and width.
        """
        height, width = size
        spread = 2 * draws[:, :4] - 1
        shift = spread[:, :2] * self.shift * width
        factor, angle = 1 + spread[:, 2] * self.scale, np.deg2rad(spread[:, 3] * self.rotation)
        is_mirrored = draws[:, 4] < self.flip
        sine, cosine = factor * np.sin(angle), factor * np.cos(angle)
        side = np.where(is_mirrored, -1.0, 1.0)
        linear = np.stack([side * cosine, -sine, side * sine, cosine], axis=1).reshape(-1, 2, 2)
        centre = np.array([width / 2, height / 2])
        return np.concatenate([linear, (shift + centre - linear @ centre)[..., None]], axis=2), is_mirrored

    def _repaint(self, image: UInt8[ndarray, "h w 3"], rng: np.random.Generator) -> UInt8[ndarray, "h w 3"]:
        if self.photometric == 0:
            return image
        transforms = photometric_transforms(self.photometric, image.shape[1])
        transforms.set_random_state(rng, random.Random(int(rng.integers(2**32))))
        return transforms(image=image)["image"]


def move_points(
    landmarks: Float[ndarray, "n 68 2"], matrices: Float[ndarray, "n 2 3"], is_mirrored: Bool[ndarray, " n"]
) -> Float[ndarray, "n 68 2"]:
    """The landmarks moved; in a mirrored sample each gets the name of the one whose place it has taken."""
    moved = landmarks @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2]
    renamed = np.where(is_mirrored[:, None, None], moved[:, _FLIP], moved)
    return renamed.astype(landmarks.dtype)


@lru_cache(maxsize=4)
def photometric_transforms(strength: float, width: int) -> Any:
    """albumentations' transforms, in order: exposure, gamma, hue; now and then blur, noise, JPEG.

    The first three leave black black, as around an aligned photograph: its "contrast" is a factor from 0.

    They are imported here, since that takes seconds and looks for an update on the network unless told not to.

    Args:
        strength: the changes' strength, above 0 and up to 1.
        width: the pictures' width in pixels, on which blur depends.
    """
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations

    often, seldom, gamma = 0.5 * strength, 0.15 * strength, 20 * strength
    return albumentations.Compose(
        [
            albumentations.RandomBrightnessContrast(0, 0.25 * strength, p=often),
            albumentations.RandomGamma((100 - gamma, 100 + gamma), p=often),
            albumentations.HueSaturationValue(4 * strength, 15 * strength, 0, p=often),
            albumentations.GaussianBlur(sigma_limit=(0.2, 0.2 + width / 150), p=seldom),
            albumentations.GaussNoise(std_range=(0.005, 0.03), p=seldom),
            albumentations.ImageCompression(quality_range=(50, 95), p=seldom),
        ]
    )
