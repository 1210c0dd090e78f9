"""A folder of the user's own photographs, with as much beside it as there is: landmarks, masks, a table of tags."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from occfit.data.data_source import TRAIN, VALIDATION, SetDescription
from occfit.data.images import read_image, read_landmarks
from occfit.data.sources import listing
from occfit.data.sources.mask_files import as_mask, read_mask
from occfit.data.sources.photo_source import Item, LandmarkFinder, Photo, PhotoSource
from occfit.errors import OccfitError, nearest

SPLIT, PERSON, TAGS = "split", "person", "tags"
"""Columns of the table that mean something here; TAGS holds words between spaces."""

TEST = "test"
Share = Annotated[float, Field(ge=0, le=1)]

INNER_OUTLINE = (*range(2, 15), *range(17, 27))
"""Landmarks around the face without its temples, where hair may be: the jaw from cheek to cheek, and the brows."""


@checked(frozen=True)
class ImagesSource(PhotoSource):
    """Photographs in a folder and the folders in it.

    Attributes:
        root: the folder.
        landmarks: a folder with NAME.csv for each photograph; without it they are found.
        masks: a folder with NAME.png, white = visible face, black = not, grey = unknown; of a photograph without one
            nothing is known.
        tags: a CSV whose first column is `name`. Its columns `split` and `person` are used, the others are kept.
        splits: what a value of the column `split` means: train, validation, a test set's name, or null to leave it out.
            Without it the values are these names themselves.
        validation: without a column `split`, the share of photographs to validate on. One person's stay together.
        test: without a column `split`, the share of the test set `test`.
        seed: the seed of these draws.
        visible_unless: words of the column `tags`. Where a photograph has none of them, everything between brows,
            cheeks and chin is known to be visible face; nothing else is known.
    """

    name: ClassVar[str] = "images"
    root: Path
    landmarks: Path | None = None
    masks: Path | None = None
    tags: Path | None = None
    splits: Mapping[str, str | None] | None = None
    validation: Share = 0.1
    test: Share = 0.0
    seed: int = 0
    visible_unless: tuple[str, ...] | None = None

    def items(self) -> list[Item]:
        beside = [folder for folder in (self.landmarks, self.masks) if folder is not None]
        pictures = listing.find_pictures(self.root, beside)
        table = None if self.tags is None else listing.read_table(self.tags)
        self._check(table)
        if self.landmarks is not None:
            listing.require_folder(self.landmarks, "landmarks", "Say landmarks=FOLDER, with NAME.csv in it")
        masks = self._masks(list(pictures))
        names = list(pictures) if table is None else sorted({*pictures, *table.rows})
        items = [self._item(name, pictures.get(name), masks.get(name), table) for name in names]
        return [item for item in items if item is not None]

    def read(self, item: Item, find: LandmarkFinder) -> Photo:
        image = read_image(item.picture)
        points = find(image) if item.landmarks is None else read_landmarks(item.landmarks)
        if item.mask is not None:
            visibility, known = read_mask(item.mask, image.shape[:2])
            return Photo(image=image, landmarks=points, visibility=visibility, known=known)
        if self.visible_unless is None or set(self.visible_unless) & set(item.tags.get(TAGS, "").split()):
            return Photo(image=image, landmarks=points)
        inside = inner_face(points, image.shape[:2])
        return Photo(image=image, landmarks=points, visibility=inside, known=inside)

    def test_sets(self, filled: Sequence[str]) -> dict[str, SetDescription]:
        """In the order of `splits`, or of the first photograph of each."""
        named = [name for name in (self.splits or {}).values() if name is not None]
        order = [name for name in dict.fromkeys(named) if name in filled]
        return super().test_sets(order or filled)

    def remarks(self, items, chosen) -> list[str]:
        bare = sum(item.mask is None for item in items)
        if self.masks is None or not bare:
            return []
        return [f"{bare} of {len(items)} photographs have no mask, so nothing is known of them"]

    def _check(self, table: listing.Table | None) -> None:
        columns = table.columns if table else ()
        if self.splits is not None and SPLIT not in columns:
            remedy = "Say tags=FILE, a CSV with this column"
            raise OccfitError(f"splits= is about the column '{SPLIT}', which isn't there", self.tags, remedy)
        if self.visible_unless is not None and TAGS not in columns:
            remedy = "Say tags=FILE, a CSV with this column"
            raise OccfitError(
                f"visible_unless= is about the column '{TAGS}', which isn't there", self.tags, remedy
            )
        if self.validation + self.test >= 1 and SPLIT not in columns:
            raise OccfitError("validation= and test= leave nothing to train on", remedy="Lower one of them")

    def _masks(self, names: list[str]) -> dict[str, Path]:
        if self.masks is None:
            return {}
        listing.require_folder(self.masks, "masks", "Say masks=FOLDER, with NAME.png in it")
        found = {name: self.masks / f"{name}.png" for name in names}
        found = {name: path for name, path in found.items() if path.is_file()}
        if not found:
            remedy = f"Name them like the photographs: {names[0]}.png"
            raise OccfitError("No photograph has a mask in this folder", self.masks, remedy)
        return found

    def _item(
        self, name: str, picture: Path | None, mask: Path | None, table: listing.Table | None
    ) -> Item | None:
        row = None if table is None else table.rows.get(name)
        problem = None
        if picture is None:
            problem = f"There is no photograph of this name [{self.root}]"
        elif table is not None and row is None:
            problem = f"The table has no row for it [{self.tags}]"
        split = self._split(name, row) if problem is None else TRAIN
        if split is None:
            return None
        return Item(
            name=name,
            split=split,
            picture=picture or self.root / name,
            landmarks=None if self.landmarks is None else self.landmarks / f"{name}.csv",
            mask=mask,
            person=None if row is None or PERSON not in row else row[PERSON] or name,
            tags=row or {},
            problem=problem,
        )

    def _split(self, name: str, row: Mapping[str, str] | None) -> str | None:
        """The sample's split; None leaves it out."""
        if row is None or SPLIT not in row:
            share = listing.share_of((row or {}).get(PERSON) or name, self.seed)
            return (
                VALIDATION
                if share < self.validation
                else TEST
                if share < self.validation + self.test
                else TRAIN
            )
        value = row[SPLIT]
        if self.splits is not None and value not in self.splits:
            reason = f"'{value}' stands in the column '{SPLIT}', but not in splits="
            raise OccfitError(
                reason, self.tags, f"Say splits={{{value}: train}} or the like; null leaves it out"
            )
        split = value if self.splits is None else self.splits[value]
        if split in (TRAIN, VALIDATION, None):
            return split
        if split.lower() in ("val", "valid", "training"):
            reason = f"'{split}' would be a test set"
            remedy = f"{nearest(split.lower(), (TRAIN, VALIDATION))} Then say splits={{{value}: ...}}"
            raise OccfitError(reason, self.tags, remedy)
        return listing.require_set_name(split, self.tags or self.root)


def inner_face(points: Float[ndarray, "68 2"], shape: tuple[int, int]) -> UInt8[ndarray, "h w"]:
    """255 between brows, cheeks and chin."""
    hull = cv2.convexHull(points[list(INNER_OUTLINE)].astype(np.float32))
    canvas = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(canvas, np.round((hull - 0.5) * 16).astype(np.int32), 1, shift=4)
    return as_mask(canvas > 0)
