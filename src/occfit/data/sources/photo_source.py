"""What every source of raw photographs gives: a list of its samples, and how one of them is read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from jaxtyping import Float, UInt8
from numpy import ndarray

from occfit.data.data_source import SetDescription
from occfit.data.similarity import Matrix

LandmarkFinder = Callable[[UInt8[ndarray, "h w 3"]], Float[ndarray, "68 2"]]
"""Finds the landmarks of the largest sure face; raises OccfitError where there is none."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A sample that a source lists. Listing looks at names and tables, never into pictures.

    Attributes:
        name: its name in the source, which nothing else there has.
        split: `train`, `validation`, or the test set that it belongs to.
        picture: the file that shows it.
        landmarks: the file of its 68 points; without one they are found.
        mask: the file or folder that its truth is in.
        kind: what hides the face, a place in the source's `kinds`.
        person: who it is; samples of one person carry the same text.
        tags: what else is known of it, in the user's own columns.
        problem: the reason why it can't be used, if that is known already.
    """

    name: str
    split: str
    picture: Path
    landmarks: Path | None = None
    mask: Path | None = None
    kind: int = 0
    person: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Photo:
    """A sample that has been read. Masks are 0..255 in the photograph's pixels.

    Attributes:
        image: the photograph, upright, RGB.
        landmarks: 68 iBUG points in continuous pixels of the photograph.
        visibility: 255 where the face is visible; None where nobody knows anything.
        known: 255 where somebody knows whether the pixel shows the face; None is everywhere.
        occluders: 255 where something lies that hides faces, such as hair or glasses, be it before the face or not.
        face_region: 255 where the face is, hidden or not.
        kind: what hides the face, a place in the source's `kinds`.
        held_out: whether that is kept for tests.
        aligned_to_photo: set where `image` is aligned already; it leads to the photograph that it was made from.
    """

    image: UInt8[ndarray, "h w 3"]
    landmarks: Float[ndarray, "68 2"]
    visibility: UInt8[ndarray, "h w"] | None = None
    known: UInt8[ndarray, "h w"] | None = None
    occluders: UInt8[ndarray, "h w"] | None = None
    face_region: UInt8[ndarray, "h w"] | None = None
    kind: int = 0
    held_out: bool = False
    aligned_to_photo: Matrix | None = None


@dataclass(frozen=True)
class Found:
    """A sample that could be used.

    Attributes:
        position: its place in the listing.
        item: what the listing says of it.
        hidden: the share of the landmarks' hull that occluders cover; NaN where the source doesn't tell.
    """

    position: int
    item: Item
    hidden: float


class PhotoSource(ABC):
    """A data set's raw photographs.

    It travels to other processes, so it holds settings alone: a frozen dataclass.

    Attributes:
        name: the data set's.
        kinds: what may hide a face; the first is nothing.
        holds_out: whether something is kept for tests.
        notes: what a reader of the prepared data must know.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]] = ("none",)
    holds_out: ClassVar[bool] = False
    notes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def items(self) -> list[Item]:
        """Every sample, always in the same order.

        Raises:
            OccfitError: The layout isn't this source's, or names aren't unique.
        """

    @abstractmethod
    def read(self, item: Item, find: LandmarkFinder) -> Photo:
        """Reads one sample.

        Raises:
            OccfitError: It can't be used; the reason goes to the list of what was left out.
        """

    def split(self, found: Sequence[Found]) -> dict[str, list[int]]:
        """The places in the listing that each split or test set is made of, in order."""
        chosen: dict[str, list[int]] = {}
        for one in found:
            chosen.setdefault(one.item.split, []).append(one.position)
        return chosen

    def test_sets(self, filled: Sequence[str]) -> dict[str, SetDescription]:
        """The test sets that have samples, and unions of them, in the order of tables."""
        return {name: SetDescription(name.replace("_", " "), is_headline=True) for name in filled}

    def judged_on(self, filled: Sequence[str]) -> str | None:
        """The test set that alone says which run is better, if there is one."""
        return filled[0] if len(filled) == 1 else None

    def remarks(self, items: Sequence[Item], chosen: Mapping[str, Sequence[int]]) -> list[str]:
        """What the user should be told at the end, such as how many samples a set lacks."""
        return []

    def fingerprints(self) -> dict[str, str]:
        """Digests of what the listing's names and sizes don't show."""
        return {}

    def default_size(self) -> int | None:
        """The side in pixels that the pictures have already, if they have one."""
        return None
