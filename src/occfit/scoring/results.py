"""From every picture's scores to `metrics.json` and `scores.csv`."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from occfit.data.data_source import Splits
from occfit.runs.build import NOT_THE_PAPERS, has_papers_assets
from occfit.runs.config import TrainConfig
from occfit.scoring.canonical import canonical
from occfit.scoring.picture_scores import ALL_VISIBLE, Scores, SetScores

SYSTEM, INITIALISATION = "system", "initialisation"
SHARES = ("visible_share", "true_visible_share", "known_share")


def metrics_document(
    scores: Mapping[str, Scores], splits: Splits, config: TrainConfig, machine: Mapping[str, Any]
) -> dict[str, Any]:
    """What `metrics.json` holds.

    Args:
        scores: those of `SYSTEM`, and of `INITIALISATION` and `ALL_VISIBLE` where there are any.
        splits: the data whose test sets were scored.
        config: the run's configuration.
        machine: commit, versions, threads and device.
    """
    notes = [] if has_papers_assets(config) else [f"{NOT_THE_PAPERS.capitalize()}."]
    others = {
        name: {"test_sets": summaries(scores[name])}
        for name in (INITIALISATION, ALL_VISIBLE)
        if name in scores
    }
    return canonical(
        {
            "system": config.system,
            "preset": config.preset,
            "seed": config.seed,
            **machine,
            "notes": notes,
            **describe_sets(scores[SYSTEM], splits),
            "test_sets": with_histograms(summaries(scores[SYSTEM]), scores[SYSTEM]),
            **others,
        }
    )


def describe_sets(scores: Scores, splits: Splits) -> dict[str, Any]:
    """What tables and pages need to know of the scored sets: `sets`, each one's description, and `judged_on`."""
    sets = {name: asdict(splits.sets[name]) for name in scores if name in splits.sets}
    return {"sets": sets, "judged_on": splits.judged_on if splits.judged_on in scores else None}


def summaries(scores: Scores) -> dict[str, dict[str, Any]]:
    """By test set, with its pictures' occluders seen in training and held out apart, if it has the latter."""
    return {name: summary(one) | by_novelty(one) for name, one in scores.items()}


def with_histograms(test_sets: Mapping[str, dict[str, Any]], scores: Scores) -> dict[str, dict[str, Any]]:
    return {name: one | {"mask_histogram": scores[name].histogram} for name, one in test_sets.items()}


def summary(scores: SetScores, chosen: Bool[np.ndarray, " n"] | slice = slice(None)) -> dict[str, Any]:
    """Each score's mean and standard deviation over the chosen pictures where it is defined.

    With them `n`, the number of pictures; `visible_share`, the mean part of the rendered region that the mask
    shows; `true_visible_share`, the part that it should show; and, where masks are known in part, `known_share`, the
    part that somebody knows.
    """
    values = {key: value[chosen] for key, value in scores.values.items()}
    table = {key: spread(value) for key, value in values.items() if key not in SHARES}
    shares = {key: spread(values[key])["mean"] for key in SHARES if key in values}
    return table | {"n": len(scores.index[chosen])} | shares


def by_novelty(scores: SetScores) -> dict[str, Any]:
    """The pictures with occluders seen in training, and those with held-out ones; {} without the latter."""
    held_out = scores.held_out == 1
    if not held_out.any():
        return {}
    return {"seen": summary(scores, scores.held_out == 0), "held_out": summary(scores, held_out)}


def spread(values: Float[np.ndarray, " n"]) -> dict[str, float]:
    """Mean and (population) standard deviation of what is finite, NaN if nothing is, and how many values are."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return {"mean": float("nan"), "std": float("nan"), "n": 0}
    return {"mean": float(finite.mean()), "std": float(finite.std()), "n": len(finite)}


def scores_table(scores: Mapping[str, Scores]) -> str:
    """`scores.csv`: one line for each system, test set and picture; empty where a score isn't defined.

    What paired comparisons of systems need. Unions of test sets have no lines of their own.
    """
    keys = list(dict.fromkeys(key for sets in scores.values() for one in sets.values() for key in one.values))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["system", "test_set", "index", "held_out", *keys])
    for system, sets in scores.items():
        for test_set, one in sets.items():
            if one.is_union:
                continue
            columns = [one.held_out, *(one.column(key) for key in keys)]
            for position, index in enumerate(one.index):
                writer.writerow([system, test_set, index, *(_text(column[position]) for column in columns)])
    return text.getvalue()


def _text(value: float) -> str:
    return f"{value:.8g}" if np.isfinite(value) else ""
