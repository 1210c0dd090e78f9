"""A table's numbers: means, spreads, intervals, paired differences, and which of them are significantly best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Float

from occfit.scoring.experiments import Runs, ScoredRun, TableSpec
from occfit.scoring.headings import COMMON
from occfit.scoring.picture_scores import ALL_VISIBLE
from occfit.scoring.statistics import (
    Difference,
    Interval,
    paired_differences,
    seed_interval,
    summarise_differences,
)

LOWER_IS_BETTER = ("rmse", COMMON, "landmark_nme", "vertex_error", "normal_error")


@dataclass(frozen=True)
class Cell:
    """One number of a table.

    Attributes:
        mean: over pictures, then over seeds.
        spread: standard deviation over pictures, mean over seeds.
        interval: the mean's interval, over seeds.
        difference: the reference's scores minus this row's, by the same seeds on the same pictures, where it isn't
            the reference's own.
        is_best: significantly better than every other row.
        published: the paper's mean and, where it gives one, standard deviation.
    """

    mean: float | None = None
    spread: float | None = None
    interval: Interval | None = None
    difference: Difference | None = None
    is_best: bool = False
    published: tuple[float, ...] = ()


@dataclass(frozen=True)
class Block:
    """A test set's rows.

    Attributes:
        pictures: in the test set; None if nothing was scored on it.
        visible_share: the part of the reference's rendered regions that shows the face, in truth.
        rows: name -> metric -> cell.
    """

    test_set: str
    title: str
    pictures: int | None
    visible_share: float | None
    rows: dict[str, dict[str, Cell]]


@dataclass(frozen=True)
class ComparisonTable:
    """A table with its numbers.

    Attributes:
        seeds: that every row should have.
        missing: (row, seed) without a scored run.
    """

    spec: TableSpec
    preset: str
    seeds: list[int]
    blocks: list[Block]
    missing: list[tuple[str, int]]


def compare(spec: TableSpec, runs: Runs, seeds: Sequence[int]) -> ComparisonTable:
    """Fills in a table from the runs that there are.

    Raises:
        OccfitError: a run's scores can't be read.
    """
    blocks = [compare_block(spec, runs, seeds, test_set) for test_set in spec.test_sets]
    missing = [(row, seed) for row, seed in product(spec.rows, seeds) if seed not in runs.seeds(row, seeds)]
    return ComparisonTable(spec, runs.preset, list(seeds), blocks, missing)


def compare_block(spec: TableSpec, runs: Runs, seeds: Sequence[int], test_set: str) -> Block:
    sources = {row: row for row in spec.rows}
    if spec.has_masks:
        sources[ALL_VISIBLE] = f"{ALL_VISIBLE} {spec.reference}"
    rows: dict[str, dict[str, Cell]] = {row: {} for row in sources}
    for metric in spec.metrics:
        prefix = f"{COMMON} " if metric == COMMON else ""
        found = {row: runs.seeds(prefix + source, seeds) for row, source in sources.items()}
        images = {row: mean_images(by_seed, test_set, metric) for row, by_seed in found.items()}
        best = find_best({row: images[row] for row in spec.rows}, metric)
        for row, by_seed in found.items():
            published = spec.published.get(row, {}).get(test_set, {}).get(metric, [])
            rows[row][metric] = Cell(
                **summary(by_seed, test_set, metric),
                difference=None if row == spec.reference else difference(images[spec.reference], images[row]),
                is_best=row == best,
                published=tuple(published),
            )
    reference = next(iter(runs.seeds(spec.reference, seeds).values()), None)
    pictures = reference.test_sets.get(test_set, {}).get("n") if reference else None
    share = reference.mean(test_set, "true_visible_share") if reference else None
    title = reference.title(test_set) if reference else test_set
    return Block(test_set, title, pictures, share, rows)


def summary(by_seed: Mapping[int, ScoredRun], test_set: str, metric: str) -> dict[str, Any]:
    """Mean, spread over pictures, interval over seeds."""
    means = [run.mean(test_set, metric) for run in by_seed.values()]
    spreads = [run.spread(test_set, metric) for run in by_seed.values()]
    known = np.array([mean for mean in means if mean is not None])
    if not len(known):
        return {}
    spread = [one for one in spreads if one is not None]
    return {
        "mean": float(known.mean()),
        "spread": float(np.mean(spread)) if spread else None,
        "interval": seed_interval(known),
    }


Images = Float[np.ndarray, " n"]


def mean_images(by_seed: Mapping[int, ScoredRun], test_set: str, metric: str) -> dict[int, Images]:
    """Seed -> every picture's score."""
    found = {seed: run.images(test_set, metric) for seed, run in by_seed.items()}
    return {seed: values for seed, values in found.items() if values is not None}


def shared_differences(
    one: Mapping[int, Images], other: Mapping[int, Images]
) -> Float[np.ndarray, "known_s known_n"] | None:
    """one - other by the seeds, and on the pictures, that both have; None where there are none."""
    seeds = [seed for seed in one if seed in other and len(one[seed]) == len(other[seed])]
    if not seeds:
        return None
    first, second = (np.stack([part[seed] for seed in seeds]) for part in (one, other))
    found = paired_differences(first, second)
    return found if found.size else None


def difference(one: Mapping[int, Images], other: Mapping[int, Images]) -> Difference | None:
    """How much more the one has than the other."""
    shared = shared_differences(one, other)
    return None if shared is None else summarise_differences(shared)


def find_best(images: Mapping[str, Mapping[int, Images]], metric: str) -> str | None:
    """The row that beats every other one significantly; None if there is none, or no rival."""
    sign = -1 if metric in LOWER_IS_BETTER else 1
    rows = [row for row, by_seed in images.items() if by_seed]
    for row in rows:
        found = [shared_differences(images[row], images[other]) for other in rows if other != row]
        ahead = [one for one in found if one is not None and sign * one.mean() > 0]
        if found and len(ahead) == len(found) and all(is_significant(one) for one in ahead):
            return row
    return None


def is_significant(differences: Float[np.ndarray, "s n"]) -> bool:
    found = summarise_differences(differences)
    return found is not None and found.is_significant
