"""Photographs and landmarks from files."""

import re
import struct
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageOps, UnidentifiedImageError

from occfit.errors import OccfitError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
SMALLEST_SIDE, LARGEST_SIDE = 16, 32_000
LANDMARK_COUNT = 68

_SAVE_AGAIN = f"Save it again as one of {', '.join(FORMATS)}, RGB, 8 bits a channel"
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for torn files; SyntaxError is its word for a broken PNG."""


def read_image(path: Path | str) -> UInt8[ndarray, "h w 3"]:
    """A photograph, upright, as 8-bit RGB.

    EXIF's orientation is applied. Grey becomes RGB, 16 bits become 8 (divided by 257), palettes, CMYK and YCbCr
    are converted; colour profiles are ignored. What is transparent shows black, like everything outside a
    photograph. Of several frames the first is read.

    Raises:
        OccfitError: the file is missing, empty, torn, of no known format, or its picture is too small, too large or
            of a kind that has no certain meaning as RGB.
    """
    path = Path(path)
    if not path.is_file():
        reason = "The photograph is a folder" if path.is_dir() else "There is no such photograph"
        raise OccfitError(reason, path, "Check the path")
    try:
        if path.stat().st_size == 0:
            raise OccfitError("The photograph is an empty file", path, "Copy it again")
        with Image.open(path, formats=FORMATS) as file:
            _check_size(file.size, path)
            picture = _as_rgb(ImageOps.exif_transpose(file), path)
    except UnidentifiedImageError as error:
        raise OccfitError("The file isn't a picture of a known format", path, _SAVE_AGAIN) from error
    except _UNREADABLE as error:
        raise OccfitError(f"The photograph can't be read ({error})", path, "Copy or save it again") from error
    return picture


def _check_size(size: tuple[int, int], path: Path) -> None:
    width, height = size
    if min(size) < SMALLEST_SIDE:
        reason = f"The photograph has only {width} x {height} pixels"
        raise OccfitError(reason, path, f"Both sides need at least {SMALLEST_SIDE}")
    if max(size) > LARGEST_SIDE:
        reason = f"The photograph has {width} x {height} pixels"
        raise OccfitError(reason, path, f"Crop or shrink it to at most {LARGEST_SIDE}")


def _as_rgb(image: Image.Image, path: Path) -> UInt8[ndarray, "h w 3"]:
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep_grey(np.asarray(image), path)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer)
    return np.array(image.convert("RGB"))


def _from_deep_grey(values: ndarray, path: Path) -> UInt8[ndarray, "h w 3"]:
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise OccfitError("The photograph has 32 bits a channel", path, _SAVE_AGAIN)
    grey = np.round(values.astype(np.float32) / 257).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def read_landmarks(path: Path | str) -> Float[ndarray, "68 2"]:
    """68 iBUG points in continuous pixels, from a file of 68 rows `x,y` in a detector's pixel indices.

    In the file (0, 0) is the centre of the first pixel; half a pixel is added. A first row without any number is taken
    for a header. Spaces, tabs and semicolons separate as well as commas.

    Raises:
        OccfitError: the file is missing or isn't text, has another number of rows, or a row isn't two finite numbers.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        remedy = f"Name the file like the photograph, with {LANDMARK_COUNT} rows `x,y`"
        raise OccfitError("There are no landmarks", path, remedy) from error
    except (OSError, UnicodeDecodeError) as error:
        raise OccfitError("The landmarks can't be read", path, "Give a text file with rows `x,y`") from error
    rows = [(number, row.strip()) for number, row in enumerate(text.splitlines(), 1) if row.strip()]
    if rows and not re.search(r"\d|nan|inf|\bna\b", rows[0][1], re.IGNORECASE):
        rows = rows[1:]
    if len(rows) != LANDMARK_COUNT:
        reason = f"The landmarks have {len(rows)} rows, not {LANDMARK_COUNT}"
        raise OccfitError(reason, path, "Give the iBUG points 0 to 67, one a row")
    return np.array([_read_row(row, f"{path}, row {number}") for number, row in rows], np.float32) + 0.5


def _read_row(row: str, where: str) -> tuple[float, float]:
    try:
        x, y = (float(value) for value in re.split(r"\s*[,;\s]\s*", row))
    except ValueError as error:
        raise OccfitError(f"A landmark is '{row}'", where, "Write two numbers, `x,y`") from error
    if not np.isfinite([x, y]).all():
        raise OccfitError(f"A landmark is '{row}'", where, "Leave photographs without a found face out")
    return x, y
