"""Verification: do two pictures show the same person?"""

from itertools import combinations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def verification_pairs(
    identity: Int[Tensor, " n"], folds: int, generator: torch.Generator
) -> tuple[Int[Tensor, "p 2"], Bool[Tensor, " p"], Int[Tensor, " p"]]:
    """Pairs of pictures, whether both show the same person, and the fold of each pair.

    Every pair of pictures of one person, and for each of them a random pair of two people of the same fold, so
    that no person occurs in two folds.

    Args:
        folds: the number of groups, of at least two people each, that the people are dealt into.
    """
    people = [torch.nonzero(identity == person).flatten() for person in identity.unique().tolist()]
    pairs, same, fold_of = [], [], []
    for fold in range(folds):
        group = people[fold::folds]
        matching = [torch.stack(pair) for pictures in group for pair in combinations(pictures, 2)]
        for _ in matching:
            first, second = torch.randperm(len(group), generator=generator)[:2].tolist()
            pairs.append(torch.stack([_any(group[first], generator), _any(group[second], generator)]))
        pairs += matching
        same += [False] * len(matching) + [True] * len(matching)
        fold_of += [fold] * 2 * len(matching)
    return torch.stack(pairs), torch.tensor(same), torch.tensor(fold_of)


def _any(pictures: Int[Tensor, " k"], generator: torch.Generator) -> Int[Tensor, ""]:
    return pictures[torch.randint(len(pictures), (), generator=generator)]


def best_threshold(similarity: Float[Tensor, " p"], same: Bool[Tensor, " p"]) -> float:
    """The similarity above which `same` is said most often rightly: a midpoint between two neighbouring values."""
    values, order = similarity.double().sort()
    is_same = same[order]
    # Below the cut all are said to differ: right are the differing ones below and the matching ones above.
    right_below = torch.cat([torch.zeros(1), (~is_same).cumsum(0)])
    right_above = is_same.sum() - torch.cat([torch.zeros(1), is_same.cumsum(0)])
    cut = int((right_below + right_above).argmax())
    padded = torch.cat([values[:1] - 1, values, values[-1:] + 1])
    return float((padded[cut] + padded[cut + 1]) / 2)


def fold_accuracies(
    similarity: Float[Tensor, " p"], same: Bool[Tensor, " p"], fold: Int[Tensor, " p"]
) -> Float[Tensor, " k"]:
    """The share of right answers in each fold, under the threshold that is best on all the others (LFW's protocol)."""
    accuracies = []
    for held_out in fold.unique().tolist():
        test = fold == held_out
        threshold = best_threshold(similarity[~test], same[~test])
        accuracies.append(((similarity[test] > threshold) == same[test]).float().mean())
    return torch.stack(accuracies)
