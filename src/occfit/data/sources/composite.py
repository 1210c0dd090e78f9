"""Occluders of the synthetic world, painted onto prepared photographs: exact masks of what is painted.

A pixel is hidden where something is painted. Elsewhere it is what the source's truth says, or unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from pydantic import Field, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass as checked

from occfit.data.data_source import TRAIN, VALIDATION, SetDescription
from occfit.data.prepared_sets import SETS, read_collection
from occfit.data.sources.mask_files import as_mask
from occfit.data.sources.photo_source import Item, LandmarkFinder, Photo, PhotoSource
from occfit.data.store import PreparedStore
from occfit.data.synthetic.drawing import Picture, Plane, over
from occfit.data.synthetic.occluders import KINDS, paint_occluder
from occfit.data.synthetic.photo_scene import scene_of
from occfit.data.synthetic.priors import Setting
from occfit.data.synthetic.scene import Layer, Scene, cast_shadow
from occfit.data.synthetic.splits import Recipe, plan_sample, recipes
from occfit.data.synthetic.streams import Purpose, stream
from occfit.errors import OccfitError

SUPERSAMPLING = 2
LARGEST_CANVAS = 512
GRAIN = (0.003, 0.012)
"""Noise on what is painted, so that its smoothness doesn't give it away."""

SUFFIX = "/copy-"


@dataclass(frozen=True, kw_only=True)
class CompositeItem(Item):
    """A copy of a stored sample; `picture` is the store's folder.

    Attributes:
        row: the sample's place in its store.
        copy: the copy's number.
    """

    row: int
    copy: int


@checked(frozen=True)
class CompositeSource(PhotoSource):
    """Every sample of a collection, or of one store, some of them with an occluder.

    Attributes:
        store: what `occfit prepare` has written, or one store in it.
        copies: how often each sample is painted, each time differently.
        occluded: the share of pictures that something is painted onto.
        seed: the seed of everything painted.
    """

    name: ClassVar[str] = "composite"
    kinds: ClassVar[tuple[str, ...]] = KINDS
    holds_out: ClassVar[bool] = True
    notes: ClassVar[tuple[str, ...]] = ("kind is what was painted; what hid the face before isn't counted.",)
    store: Path
    copies: PositiveInt = 1
    occluded: Annotated[float, Field(ge=0, le=1)] = 0.5
    seed: NonNegativeInt = 0

    def items(self) -> list[Item]:
        items: list[Item] = []
        for split, store in self.stores().items():
            persons, tags = store.column("identity"), store.metadata.get("tags")
            for row in range(len(store)):
                name = store.provenance(row) or f"{split}/{row:06d}"
                for copy in range(self.copies):
                    items.append(
                        CompositeItem(
                            name=f"{name}{SUFFIX}{copy}" if self.copies > 1 else name,
                            split=split,
                            picture=store.folder,
                            person=None if persons is None else str(persons[row]),
                            tags=tags[row] if tags else {},
                            row=row,
                            copy=copy,
                        )
                    )
        return items

    def stores(self) -> dict[str, PreparedStore]:
        """The stores that are painted on, by split.

        Raises:
            OccfitError: There are none, one can't be read, or their pictures differ in size.
        """
        if (self.store / SETS).exists():
            stores = read_collection(self.store).stores
        else:
            stores = {self.store.resolve().name: PreparedStore(self.store)}
        sizes = {store.size for store in stores.values()}
        if len(sizes) > 1:
            found = ", ".join(f"{name} {store.size[1]}" for name, store in stores.items())
            raise OccfitError(
                f"The stores' pictures differ in size ({found})", self.store, "Prepare them again"
            )
        return stores

    def default_size(self) -> int | None:
        return next(iter(self.stores().values())).size[0]

    def fingerprints(self) -> dict[str, str]:
        return {split: store.digest for split, store in self.stores().items()}

    def read(self, item: Item, find: LandmarkFinder) -> Photo:
        assert isinstance(item, CompositeItem)
        store = open_store(item.picture)
        arrays = {name: values[0] for name, values in store.arrays([item.row]).items()}
        image = arrays["image"]
        nothing = np.zeros(image.shape[:2], np.uint8)
        visibility = arrays.get("visibility", nothing)
        known = arrays.get("known", as_mask(np.full(nothing.shape, "visibility" in arrays)))
        index = item.row * self.copies + item.copy
        plan = plan_sample(recipe(item.split, self.occluded), self.seed, f"composite/{item.split}", index)
        if plan.occluders:
            rng = stream(self.seed, f"composite/{item.split}", index, Purpose.OCCLUDER)
            image, painted = paint_onto(image, arrays["landmarks"], visibility > 127, plan.occluders, rng)
            visibility = np.where(painted, np.uint8(0), visibility)
            known = np.where(painted, np.uint8(255), known)
        return Photo(
            image=image,
            landmarks=arrays["landmarks"],
            visibility=visibility,
            known=known,
            face_region=arrays.get("face_region"),
            kind=KINDS.index(plan.kind),
            held_out=plan.held_out,
            aligned_to_photo=arrays.get("aligned_to_photo", np.eye(2, 3)),
        )

    def test_sets(self, filled: Sequence[str]) -> dict[str, SetDescription]:
        if not (self.store / SETS).exists():
            return super().test_sets(filled)
        kept = {}
        for name, one in read_collection(self.store).sets.items():
            parts = tuple(part for part in one.parts if part in filled)
            if name in filled or parts:
                kept[name] = replace(one, parts=parts)
        return kept

    def judged_on(self, filled: Sequence[str]) -> str | None:
        if not (self.store / SETS).exists():
            return super().judged_on(filled)
        judged = read_collection(self.store).judged_on
        return judged if judged in self.test_sets(filled) else None


@lru_cache(maxsize=16)
def open_store(folder: Path) -> PreparedStore:
    return PreparedStore(folder)


def recipe(split: str, occluded: float) -> Recipe:
    """What is painted in a split: what training sees, or for test sets also what it never sees."""
    world = recipes(occluded, 1)
    like = world["train" if split in (TRAIN, VALIDATION) else "occluded"]
    return Recipe("photographs", Setting.WILD, occluded, like.kinds, like.second, like.held_out)


def paint_onto(
    image: UInt8[ndarray, "s s 3"],
    landmarks: Float[ndarray, "68 2"],
    is_face: ndarray,
    occluders: Sequence[tuple[str, bool]],
    rng: np.random.Generator,
) -> tuple[UInt8[ndarray, "s s 3"], ndarray]:
    """The picture behind occluders, and where they hide at least half of a pixel. Elsewhere nothing but their shadow
    changes it.

    Args:
        is_face: where the face is known to be visible.
        occluders: kind and whether it is held out, from back to front.
    """
    size = len(image)
    factor = max(1, min(SUPERSAMPLING, LARGEST_CANVAS // size))
    canvas = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR) / np.float32(255)
    where = (
        cv2.resize(is_face.astype(np.uint8), None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST) > 0
    )
    scene = scene_of(canvas, landmarks * factor, where)
    painted = np.zeros_like(canvas)
    passing, hidden = (np.full(canvas.shape[:2], value, np.float32) for value in (1, 0))
    for kind, held_out in occluders:
        layers = paint_occluder(kind, scene, rng, held_out, hair_colour(rng))
        painted, passing, hidden = lay(painted, passing, hidden, layers, scene, rng.uniform(0.5, 0.9))
    covered = np.dstack([painted, passing, hidden])
    covered = covered if factor == 1 else cv2.resize(covered, (size, size), interpolation=cv2.INTER_AREA)
    grain = rng.standard_normal((size, size, 3), np.float32) * np.float32(rng.uniform(*GRAIN))
    result = image * covered[..., 3:4] + 255 * (covered[..., :3] + grain * covered[..., 4:])
    return np.round(np.clip(result, 0, 255)).astype(np.uint8), covered[..., 4] >= 0.5


def lay(
    painted: Picture, passing: Plane, hidden: Plane, layers: list[Layer], scene: Scene, strength: float
) -> tuple[Picture, Plane, Plane]:
    """Puts an occluder before what has been painted.

    Args:
        painted: what the occluders so far add to the picture.
        passing: how much of the photograph comes through, shadows included.
        hidden: how much of it the occluders hide.
    """
    for layer in layers:
        light = 1 - cast_shadow(scene, layer, strength)
        painted, passing = painted * light[..., None], passing * light
    for layer in layers:
        painted = over(painted, layer.colour, layer.alpha)
        passing, hidden = passing * (1 - layer.alpha), 1 - (1 - hidden) * (1 - layer.alpha)
    return painted, passing, hidden


def hair_colour(rng: np.random.Generator) -> Float[ndarray, " 3"]:
    """An albedo between black, brown, red, blond and grey."""
    colours = np.array(
        [[0.03, 0.025, 0.02], [0.14, 0.08, 0.05], [0.3, 0.13, 0.06], [0.55, 0.4, 0.22], [0.5, 0.5, 0.5]]
    )
    first, second = colours[rng.choice(5, 2, p=[0.35, 0.35, 0.08, 0.14, 0.08])]
    return (first + (second - first) * rng.random()).astype(np.float32)
