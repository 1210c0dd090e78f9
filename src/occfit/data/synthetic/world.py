"""The synthetic world's definition and its samples: sample i of a split is a pure function of (config, split, i).

Faces are rasterized in aligned blocks of `BLOCK` samples, always whole ones, so that neither the batch size nor
the number of processes can change a bit of a picture.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from pydantic import Field, NonNegativeInt, PositiveInt

from occfit.data.data_source import TRAIN, VALIDATION, Splits, TrainingPart
from occfit.data.synthetic.faces import FaceStudio
from occfit.data.synthetic.occluders import KINDS
from occfit.data.synthetic.painting import paint
from occfit.data.synthetic.splits import JUDGED_ON, SETS, TEST_SETS, plan_sample, recipes
from occfit.face_model.morphable_model import MorphableModel
from occfit.rendering.rasterize import make_rasterizer

WORLD_VERSION = 3
"""It is raised with every change that alters a sample, since it is part of the prepared data's key."""

BLOCK = 16


@dataclass(frozen=True)
class WorldConfig:
    """What the world is made of.

    Attributes:
        size: the pictures' side in pixels.
        seed: the whole world's seed. Another seed is another world of the same kind.
        train: number of training samples.
        validation: number of validation samples.
        test: number of samples in each of the six test sets.
        occluded: share of the training and validation pictures with an occluder.
        supersampling: how many times larger the pictures are painted before they are reduced.
        pictures_per_person: pictures of each person in the sets that train and test the recognition network.
        varied: whether training and validation pictures vary more than the test sets' do, as a system for photographs
            needs it; then nothing is held out from them.
    """

    size: PositiveInt = 64
    seed: NonNegativeInt = 0
    train: PositiveInt = 8000
    validation: PositiveInt = 320
    test: PositiveInt = 320
    occluded: Annotated[float, Field(ge=0, le=1)] = 0.5
    supersampling: PositiveInt = 2
    pictures_per_person: PositiveInt = 8
    varied: bool = False

    def counts(self) -> dict[str, int]:
        """Samples of each split: training, validation and the test sets."""
        return {"train": self.train, "validation": self.validation, **dict.fromkeys(TEST_SETS, self.test)}

    def splits(self, face_model: MorphableModel, cache: Path) -> Splits:
        """Every split, from the cache or painted now; see `DataSource`."""
        from occfit.data.synthetic.split_stores import prepare_synthetic  # which needs this module

        stores = prepare_synthetic(self, face_model, cache)
        train, validation = {TRAIN: TrainingPart(stores.pop(TRAIN))}, stores.pop(VALIDATION)
        return Splits(train, validation, stores, SETS, JUDGED_ON)


@dataclass(frozen=True)
class Samples:
    """Some samples of a split, in NumPy.

    Attributes:
        image: RGB pictures.
        landmarks: the points as a detector would find them, in pixels; the first pixel's centre is (0.5, 0.5).
        visibility: True where the face shows.
        face_region: True where the face is, hidden or not.
        params: the true parameters.
        kind: the (first) occluder's place in `KINDS`.
        held_out: whether a kind, variant or texture is shown that occurs only in test sets.
        identity: the person's number within the split's pool.
    """

    image: UInt8[ndarray, "n h w 3"]
    landmarks: Float[ndarray, "n 68 2"]
    visibility: Bool[ndarray, "n h w"]
    face_region: Bool[ndarray, "n h w"]
    params: Float[ndarray, "n 257"]
    kind: Int[ndarray, " n"]
    held_out: Bool[ndarray, " n"]
    identity: Int[ndarray, " n"]

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: slice | Sequence[int]) -> "Samples":
        return Samples(**{key: value[index] for key, value in vars(self).items()})


def split_digest(config: WorldConfig, face_model: MorphableModel, split: str, count: int) -> str:
    """Returns the key of the first `count` samples of a split: equal keys mean equal samples."""
    look = asdict(config)
    for counted in ("train", "validation", "test"):
        del look[counted]
    content = {
        "version": WORLD_VERSION,
        "split": split,
        "count": count,
        **look,
        "face_model": face_model.digest(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def world_digest(config: WorldConfig, face_model: MorphableModel) -> str:
    """Returns the key of a whole world: equal keys mean equal samples in every split."""
    keys = [split_digest(config, face_model, split, count) for split, count in config.counts().items()]
    return hashlib.sha256(json.dumps(keys).encode()).hexdigest()


def make_studio(config: WorldConfig, face_model: MorphableModel) -> FaceStudio:
    return FaceStudio(face_model, make_rasterizer("numba"), config.size, config.supersampling)


def render_block(config: WorldConfig, split: str, block: int, studio: FaceStudio) -> Samples:
    """Samples `block * BLOCK` to `(block + 1) * BLOCK - 1` of a split.

    Call it with torch set to one thread: products of matrices round differently on several.
    """
    recipe = recipes(config.occluded, config.pictures_per_person, config.varied)[split]
    indices = range(block * BLOCK, (block + 1) * BLOCK)
    plans = [plan_sample(recipe, config.seed, split, index) for index in indices]
    faces = studio.draw(config.seed, split, indices, plans)
    paintings = [
        paint(face, plan, config.seed, split, index, config.size)
        for face, plan, index in zip(faces, plans, indices, strict=True)
    ]
    return Samples(
        image=np.stack([painting.image for painting in paintings]),
        landmarks=np.stack([face.detected for face in faces]),
        visibility=np.stack([painting.visibility for painting in paintings]),
        face_region=np.stack([painting.face_region for painting in paintings]),
        params=np.stack([face.params for face in faces]),
        kind=np.array([KINDS.index(plan.kind) for plan in plans]),
        held_out=np.array([plan.held_out for plan in plans]),
        identity=np.array([plan.person for plan in plans]),
    )
