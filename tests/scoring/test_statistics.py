"""Intervals hold the truth as often as they say, where seeds differ, where pictures do, and where both do."""

import numpy as np
import pytest
from scipy.stats import t

from occfit.scoring.statistics import (
    paired_differences,
    seed_interval,
    summarise_differences,
    widening,
)

pytestmark = pytest.mark.unit

PICTURES, TRIALS, RESAMPLES = 60, 250, 300


def simulate(trial: int, seeds: int, seed: float, picture: float, rest: float) -> np.ndarray:
    """Differences whose true mean is 0: what a seed, a picture and both together deviate by."""
    rng = np.random.default_rng(trial)
    by_seed, by_picture = rng.normal(size=(seeds, 1)), rng.normal(size=(1, PICTURES))
    return seed * by_seed + picture * by_picture + rest * rng.normal(size=(seeds, PICTURES))


def drawn_means(
    differences: np.ndarray, draw_seeds: bool, share_pictures: bool, wide: float = 1.0, count: int = RESAMPLES
) -> np.ndarray:
    """Means of resamples: of the seeds too or as they are, on the same pictures for all of them or not."""
    rng, (seeds, pictures) = np.random.default_rng(1), differences.shape
    columns = rng.integers(pictures, size=(count, 1 if share_pictures else seeds, pictures))
    means = differences[np.arange(seeds)[None, :, None], columns].mean(axis=2)
    rows = rng.integers(seeds, size=(count, seeds)) if draw_seeds else np.arange(seeds)[None]
    centre, chosen = means.mean(axis=1), np.take_along_axis(means, rows, axis=1).mean(axis=1)
    return centre + wide * (chosen - centre)


def holds_zero(means: np.ndarray) -> bool:
    low, high = np.quantile(means, [0.025, 0.975])
    return low <= 0 <= high


@pytest.mark.parametrize(
    ("seeds", "seed", "picture", "rest"),
    [(2, 0.02, 0.15, 0.02), (3, 0.02, 0.0, 0.02), (3, 0.02, 0.15, 0.02), (8, 0.0, 0.15, 0.02)],
)
def test_nineteen_of_twenty_intervals_hold_the_truth(seeds, seed, picture, rest):
    held = 0
    for trial in range(TRIALS):
        differences = simulate(trial, seeds, seed, picture, rest)
        found = summarise_differences(differences, seed=trial, resamples=RESAMPLES)
        assert found is not None
        assert found.interval is not None
        held += not found.interval.is_clear_of_zero
    assert held / TRIALS > 0.92


def test_what_is_simpler_holds_it_too_rarely():
    """Each of three simplifications forgets something: the seeds, that they are few, that they share the pictures."""
    many_seeds = [simulate(trial, 3, 0.02, 0.0, 0.02) for trial in range(TRIALS)]
    many_pictures = [simulate(trial, 8, 0.0, 0.15, 0.02) for trial in range(TRIALS)]
    pictures_alone = [holds_zero(drawn_means(one, False, True)) for one in many_seeds]
    unwidened = [holds_zero(drawn_means(one, True, True)) for one in many_seeds]
    nested = [holds_zero(drawn_means(one, True, False)) for one in many_pictures]
    assert np.mean(pictures_alone) < 0.5
    assert np.mean(unwidened) < 0.85
    assert np.mean(nested) < 0.8


def test_the_interval_is_that_of_other_resamples():
    differences = 0.01 + simulate(5, 3, 0.02, 0.15, 0.05)
    found = summarise_differences(differences, resamples=20_000)
    means = drawn_means(differences, True, True, (3 / 2) ** 0.5 * 4.3027 / 1.95996, count=20_000)
    assert found is not None
    assert found.interval is not None
    assert found.mean == pytest.approx(differences.mean())
    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=0.003)


def test_one_seed_leaves_pictures_alone():
    differences = 0.1 + simulate(3, 1, 0.0, 0.1, 0.02)
    found = summarise_differences(differences)
    half = 1.96 * differences.std() / PICTURES**0.5
    assert found is not None
    assert found.interval is not None
    assert found.interval.low == pytest.approx(found.mean - half, abs=0.003)
    assert found.interval.high == pytest.approx(found.mean + half, abs=0.003)
    assert found.interval.is_clear_of_zero
    assert not found.is_significant
    again = summarise_differences(np.concatenate([differences, differences]))
    assert again is not None
    assert again.is_significant


def test_one_picture_has_no_interval():
    found = summarise_differences(np.array([[0.5], [0.7]]))
    assert found is not None
    assert found.mean == pytest.approx(0.6)
    assert found.interval is None
    assert not found.is_significant


def test_only_what_all_seeds_have_is_compared():
    none = np.nan
    one = np.array([[1.0, none, 3.0, 4.0], [2.0, 2.0, 2.0, 2.0], [none, none, none, 1.0]])
    other = np.array([[0.0, 0.0, 1.0, none], [1.0, 1.0, none, 0.0], [1.0, 1.0, 1.0, none]])
    assert paired_differences(one, other).tolist() == [[1.0], [1.0]]
    nothing = paired_differences(np.array([[none, 1.0]]), np.array([[1.0, none]]))
    assert summarise_differences(nothing) is None


def test_the_widening_is_that_of_students_interval():
    assert widening(1) == 1
    assert widening(3) == pytest.approx((3 / 2) ** 0.5 * 4.3027 / 1.95996, abs=1e-4)
    assert widening(200) == pytest.approx(1, abs=0.01)


def test_the_interval_over_seeds_is_students():
    means = np.array([0.9, 0.92, 0.97])
    low, high = t.interval(0.95, 2, loc=means.mean(), scale=means.std(ddof=1) / 3**0.5)
    found = seed_interval(means)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high))
    assert seed_interval(np.array([0.5])) is None
