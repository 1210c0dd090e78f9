"""Pictures of a test set: a seeded random choice of samples, and the worst."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from occfit.data.store import PreparedStore
from occfit.fitting.face_system import Explain
from occfit.fitting.pictures import Picture, Region, error_map, mask_picture, paste, to_picture, truth_picture
from occfit.networks.segmenter import VISIBLE_THRESHOLD
from occfit.types import Explanation, FaceBatch


@dataclass(frozen=True, eq=False)
class Example:
    """One test sample and what the system made of it, at the aligned picture's size.

    Attributes:
        index: the sample's position in its store.
        kind: its occluder in words; empty without one.
        held_out: the occluder occurs only in test sets.
        target: the photograph.
        reconstruction: the rendered face on black.
        face_region: where the model projects.
        visible: the predicted mask, 1 = visible face, over the whole picture.
        truth: the true mask, grey where nobody knows it.
        f1: the score of the visible face, inside the rendered region.
        rmse: 0..255.
    """

    index: int
    kind: str
    held_out: bool
    target: Picture
    reconstruction: Picture
    face_region: Region
    visible: Region
    truth: Picture
    f1: float | None
    rmse: float | None

    def pictures(self) -> list[Picture]:
        """Target, reconstruction over it, mask inside the region, true mask, error inside the region."""
        return [
            self.target,
            paste(self.target, self.reconstruction, self.face_region),
            mask_picture(self.visible & self.face_region),
            self.truth,
            error_map(self.target, self.reconstruction, self.face_region),
        ]


@dataclass(frozen=True, eq=False)
class Examples:
    """The pictures of one test set.

    Attributes:
        name: the test set.
        random: a seeded random choice.
        worst: the lowest F1 first.
    """

    name: str
    random: list[Example]
    worst: list[Example]


def draw_examples(
    explain: Explain,
    name: str,
    store: PreparedStore,
    scores: Mapping[str, Float[np.ndarray, " n"]],
    seed: int,
    random: int = 6,
    worst: int = 3,
    device: str = "cpu",
) -> Examples:
    """Draws a test set's examples.

    Args:
        scores: `f1` and `rmse` of every sample, in the store's order.
        seed: a number that decides the random choice.
        random, worst: how many of each; fewer if the set has fewer.
    """
    drawn, lowest = choose(scores["f1"], seed, random, worst)
    indices = sorted({*drawn, *lowest})
    batch = store.batch(indices)
    explanation = explain(batch.to(device)).to("cpu")
    kinds, names = store.column("kind"), store.metadata.get("kinds") or []
    found = {}
    for position, index in enumerate(indices):
        kind = names[kinds[index]] if kinds is not None and kinds[index] < len(names) else ""
        one = slice(position, position + 1)
        found[index] = make_example(
            batch[one], explanation[one], kind, scores["f1"][index], scores["rmse"][index]
        )
    return Examples(name, [found[i] for i in drawn], [found[i] for i in lowest])


def make_example(batch: FaceBatch, explanation: Explanation, kind: str, f1: float, rmse: float) -> Example:
    """One sample's arrays; both batches hold it alone."""
    return Example(
        index=int(batch.index[0]),
        kind="" if kind == "none" else kind,
        held_out=batch.held_out is not None and bool(batch.held_out[0]),
        target=to_picture(batch.image[0]),
        reconstruction=to_picture(explanation.rendering.image[0]),
        face_region=explanation.rendering.face_region[0, 0].numpy() > 0,
        visible=explanation.visibility[0, 0].numpy() > VISIBLE_THRESHOLD,
        truth=truth_picture(batch),
        f1=float(f1) if np.isfinite(f1) else None,
        rmse=float(rmse) if np.isfinite(rmse) else None,
    )


def choose(f1: np.ndarray, seed: int, random: int, worst: int) -> tuple[list[int], list[int]]:
    """Positions of a seeded random choice (ascending) and of the lowest F1 (worst first; NaN never).

    The two may share samples: a random choice that avoids the worst wouldn't be one.
    """
    drawn = np.random.default_rng(seed).permutation(len(f1))[:random]
    finite = np.flatnonzero(np.isfinite(f1))
    lowest = finite[np.argsort(f1[finite], kind="stable")][:worst]
    return sorted(int(i) for i in drawn), [int(i) for i in lowest]
