"""Scores of systems on test sets, picture by picture."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from occfit.data.data_source import SetDescription
from occfit.fitting.face_system import Explain
from occfit.metrics.collection import FaceScores
from occfit.networks.segmenter import VISIBLE_THRESHOLD
from occfit.rendering.renderer import FaceRenderer
from occfit.runs.preparation import progress_bar
from occfit.types import Explanation, FaceBatch, FaceParams, Mask, Rendering

ALL_VISIBLE = "all_visible"
HISTOGRAM_BINS = 20


@dataclass(frozen=True, eq=False)
class SetScores:
    """One system's scores of every picture of one test set.

    Attributes:
        index: each picture's position in its store.
        held_out: 1 = its occluder occurs only in test sets, 0 = it doesn't, NaN = nobody knows.
        values: score -> each picture's value, NaN where it isn't defined.
        histogram: counts of the mask's values inside the rendered regions, in 20 equal bins of [0, 1].
        is_union: the pictures are also in other test sets.
    """

    index: Integer[np.ndarray, " n"]
    held_out: Float[np.ndarray, " n"]
    values: Mapping[str, Float[np.ndarray, " n"]]
    histogram: Integer[np.ndarray, " 20"]
    is_union: bool = False

    def column(self, key: str) -> Float[np.ndarray, " n"]:
        """Each picture's value of a score, NaN where the set hasn't it."""
        return self.values[key] if key in self.values else np.full(len(self.index), np.nan)


@runtime_checkable
class Samples(Protocol):
    """What is scored: a prepared store, or a part of one."""

    def __len__(self) -> int: ...

    def batch(self, indices: range) -> FaceBatch: ...


Scores = Mapping[str, SetScores]
"""Test set -> one system's scores."""


def evaluate(
    systems: Mapping[str, Explain],
    test_sets: Mapping[str, Samples],
    renderer: FaceRenderer | None = None,
    sets: Mapping[str, SetDescription] | None = None,
    batch_size: int = 32,
    device: str = "cpu",
    progress: bool = False,
) -> dict[str, Scores]:
    """Scores systems on test sets, each picture once.

    The first system is scored a second time, as `all_visible`, with a mask that hides nothing: what the scores
    are worth that a mask gets for free.

    Args:
        systems: by name.
        test_sets: by name.
        renderer: draws the true parameters, where a test set has them, for the scores of the geometry.
        sets: the order of the test sets, and the unions of them, which aren't scored again.
        batch_size: pictures that are explained at once; changes no score by more than rounding.
        device: where the systems and the renderer are.
        progress: show a live bar.

    Returns:
        Name of the system (and `all_visible`) -> test set -> scores.
    """
    first = next(iter(systems))
    names = [*systems, ALL_VISIBLE]
    scores: dict[str, dict[str, SetScores]] = {name: {} for name in names}
    with progress_bar(disable=not progress) as bar:
        task = bar.add_task("scoring", total=sum(len(store) for store in test_sets.values()))
        for test_set, store in test_sets.items():
            meters = {name: Meter() for name in names}
            for batch in batches(store, batch_size):
                truth = draw_truth(batch.to(device), renderer)
                for name, explain in systems.items():
                    explanation = explain(batch.to(device)).to("cpu")
                    meters[name].update(batch, explanation, truth)
                    if name == first:
                        meters[ALL_VISIBLE].update(batch, all_visible(explanation), truth)
                bar.advance(task, len(batch))
            for name, meter in meters.items():
                scores[name][test_set] = meter.compute()
    return {name: complete(one, sets or {}) for name, one in scores.items()}


class Meter:
    """Collects one system's scores of one test set, whose pictures come in order."""

    def __init__(self) -> None:
        self.scores = FaceScores()
        self.histogram = torch.zeros(HISTOGRAM_BINS, dtype=torch.int64)
        self.columns: list[dict[str, Float[np.ndarray, " b"]]] = []

    def update(self, batch: FaceBatch, explanation: Explanation, truth: Rendering | None) -> None:
        region, visibility = explanation.rendering.face_region, explanation.visibility
        self.scores.update(batch, explanation.rendering, visibility, truth)
        self.histogram += histogram(visibility, region)
        columns = {
            "index": batch.index.numpy(),
            "visible_share": share(visibility > VISIBLE_THRESHOLD, region),
        }
        if batch.visibility is not None:
            known = batch.known_pixels()
            columns["true_visible_share"] = share(batch.visibility > VISIBLE_THRESHOLD, region * known)
            if batch.known is not None:
                columns["known_share"] = share(known > 0, region)
        unknown = torch.full_like(batch.index, float("nan"), dtype=torch.float64)
        columns["held_out"] = (unknown if batch.held_out is None else batch.held_out.double()).numpy()
        self.columns.append(columns)

    def compute(self) -> SetScores:
        columns = {key: np.concatenate([part[key] for part in self.columns]) for key in self.columns[0]}
        index, held_out = columns.pop("index"), columns.pop("held_out")
        scores = {key: score.values for key, score in self.scores.compute().items()}
        return SetScores(index, held_out, scores | columns, self.histogram.numpy())


@torch.no_grad()
def draw_truth(batch: FaceBatch, renderer: FaceRenderer | None) -> Rendering | None:
    """The rendering of the true parameters; None without them or a renderer."""
    if renderer is None or batch.params is None:
        return None
    return renderer(FaceParams.from_vector(batch.params)).to("cpu")


def share(mask: Bool[Tensor, "b 1 h w"], region: Mask) -> Float[np.ndarray, " b"]:
    """Each picture's part of the rendered region where the mask is 1; NaN where nothing is rendered."""
    area = region.flatten(1).sum(1).double()
    return ((mask * region).flatten(1).sum(1).double() / area).cpu().numpy()


def histogram(mask: Mask, region: Mask) -> Integer[Tensor, " 20"]:
    """How many pixels of the rendered regions have each of 20 ranges of values."""
    return torch.histc(mask[region > 0].float(), HISTOGRAM_BINS, 0, 1).long()


def all_visible(explanation: Explanation) -> Explanation:
    """The same face under a mask that hides nothing."""
    everything = torch.ones_like(explanation.visibility)
    return Explanation(explanation.params, explanation.rendering, everything)


def batches(store: Samples, size: int) -> Iterator[FaceBatch]:
    """The store's samples in order."""
    for start in range(0, len(store), size):
        yield store.batch(range(start, min(start + size, len(store))))


def complete(scores: Scores, sets: Mapping[str, SetDescription]) -> Scores:
    """The scored test sets and the unions of them, as far as all their parts are there, in the order of `sets`.

    Args:
        scores: test set -> scores; sets that nobody has described come last.
        sets: the data source's test sets and unions.
    """
    found = {}
    for name, description in sets.items():
        if description.parts and all(part in scores for part in description.parts):
            found[name] = concatenate([scores[part] for part in description.parts])
        elif name in scores:
            found[name] = scores[name]
    return found | {name: one for name, one in scores.items() if name not in found}


def concatenate(parts: Sequence[SetScores]) -> SetScores:
    """The pictures of several sets as one; a score that one of them hasn't is NaN there."""
    keys = dict.fromkeys(key for part in parts for key in part.values)
    return SetScores(
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.held_out for part in parts]),
        {key: np.concatenate([part.column(key) for part in parts]) for key in keys},
        np.sum([part.histogram for part in parts], axis=0),
        is_union=True,
    )
