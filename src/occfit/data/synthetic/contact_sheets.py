"""Contact sheets: the world to look at, since no test sees whether a hand looks like a hand."""

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from occfit.data.synthetic.painting import paint
from occfit.data.synthetic.priors import Setting
from occfit.data.synthetic.splits import Plan
from occfit.data.synthetic.workshop import render_samples
from occfit.data.synthetic.world import BLOCK, Samples, WorldConfig, make_studio
from occfit.data.threads import one_thread
from occfit.face_model.morphable_model import MorphableModel

Sheet = UInt8[ndarray, "rows columns 3"]


def tile(pictures: UInt8[ndarray, "n h w 3"], columns: int) -> Sheet:
    """Pictures in rows of `columns`, the last row filled up with black."""
    missing = -len(pictures) % columns
    padded = np.concatenate([pictures, np.zeros((missing, *pictures.shape[1:]), np.uint8)])
    rows = padded.reshape(-1, columns, *pictures.shape[1:])
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows])


def annotate(samples: Samples) -> UInt8[ndarray, "n h w 3"]:
    """The pictures with what is not visible face in blue, and the detected landmarks as yellow dots."""
    pictures = samples.image.copy()
    hidden = ~samples.visibility
    pictures[hidden] = pictures[hidden] // 4 + np.array([0, 0, 120], np.uint8)
    size = pictures.shape[1]
    columns, rows = np.moveaxis(np.clip(samples.landmarks, 0, size - 1).astype(int), -1, 0)
    pictures[np.arange(len(samples))[:, None], rows, columns] = (255, 255, 0)
    return pictures


def split_sheet(
    config: WorldConfig, face_model: MorphableModel, split: str, count: int, columns: int = 8
) -> Sheet:
    """The first samples of a split, each above its mask and landmarks."""
    blocks = list(render_samples(config, split, count, face_model))
    pairs = [np.concatenate([block.image, annotate(block)], axis=1) for block in blocks]
    return tile(np.concatenate(pairs), columns)


def occluder_sheet(
    config: WorldConfig, face_model: MorphableModel, kind: str, held_out: bool, columns: int = 8
) -> Sheet:
    """One kind of occluder on `BLOCK` people of the training pool."""
    plans = [Plan("train", person, Setting.WILD, ((kind, held_out),)) for person in range(BLOCK)]
    with one_thread():
        faces = make_studio(config, face_model).draw(config.seed, "train", range(BLOCK), plans)
    pictures = [
        paint(face, plan, config.seed, "train", index, config.size).image
        for index, (face, plan) in enumerate(zip(faces, plans, strict=True))
    ]
    return tile(np.stack(pictures), columns)
