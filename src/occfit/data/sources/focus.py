"""The layout that FOCUS trains and tests on (Li et al., 2023): masks beside pictures, landmarks in tables.

NAME.jpg, NAME_visible_skin_mask.png        channel 0 of the mask: 1 = visible face
*.csv                                       no header: filename,x0,y0,...,x67,y67 in pixels
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image
from pydantic.dataclasses import dataclass as checked

from occfit.data.data_source import TRAIN, VALIDATION
from occfit.data.images import LANDMARK_COUNT, read_image
from occfit.data.sources import listing
from occfit.data.sources.mask_files import as_mask
from occfit.data.sources.photo_source import Item, LandmarkFinder, Photo, PhotoSource
from occfit.errors import OccfitError

MASK = "_visible_skin_mask.png"


@dataclass(frozen=True, kw_only=True)
class FocusItem(Item):
    """A row of a table.

    Attributes:
        values: x0, y0, ... as they stand there.
    """

    values: tuple[str, ...]


@checked(frozen=True)
class FocusSource(PhotoSource):
    """Every row of every table in the folder.

    Attributes:
        root: the folder; the tables' file names count from there.
        splits: which split a table is, by its name without `.csv`: train, validation, or a test set's name. A table
            that isn't named here is train or validation if its name holds `train` or `val`, else a test set.
    """

    name: ClassVar[str] = "focus"
    root: Path
    splits: Mapping[str, str | None] | None = None

    def items(self) -> list[Item]:
        listing.require_folder(self.root, "FOCUS's files", "Say root=FOLDER, with pictures and tables in it")
        tables = sorted(self.root.glob("*.csv"))
        if not tables:
            remedy = "Give rows `filename,x0,y0,...,x67,y67`, without a header"
            raise OccfitError("The folder holds no table of landmarks", self.root, remedy)
        if unknown := [name for name in self.splits or {} if not (self.root / f"{name}.csv").exists()]:
            raise OccfitError(f"splits= names '{unknown[0]}', which is no table here", self.root)
        items: list[Item] = []
        for table in tables:
            split = self._split(table)
            if split is not None:
                items += [self._item(number, row, split, table) for number, row in listing.read_rows(table)]
        if not items:
            raise OccfitError("The tables have no rows", self.root, "Give one row for each picture")
        listing.require_unique((item.name for item in items), self.root, "Keep one row for each picture")
        return items

    def _split(self, table: Path) -> str | None:
        if self.splits is not None and table.stem in self.splits:
            split = self.splits[table.stem]
        else:
            stem = table.stem.lower()
            split = TRAIN if "train" in stem else VALIDATION if "val" in stem else table.stem
        return split if split is None else listing.require_set_name(split, table)

    def _item(self, number: int, row: list[str], split: str, table: Path) -> FocusItem:
        picture = self.root / row[0]
        mask = picture.with_name(picture.stem + MASK)
        problem = None
        if len(row) != 1 + 2 * LANDMARK_COUNT:
            problem = f"Row {number} of {table.name} has {len(row) - 1} numbers, not {2 * LANDMARK_COUNT}"
        return FocusItem(
            name=Path(row[0]).with_suffix("").as_posix(),
            split=split,
            picture=picture,
            mask=mask if mask.is_file() else None,
            problem=problem,
            values=tuple(row[1:]),
        )

    def read(self, item: Item, find: LandmarkFinder) -> Photo:
        assert isinstance(item, FocusItem)
        try:
            points = np.array([float(value) for value in item.values], np.float32).reshape(-1, 2) + 0.5
        except ValueError as error:
            raise OccfitError(f"A landmark isn't a number ({error})", item.picture, "Mend its row") from error
        image = read_image(item.picture)
        visibility = None if item.mask is None else read_skin_mask(item.mask, image.shape[:2])
        return Photo(image=image, landmarks=points, visibility=visibility)

    def remarks(self, items, chosen) -> list[str]:
        bare = sum(item.mask is None for item in items)
        return [f"{bare} of {len(items)} pictures have no mask, so nothing is known of them"] if bare else []


def read_skin_mask(path: Path, shape: tuple[int, int]) -> UInt8[ndarray, "h w"]:
    """255 where channel 0 isn't zero.

    Raises:
        OccfitError: The file can't be read, or has another size than the picture.
    """
    try:
        with Image.open(path) as file:
            values = np.asarray(file)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise OccfitError(f"The mask can't be read ({error})", path, "Copy or save it again") from error
    if values.shape[:2] != shape:
        (height, width), (h, w) = values.shape[:2], shape
        reason = f"The mask has {width} x {height} pixels, the photograph {w} x {h}"
        raise OccfitError(reason, path, "Make it in the photograph's size")
    return as_mask((values if values.ndim == 2 else values[..., 0]) > 0)
