"""CelebAMask-HQ (Lee et al., 2020): 30,000 portraits whose parts are labelled by hand.

CelebA-HQ-img/{0..29999}.jpg                                        1024 px
CelebAMask-HQ-mask-anno/{0..14}/{id:05d}_{label}.png                512 px, folder = id // 2000
CelebA-HQ-to-CelebA-mapping.txt                                     id, id in CelebA, file in CelebA
"""

from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from pydantic.dataclasses import dataclass as checked

from occfit.data.data_source import TRAIN, VALIDATION, SetDescription
from occfit.data.images import read_image, read_landmarks
from occfit.data.sources import listing
from occfit.data.sources.mask_files import as_mask, read_levels, read_mask
from occfit.data.sources.photo_source import Found, Item, LandmarkFinder, Photo, PhotoSource
from occfit.errors import OccfitError

LABELS = (
    *("background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear"),
    *("mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth"),
)
"""A label's place is its number; a later one overwrites an earlier one."""

VISIBLE_FACE = ("skin", "nose", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip")
OCCLUDERS = ("eye_g", "hair", "hat", "cloth")
ALWAYS_THERE = ("skin", "nose")
"""Parts that every face has; without one, a file is missing."""

PER_FOLDER = 2000
FIRST_VALIDATION, FIRST_TEST = 162_771, 182_638
"""Indices into CelebA, from which on its official validation and test parts begin."""

PICTURES, PARTS, MAPPING = "CelebA-HQ-img", "CelebAMask-HQ-mask-anno", "CelebA-HQ-to-CelebA-mapping.txt"
OVERALL, OCCLUDED, UNOCCLUDED = "overall", "occluded", "unoccluded"
COUNTS = {UNOCCLUDED: 558, OCCLUDED: 750}
"""The paper's numbers of random test pictures."""


@checked(frozen=True)
class CelebAMaskHQSource(PhotoSource):
    """CelebAMask-HQ with CelebA's official split and the paper's three test sets.

    `overall` is the whole test part. A picture of it is a candidate for `occluded` where glasses, hair, hats and cloth
    cover at least the share `occluded_from` of its landmarks' hull, and for `unoccluded` where they cover at most
    `unoccluded_to`. Of the candidates 750 and 558 are drawn by `seed`.

    Attributes:
        root: the folder that the three names above are in.
        landmarks: a folder with ID.csv for each picture, ID being its file's name; without it they are found.
        corrected: a folder with ID.png, white = visible face, that replaces the mask where it has one.
    """

    name: ClassVar[str] = "celebamask_hq"
    notes: ClassVar[tuple[str, ...]] = (
        "Hands before the face are often labelled as skin, and then count as visible face.",
        "overall is the whole test part, and holds unoccluded and occluded.",
    )
    root: Path
    landmarks: Path | None = None
    corrected: Path | None = None
    seed: int = 0
    occluded_from: float = 0.05
    unoccluded_to: float = 0.02

    def items(self) -> list[Item]:
        remedy = f"Say root=FOLDER, which {PICTURES}, {PARTS} and {MAPPING} are in"
        for name in (PICTURES, PARTS):
            listing.require_folder(self.root / name, "CelebAMask-HQ's files", remedy)
        if self.landmarks is not None:
            listing.require_folder(self.landmarks, "landmarks", "Say landmarks=FOLDER, with ID.csv in it")
        if self.corrected is not None:
            listing.require_folder(
                self.corrected, "corrected masks", "Say source.corrected=FOLDER, with ID.png in it"
            )
        mapping = read_mapping(self.root / MAPPING)
        pictures = {path.stem: path for path in (self.root / PICTURES).glob("*.jpg") if path.stem.isdecimal()}
        if not pictures:
            raise OccfitError(
                "The folder holds no photograph", self.root / PICTURES, "Unpack 0.jpg, 1.jpg ..."
            )
        plain = (str(int(name)) for name in pictures)
        listing.require_unique(plain, self.root / PICTURES, "Keep one file of each number")
        numbers = sorted({*mapping, *(int(name) for name in pictures)})
        stems = {int(name): name for name in pictures}
        return [self._item(number, stems.get(number, str(number)), mapping.get(number)) for number in numbers]

    def _item(self, number: int, stem: str, original: int | None) -> Item:
        return Item(
            name=stem,
            split=TRAIN if original is None else official_split(original),
            picture=self.root / PICTURES / f"{stem}.jpg",
            landmarks=None if self.landmarks is None else self.landmarks / f"{stem}.csv",
            mask=self.root / PARTS / str(number // PER_FOLDER),
            problem=f"{MAPPING} has no row for it" if original is None else None,
        )

    def read(self, item: Item, find: LandmarkFinder) -> Photo:
        assert item.mask is not None
        image = read_image(item.picture)
        labels = enlarged(read_labels(item.mask, int(item.name)), image.shape[:2], item.mask)
        visibility = as_mask(np.isin(labels, [LABELS.index(name) for name in VISIBLE_FACE]))
        known = None
        if self.corrected is not None and (path := self.corrected / f"{item.name}.png").is_file():
            visibility, known = read_mask(path, image.shape[:2])
        return Photo(
            image=image,
            landmarks=find(image) if item.landmarks is None else read_landmarks(item.landmarks),
            visibility=visibility,
            known=known,
            occluders=as_mask(np.isin(labels, [LABELS.index(name) for name in OCCLUDERS])),
        )

    def split(self, found: list[Found]) -> dict[str, list[int]]:
        chosen = super().split(found)
        test = [one for one in found if one.item.split == OVERALL]
        candidates = {
            UNOCCLUDED: [one.item.name for one in test if one.hidden <= self.unoccluded_to],
            OCCLUDED: [one.item.name for one in test if one.hidden >= self.occluded_from],
        }
        for name, names in candidates.items():
            drawn = listing.draw(names, COUNTS[name], self.seed, name)
            chosen[name] = [one.position for one in test if one.item.name in drawn]
        return chosen

    def test_sets(self, filled) -> dict[str, SetDescription]:
        return {
            name: SetDescription(name, is_headline=True)
            for name in (UNOCCLUDED, OCCLUDED, OVERALL)
            if name in filled
        }

    def judged_on(self, filled) -> str | None:
        return OVERALL if OVERALL in filled else None

    def remarks(self, items, chosen) -> list[str]:
        return [
            f"{name} has {len(chosen.get(name, ()))} pictures, not the paper's {count}: there are no more candidates"
            for name, count in COUNTS.items()
            if len(chosen.get(name, ())) < count
        ]


def official_split(original: int) -> str:
    """The part of CelebA that a picture is in, by its index there."""
    return TRAIN if original < FIRST_VALIDATION else VALIDATION if original < FIRST_TEST else OVERALL


def read_mapping(path: Path) -> dict[int, int]:
    """Each picture's index in CelebA.

    Raises:
        OccfitError: There is no such file, a row isn't two numbers and a name, or a picture has two rows.
    """
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError as error:
        raise OccfitError("The mapping to CelebA is missing", path, "It comes with CelebAMask-HQ") from error
    except (OSError, UnicodeDecodeError) as error:
        raise OccfitError("The mapping to CelebA can't be read", path, "Copy it again") from error
    if rows and not rows[0][0].isdecimal():
        rows = rows[1:]
    for number, row in enumerate(rows, 2):
        if len(row) < 2 or not (row[0].isdecimal() and row[1].isdecimal()):
            raise OccfitError(f"Row {number} of the mapping is '{' '.join(row)}'", path, "Copy it again")
    listing.require_unique((row[0] for row in rows), path, "Copy it again")
    return {int(row[0]): int(row[1]) for row in rows}


def read_labels(folder: Path, number: int) -> UInt8[ndarray, "h w"]:
    """Each pixel's label: the parts laid over each other in the labels' order.

    Raises:
        OccfitError: A part that every face has is missing, a part can't be read, or two differ in size.
    """
    labels: UInt8[ndarray, "h w"] | None = None
    for place, name in enumerate(LABELS[1:], 1):
        path = folder / f"{number:05d}_{name}.png"
        if not path.is_file():
            if name in ALWAYS_THERE:
                raise OccfitError(f"The mask's part '{name}' is missing", path, "Unpack the masks again")
            continue
        part = read_levels(path)
        if labels is None:
            labels = np.zeros(part.shape, np.uint8)
        if part.shape != labels.shape:
            (height, width), (h, w) = part.shape, labels.shape
            reason = f"The mask's part '{name}' has {width} x {height} pixels, the others {w} x {h}"
            raise OccfitError(reason, path, "Unpack the masks again")
        labels[part > 0] = place
    assert labels is not None
    return labels


def enlarged(labels: UInt8[ndarray, "h w"], shape: tuple[int, int], where: Path) -> UInt8[ndarray, "h2 w2"]:
    """The labels at the picture's size, which is a whole multiple of theirs.

    Raises:
        OccfitError: It isn't.
    """
    (height, width), (h, w) = labels.shape, shape
    if h % height or w % width or h // height != w // width:
        reason = f"The mask has {width} x {height} pixels, which doesn't fit the photograph's {w} x {h}"
        raise OccfitError(reason, where, "Unpack the masks and the pictures again")
    return cv2.resize(labels, (w, h), interpolation=cv2.INTER_NEAREST)
