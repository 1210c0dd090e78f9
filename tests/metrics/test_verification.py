import numpy as np
import pytest
import torch

from occfit.metrics.verification import best_threshold, fold_accuracies, verification_pairs

pytestmark = pytest.mark.unit


def test_pairs_are_balanced_and_never_leave_their_fold(generator):
    identity = torch.arange(12).repeat_interleave(4)[torch.randperm(48, generator=generator)]
    pairs, same, fold = verification_pairs(identity, 3, generator)
    people = identity[pairs]
    assert torch.equal(people[:, 0] == people[:, 1], same)
    assert same.sum() == (~same).sum() == 12 * 6
    assert (pairs[:, 0] != pairs[:, 1]).all()
    homes = [set(people[fold == k].flatten().tolist()) for k in range(3)]
    assert set.union(*homes) == set(range(12))
    assert sum(map(len, homes)) == 12
    assert len({tuple(sorted(pair)) for pair in pairs[same].tolist()}) == 12 * 6


def test_best_threshold_agrees_with_trying_all(generator):
    similarity = torch.randn(60, generator=generator)
    same = similarity + torch.randn(60, generator=generator) > 0
    values = np.sort(similarity.double().numpy())
    tried = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    accuracies = [((similarity.double().numpy() > t) == same.numpy()).mean() for t in tried]
    found = best_threshold(similarity, same)
    assert ((similarity > found) == same).double().mean().item() == pytest.approx(max(accuracies))


@pytest.mark.parametrize(("same", "side"), [(True, "below"), (False, "above")])
def test_threshold_of_a_single_class_lies_outside(same, side):
    similarity = torch.tensor([0.1, 0.2, 0.3])
    threshold = best_threshold(similarity, torch.full((3,), same))
    assert threshold < 0.1 if side == "below" else threshold > 0.3


def test_perfect_similarity_is_perfect_and_noise_is_chance(generator):
    identity = torch.arange(40).repeat_interleave(5)
    pairs, same, fold = verification_pairs(identity, 10, generator)
    assert fold_accuracies(same.float(), same, fold).tolist() == [1.0] * 10
    noise = torch.rand(len(pairs), generator=generator)
    assert fold_accuracies(noise, same, fold).mean().item() == pytest.approx(0.5, abs=0.05)


def test_a_folds_threshold_comes_from_the_others():
    """Fold 1's similarities are shifted: its own best threshold would be right, the other fold's is wrong."""
    similarity = torch.tensor([0.0, 1.0, 10.0, 11.0])
    same = torch.tensor([False, True, False, True])
    fold = torch.tensor([0, 0, 1, 1])
    assert fold_accuracies(similarity, same, fold).tolist() == [0.5, 0.5]
