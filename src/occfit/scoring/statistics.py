"""How sure a number is: intervals over seeds, and over the seeds and pictures that two systems share."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from scipy.stats import bootstrap, norm, t

CONFIDENCE = 0.95
RESAMPLES = 2000
UPPER = (1 + CONFIDENCE) / 2


Drawn = Integer[np.ndarray, "*b _"]
"""Positions drawn with replacement, along the last axis."""


@dataclass(frozen=True)
class Interval:
    """Where a number lies with 95 % confidence."""

    low: float
    high: float

    @property
    def is_clear_of_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Difference:
    """By how much one system's scores exceed another's.

    Attributes:
        mean: over pictures, then over seeds.
        interval: the mean's interval; None for a single picture, which says nothing of the others.
        seeds: how many training seeds it rests on.
    """

    mean: float
    interval: Interval | None
    seeds: int

    @property
    def is_significant(self) -> bool:
        """Whether another training would agree, which a single seed can't tell, however many pictures it has."""
        return self.seeds > 1 and self.interval is not None and self.interval.is_clear_of_zero


def seed_interval(means: Float[np.ndarray, " s"]) -> Interval | None:
    """Student's interval of the mean over seeds; None for a single one, which says nothing of the others."""
    if len(means) < 2:
        return None
    half = t.ppf(UPPER, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return Interval(float(means.mean() - half), float(means.mean() + half))


def paired_differences(
    one: Float[np.ndarray, "s n"], other: Float[np.ndarray, "s n"]
) -> Float[np.ndarray, "known_s known_n"]:
    """one - other where both are known: by the seeds with any such picture, on the pictures that all of those have.

    Args:
        one, other: scores of the same pictures by the same seeds; NaN where there is none.
    """
    differences = one - other
    known = np.isfinite(differences)
    seeds = known.any(axis=1)
    return differences[seeds][:, known[seeds].all(axis=0)]


def summarise_differences(
    differences: Float[np.ndarray, "s n"], seed: int = 0, resamples: int = RESAMPLES
) -> Difference | None:
    """Their mean, and its percentile bootstrap interval over seeds and pictures; None without any.

    Every resample draws seeds and pictures with replacement, and all its seeds share its pictures, since every seed is
    scored on the same ones: the pigeonhole bootstrap (Owen, Annals of Applied Statistics 1, 2007). Pictures drawn seed
    by seed would make a hard picture into as many independent ones as there are seeds. A bootstrap of few values
    is too narrow, so the drawn seeds' deviation from the mean of all seeds is multiplied by `widening`.

    A single seed leaves an interval over pictures alone.

    Args:
        differences: without gaps.
        seed: a number that decides the resampling.
        resamples: how often seeds and pictures are drawn anew.
    """
    if not differences.size:
        return None
    seeds, pictures = differences.shape
    mean = float(differences.mean())
    if pictures < 2:
        return Difference(mean, None, seeds)
    if seeds == 1:  # SciPy draws from two or more, and two copies deviate by nothing
        differences = np.repeat(differences, 2, axis=0)
    wide = widening(seeds)

    def mean_of_drawn(drawn_seeds: Drawn, drawn_pictures: Drawn, axis: int) -> Float[np.ndarray, "*b"]:
        means = differences[:, drawn_pictures].mean(axis=-1)
        centre = means.mean(axis=0)
        chosen = np.take_along_axis(means, np.moveaxis(drawn_seeds, -1, 0), axis=0).mean(axis=0)
        return np.asarray(centre + wide * (chosen - centre))

    found = bootstrap(
        (np.arange(len(differences)), np.arange(pictures)),
        mean_of_drawn,
        n_resamples=resamples,
        batch=200,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(seed),  # pyright: ignore[reportCallIssue] # `rng` since SciPy 1.15
    ).confidence_interval
    return Difference(mean, Interval(float(found.low), float(found.high)), seeds)


def widening(count: int) -> float:
    """The factor that makes the bootstrap of the mean of so few values as wide as Student's interval.

    The variance of a resampled mean is (count - 1) / count of what it should be, and its quantiles are about a normal
    distribution's where Student's are due. Hesterberg's expanded percentile interval ("What Teachers Should Know About
    the Bootstrap", The American Statistician 69, 2015) takes quantiles farther out by the ratio of both. The resamples
    of three values have none that far out, so here the deviations grow by that ratio instead: 2.7 for three seeds, and
    near 1 for many.
    """
    if count < 2:
        return 1.0
    return float(np.sqrt(count / (count - 1)) * t.ppf(UPPER, count - 1) / norm.ppf(UPPER))
