"""The AR face database (Martinez and Benavente, 1998): neutral faces, sunglasses and scarfs in the studio.

    M-xx-yy.raw, F-xx-yy.raw            768 x 576 pixels, 24-bit RGB without a header, xx = person, yy = what is shown

It is a test set alone, and hand-made masks aren't part of it: `masks` is a folder of M-xx-yy.png.
"""

import re
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from pydantic.dataclasses import dataclass as checked

from occfit.data.data_source import SetDescription
from occfit.data.images import read_landmarks
from occfit.data.sources import listing
from occfit.data.sources.mask_files import read_mask
from occfit.data.sources.photo_source import Item, LandmarkFinder, Photo, PhotoSource
from occfit.errors import OccfitError

WIDTH, HEIGHT = 768, 576
FILE = re.compile(r"(?P<gender>[mfw])-(?P<person>\d+)-(?P<number>\d+)", re.IGNORECASE)
SETS = ("neutral", "glasses", "scarf")
UNION = "ar_overall"
SESSION = 13
"""Pictures of a person in each of the two sessions, in the same order."""

Layout = Literal["auto", "planar", "interleaved"]


@checked(frozen=True)
class ARSource(PhotoSource):
    """AR's pictures that have a mask, by the number in their name: 1 neutral, 8 to 10 glasses, 11 to 13 scarf, and the
    same from 14 on for the second session. Smiles, screams and lights (2 to 7) are in no set.

    Attributes:
        root: the folder of the .raw files; folders in it are searched too.
        masks: a folder with NAME.png, white = visible face, in 768 x 576 pixels.
        landmarks: a folder with NAME.csv; without it they are found.
        layout: how a file holds the colours: one plane after the other, or pixel by pixel. `auto` looks at the file.
    """

    name: ClassVar[str] = "ar"
    kinds: ClassVar[tuple[str, ...]] = ("none", "sunglasses", "scarf")
    root: Path
    masks: Path | None = None
    landmarks: Path | None = None
    layout: Layout = "auto"

    def items(self) -> list[Item]:
        listing.require_folder(self.root, "AR's files", "Say root=FOLDER, which M-xx-yy.raw are in")
        if self.masks is None:
            reason = "AR is scored by hand-made masks alone, and no folder of them is named"
            raise OccfitError(
                reason, self.root, "Say masks=FOLDER, with M-xx-yy.png in it (on request from its makers)"
            )
        listing.require_folder(self.masks, "masks", "Say masks=FOLDER, with M-xx-yy.png in it")
        if self.landmarks is not None:
            listing.require_folder(
                self.landmarks, "landmarks", "Say landmarks=FOLDER, with M-xx-yy.csv in it"
            )
        paths = sorted(path for path in self.root.rglob("*") if path.suffix.lower() == ".raw")
        paths = [path for path in paths if FILE.fullmatch(path.stem)]
        if not paths:
            raise OccfitError("The folder holds no M-xx-yy.raw or F-xx-yy.raw", self.root, "Say root=FOLDER")
        listing.require_unique((path.stem.upper() for path in paths), self.root, "Keep one file of each name")
        masks = {path.stem.upper(): path for path in self.masks.glob("*.png")}
        items = [self._item(path, masks[path.stem.upper()]) for path in paths if path.stem.upper() in masks]
        found = [item for item in items if item is not None]
        if not found:
            remedy = (
                f"Name them like the pictures: {paths[0].stem}.png; numbers 2 to 7 and 15 to 20 aren't scored"
            )
            raise OccfitError("No picture of AR's three sets has a mask in this folder", self.masks, remedy)
        return found

    def _item(self, path: Path, mask: Path) -> Item | None:
        split = set_of(path.stem)
        if split is None:
            return None
        landmarks = None if self.landmarks is None else self.landmarks / f"{path.stem}.csv"
        person = path.stem.upper().rpartition("-")[0]
        return Item(
            name=path.stem,
            split=split,
            picture=path,
            landmarks=landmarks,
            mask=mask,
            kind=SETS.index(split),
            person=person,
        )

    def read(self, item: Item, find: LandmarkFinder) -> Photo:
        assert item.mask is not None
        image = read_raw(item.picture, self.layout)
        visibility, known = read_mask(item.mask, image.shape[:2])
        points = find(image) if item.landmarks is None else read_landmarks(item.landmarks)
        return Photo(image=image, landmarks=points, visibility=visibility, known=known, kind=item.kind)

    def test_sets(self, filled) -> dict[str, SetDescription]:
        parts = tuple(name for name in SETS if name in filled)
        sets = {name: SetDescription(name, is_headline=True) for name in parts}
        return sets | {UNION: SetDescription("AR overall", parts, is_headline=True)}

    def judged_on(self, filled) -> str | None:
        return UNION


def set_of(stem: str) -> str | None:
    """The test set of a file by its number; None for smiles, screams and lights."""
    match = FILE.fullmatch(stem)
    number = (int(match["number"]) - 1) % SESSION + 1 if match else 0
    if number == 1:
        return "neutral"
    return "glasses" if 8 <= number <= 10 else "scarf" if 11 <= number <= 13 else None


def read_raw(path: Path, layout: Layout = "auto") -> UInt8[ndarray, "h w 3"]:
    """A picture without a header.

    Raises:
        OccfitError: The file can't be read, or has another length.
    """
    try:
        values = np.fromfile(path, np.uint8)
    except OSError as error:
        raise OccfitError(f"The picture can't be read ({error.strerror})", path, "Copy it again") from error
    if len(values) != WIDTH * HEIGHT * 3:
        reason = (
            f"The file has {len(values)} bytes, a picture of {WIDTH} x {HEIGHT} pixels {WIDTH * HEIGHT * 3}"
        )
        raise OccfitError(reason, path, "Copy it again")
    if layout == "auto":
        layout = find_layout(values)
    if layout == "planar":
        return np.ascontiguousarray(np.moveaxis(values.reshape(3, HEIGHT, WIDTH), 0, 2))
    return values.reshape(HEIGHT, WIDTH, 3)


def find_layout(values: UInt8[ndarray, " n"]) -> Layout:
    """Pixel by pixel a byte resembles the third one from it, its neighbour's same colour, more than the next one; plane
    by plane the next one is its neighbour."""
    signed = values.astype(np.int16)
    to_next, to_third = (float(np.abs(signed[step:] - signed[:-step]).mean()) for step in (1, 3))
    return "interleaved" if to_third < to_next else "planar"
