"""How sure a number is: intervals over seeds, and over the pictures that two systems share."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import t

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """Where a number lies with 95 % confidence."""

    low: float
    high: float

    @property
    def is_clear_of_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def seed_interval(means: Float[np.ndarray, " s"]) -> Interval | None:
    """Student's interval of the mean over seeds; None for a single one, which says nothing of the others."""
    if len(means) < 2:
        return None
    half = t.ppf((1 + CONFIDENCE) / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return Interval(float(means.mean() - half), float(means.mean() + half))


def paired_difference(
    one: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, Interval] | None:
    """The mean of one - other over the pictures that have both, and its percentile bootstrap interval over pictures.

    Args:
        one, other: scores of the same pictures; NaN where there is none.
        seed: of the resampling.
        resamples: how often the pictures are drawn anew.

    Returns:
        None where no picture has both.
    """
    differences = one - other
    differences = differences[np.isfinite(differences)]
    count = len(differences)
    if not count:
        return None
    rng = np.random.default_rng(seed)
    means = differences[rng.integers(count, size=(resamples, count))].mean(axis=1)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(differences.mean()), Interval(float(low), float(high))
