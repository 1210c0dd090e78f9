"""Pictures of a fit: pure functions of 8-bit RGB arrays and masks of one size."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from occfit.networks.segmenter import VISIBLE_THRESHOLD
from occfit.types import FaceBatch

OCCLUDED = (214, 39, 120)
REGION_EDGE = (255, 255, 255)
ERROR_SATURATION = 96.0
UNKNOWN = np.uint8(128)

Picture = UInt8[np.ndarray, "h w 3"]
Region = Bool[np.ndarray, "h w"]


def to_picture(image: Float[Tensor, "3 h w"]) -> Picture:
    """An image in [0, 1] as 8-bit RGB; values outside are clamped."""
    return image.detach().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()


def mask_picture(mask: Region) -> Picture:
    """White where True, black elsewhere."""
    return np.repeat(np.where(mask, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


def truth_picture(batch: FaceBatch) -> Picture:
    """A batch's first true mask: white where the face is visible, black where it isn't, grey where nobody knows."""
    known = batch.known_pixels()
    visible = known if batch.visibility is None else batch.visibility
    picture = mask_picture(visible[0, 0].numpy() > VISIBLE_THRESHOLD)
    return np.where(known[0, 0].numpy()[..., None] > 0, picture, UNKNOWN)


def paste(photo: Picture, reconstruction: Picture, where: Region) -> Picture:
    """The reconstruction on top of the photograph, where the mask is True."""
    return np.where(where[..., None], reconstruction, photo)


def tint(photo: Picture, where: Region, colour: tuple[int, int, int], opacity: float = 0.5) -> Picture:
    """The photograph with a veil of one colour where the mask is True."""
    veiled = photo.copy()
    veiled[where] = np.round(photo[where] * (1 - opacity) + np.array(colour) * opacity)
    return veiled


def edge(mask: Region, width: int = 1) -> Region:
    """The mask's inner boundary, `width` pixels wide. The picture's border counts as outside."""
    padded = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)
    return mask & ~inner[1:-1, 1:-1].astype(bool)


def overlay(photo: Picture, reconstruction: Picture, face_region: Region, visible_face: Region) -> Picture:
    """The reconstruction pasted over the visible face; what hides the face keeps its place under a pink veil.

    The edge of the rendered region is drawn in white, one pixel wide for every 400 of the photograph's width.
    """
    pasted = paste(photo, reconstruction, visible_face)
    veiled = tint(pasted, face_region & ~visible_face, OCCLUDED, opacity=0.35)
    outline = edge(face_region, width=max(1, photo.shape[1] // 400))
    return tint(veiled, outline, REGION_EDGE, opacity=0.8)


def error_map(photo: Picture, reconstruction: Picture, where: Region) -> Picture:
    """The RGB difference's root mean square, black to yellow (96 of 255); dark grey outside the mask."""
    difference = np.linalg.norm(photo.astype(np.float32) - reconstruction, axis=2) / np.sqrt(3)
    scaled = np.clip(difference / ERROR_SATURATION * 255, 0, 255).astype(np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(scaled, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return np.where(where[..., None], coloured, np.uint8(40)).astype(np.uint8)


def strip(pictures: list[Picture], gap: int = 2) -> UInt8[np.ndarray, "h row 3"]:
    """Pictures of one size side by side, a light grey line between them."""
    height = pictures[0].shape[0]
    spacer = np.full((height, gap, 3), 200, np.uint8)
    parts = [part for picture in pictures for part in (picture, spacer)]
    return np.concatenate(parts[:-1], axis=1)
