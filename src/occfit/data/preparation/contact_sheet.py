"""A store to look at: random samples beside themselves with masks and landmarks drawn in."""

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from occfit.data.store import PreparedStore

Sheet = UInt8[ndarray, "rows columns 3"]

TILE = 144
"""A picture's side in pixels."""

VISIBLE, HIDDEN, UNKNOWN = (40, 200, 90), (225, 40, 60), (70, 110, 235)
"""Tints: visible face, no visible face, nobody knows."""

TINT = 0.4
POINT = (255, 235, 0)
GAP = 4


def contact_sheet(store: PreparedStore, count: int = 24, columns: int = 4, seed: int = 0) -> Sheet:
    """Random samples of a store, in its order, each beside its masks and landmarks."""
    chosen = np.random.default_rng(seed).permutation(len(store))[:count]
    arrays = store.arrays(np.sort(chosen))
    pairs = [
        np.concatenate(
            [enlarge(image), annotated({name: values[row] for name, values in arrays.items()})], axis=1
        )
        for row, image in enumerate(arrays["image"])
    ]
    return tile(pairs, columns)


def enlarge(picture: UInt8[ndarray, "s s *c"]) -> UInt8[ndarray, "t t *c"]:
    shrinks = picture.shape[0] > TILE
    return cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def annotated(arrays: dict[str, ndarray]) -> UInt8[ndarray, "t t 3"]:
    """One sample with its masks as tints and its landmarks as dots."""
    picture = enlarge(arrays["image"]).astype(np.float32)
    size = len(arrays["image"])
    if "visibility" in arrays:
        scale = (TILE, TILE)
        visible = cv2.resize(arrays["visibility"], scale, interpolation=cv2.INTER_LINEAR) > 127
        known = arrays.get("known", np.full((size, size), 255, np.uint8))
        is_known = cv2.resize(known, scale, interpolation=cv2.INTER_NEAREST) > 127
        tint = np.where(visible[..., None], np.array(VISIBLE, np.float32), np.array(HIDDEN, np.float32))
        tint = np.where(is_known[..., None], tint, np.array(UNKNOWN, np.float32))
        picture = picture * (1 - TINT) + tint * TINT
    drawn = np.ascontiguousarray(np.round(picture).astype(np.uint8))
    for x, y in (arrays["landmarks"] * (TILE / size) - 0.5) * 16:
        cv2.circle(drawn, (round(float(x)), round(float(y))), 20, POINT, cv2.FILLED, cv2.LINE_AA, 4)
    return drawn


def tile(pictures: list[UInt8[ndarray, "h w 3"]], columns: int) -> Sheet:
    """Pictures in rows of `columns` on white."""
    height, width = pictures[0].shape[:2]
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = (number // columns) * (height + GAP), (number % columns) * (width + GAP)
        sheet[top : top + height, left : left + width] = picture
    return sheet
