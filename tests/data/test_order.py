"""The order of the samples: a pure function of (seed, batch number)."""

from itertools import islice

import numpy as np
import pytest
import torch

from occfit.data.order import (
    Draw,
    ScoringBatches,
    TrainingBatches,
    augmentation_rng,
    batch_draws,
    epoch_order,
    is_given_again,
    share,
)
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("count", "batch_size"), [(20, 5), (20, 6), (7, 3), (3, 8), (1, 1)])
def test_every_epoch_visits_every_sample_once_and_none_is_dropped(count, batch_size):
    batches = 4 * count
    draws = [draw for batch in range(batches) for draw in batch_draws(3, batch, [batch_size], [count])]
    epochs = batches * batch_size // count
    for epoch in range(epochs):
        visited = draws[epoch * count : (epoch + 1) * count]
        assert {draw.epoch for draw in visited} == {epoch}
        assert sorted(draw.index for draw in visited) == list(range(count))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {tuple(epoch_order(seed, epoch, 50)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_the_order_is_recorded():
    """NumPy's generator decides it: if this changes, resumed trainings change as well."""
    assert [draw.index for draw in batch_draws(0, 0, [8], [10])] == [9, 1, 3, 8, 7, 6, 0, 4]


@pytest.mark.parametrize("start", [0, 1, 3, 4, 11])
def test_batches_go_on_from_any_number(start):
    whole = list(TrainingBatches([4], [10], seed=1, steps=12))
    assert len(whole) == 12
    assert list(TrainingBatches([4], [10], 1, start=start, steps=12)) == whole[start:]


def test_without_steps_batches_never_end():
    endless = TrainingBatches([4], [10], 1)
    assert list(islice(endless, 12)) == list(TrainingBatches([4], [10], 1, steps=12))
    with pytest.raises(TypeError, match="no length"):
        len(endless)


@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_processes_share_each_batch(world):
    whole = list(TrainingBatches([6], [20], seed=5, steps=7))
    parts = [
        list(TrainingBatches([6], [20], seed=5, steps=7, rank=rank, world=world)) for rank in range(world)
    ]
    joined = [
        [draw for draws in zip(*batch, strict=True) for draw in draws] for batch in zip(*parts, strict=True)
    ]
    assert joined == whole


def test_processes_that_cannot_share_evenly_are_refused():
    assert share(12, 2, 3) == slice(2, None, 3)
    with pytest.raises(OccfitError, match="3 processes can't share a batch of 16"):
        share(16, 0, 3)


def test_augmentation_numbers_belong_to_seed_epoch_and_sample():
    keys = [(seed, Draw(epoch, index)) for seed in range(3) for epoch in range(3) for index in range(3)]
    first = [augmentation_rng(*key).random() for key in keys]
    assert first == [augmentation_rng(*key).random() for key in keys]
    assert len(set(first)) == len(keys)
    assert np.random.default_rng((0, 1, 0)).random() not in first


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize(("count", "batch_size"), [(10, 4), (7, 2), (1, 3), (12, 12)])
def test_scoring_visits_everything_with_as_many_batches_in_every_process(count, batch_size, world):
    parts = [ScoringBatches(count, batch_size, rank, world) for rank in range(world)]
    batches = [list(part) for part in parts]
    assert {len(part) for part in parts} == {len(own) for own in batches}
    sizes = [[len(batch) for batch in own] for own in batches]
    assert all(own == sizes[0] for own in sizes)
    visited = [index for own in batches for batch in own for index in batch]
    assert sorted(set(visited)) == list(range(count))
    assert len(visited) - count < world
    own = [index for rank in range(world) for batch in batches[rank] for index in kept(batch, rank, world)]
    assert sorted(own) == list(range(count))


def kept(batch: list[int], rank: int, world: int) -> list[int]:
    index = torch.tensor(batch)
    return index[~is_given_again(index, rank, world)].tolist()


def test_one_process_scores_in_the_stores_order():
    assert list(ScoringBatches(5, 2)) == [[0, 1], [2, 3], [4]]
