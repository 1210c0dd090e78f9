"""Masks from files: white is visible face, black is not, mid grey is unknown."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray
from PIL import Image, UnidentifiedImageError

from occfit.data.images import FORMATS
from occfit.errors import OccfitError

BLACK, WHITE = 64, 191
"""Levels up to the first are black, from the second on white; what is between them is unknown."""

_SAVE_AGAIN = "Save it as a grey PNG: white = visible face, black = not, mid grey = unknown"


def read_mask(path: Path, shape: tuple[int, int]) -> tuple[UInt8[ndarray, "h w"], UInt8[ndarray, "h w"]]:
    """The visible face and what is known of it, 0 or 255, in the photograph's pixels.

    A mask of two levels may also hold 0 and 1, or black and one colour.

    Args:
        shape: the photograph's height and width.

    Raises:
        OccfitError: The file can't be read, has another size, or holds several colours.
    """
    levels = read_levels(path)
    if levels.shape != shape:
        (height, width), (h, w) = levels.shape, shape
        reason = f"The mask has {width} x {height} pixels, the photograph {w} x {h}"
        raise OccfitError(reason, path, "Make it of the upright photograph, in its size")
    visible, hidden = levels >= WHITE, levels <= BLACK
    return as_mask(visible), as_mask(visible | hidden)


def read_levels(path: Path) -> UInt8[ndarray, "h w"]:
    """A grey picture's levels; 0 and 1 become 0 and 255.

    Raises:
        OccfitError: The file can't be read, or holds several colours.
    """
    try:
        with Image.open(path, formats=FORMATS) as file:
            values = _levels(file, path)
    except FileNotFoundError as error:
        raise OccfitError("There is no such mask", path, _SAVE_AGAIN) from error
    except UnidentifiedImageError as error:
        raise OccfitError("The mask isn't a picture of a known format", path, _SAVE_AGAIN) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise OccfitError(f"The mask can't be read ({error})", path, "Copy or save it again") from error
    return values * np.uint8(255) if values.max() == 1 else values


def _levels(image: Image.Image, path: Path) -> UInt8[ndarray, "h w"]:
    if image.mode.startswith("I"):
        return np.round(np.asarray(image, np.float64) / 257).clip(0, 255).astype(np.uint8)
    if image.mode in ("1", "L", "LA"):
        return np.array(image.convert("L"))
    channels = np.asarray(image.convert("RGB"))
    if (channels == channels[..., :1]).all():
        return channels[..., 0].copy()
    marked = channels.any(axis=-1)
    if (channels[marked] != channels[marked][0]).any():
        raise OccfitError("The mask holds several colours", path, _SAVE_AGAIN)
    return as_mask(np.asarray(marked))


def as_mask(where: Bool[ndarray, "h w"]) -> UInt8[ndarray, "h w"]:
    """255 where it is true."""
    return where.astype(np.uint8) * np.uint8(255)
