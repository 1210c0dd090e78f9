"""Several systems on the pixels that all of them explain."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from occfit.data.store import PreparedStore
from occfit.errors import OccfitError
from occfit.fitting.face_system import Explain
from occfit.metrics.reconstruction import common_rmse
from occfit.networks.segmenter import VISIBLE_THRESHOLD
from occfit.scoring.canonical import write_json, write_text
from occfit.scoring.headings import COMMON
from occfit.scoring.picture_scores import SetScores, batches, complete
from occfit.scoring.results import describe_sets, scores_table, summaries
from occfit.scoring.scored_system import Trained, load_run, run_splits


def compare_runs(runs: Mapping[str, Path], output: Path, device: str = "cpu") -> None:
    """Scores the runs' systems on their common region, and writes it as a run's folder has it.

    A system's own region may leave out what it can't explain. Here every system's RMSE is over the same pixels: those
    of the true visible face that all of them render.

    Args:
        runs: folders of finished runs, by row.
        output: for `metrics.json` and `scores.csv`.

    Raises:
        OccfitError: there are fewer than two runs, they differ in preset, seed or data, or one can't be used.
    """
    if len(runs) < 2:
        raise OccfitError("A common region needs two runs or more")
    trained = {row: load_run(folder / "checkpoints" / "last.ckpt", device) for row, folder in runs.items()}
    first = require_alike(trained)
    systems = {row: one.systems["system"] for row, one in trained.items()}
    scores: dict[str, dict[str, SetScores]] = {row: {} for row in systems}
    splits = run_splits(first)
    for test_set, store in splits.test.items():
        values = score_common(systems, store, device)
        for row, column in zip(systems, values, strict=True):
            scores[row][test_set] = as_scores(column)
    all_scores = {row: complete(sets, splits.sets) for row, sets in scores.items()}
    write_text(output / "scores.csv", scores_table(all_scores))
    document = {
        "preset": first.config.preset,
        "seed": first.config.seed,
        **describe_sets(next(iter(all_scores.values())), splits),
        "rows": {row: {"test_sets": summaries(sets)} for row, sets in all_scores.items()},
    }
    write_json(output / "metrics.json", document)


def require_alike(trained: Mapping[str, Trained]) -> Trained:
    """One of the runs; all must have its preset, seed and test data."""
    (name, first), *others = trained.items()
    for other, run in others:
        for key in ("preset", "seed", "size", "data"):
            if getattr(run.config, key) != getattr(first.config, key):
                raise OccfitError(f"{name} and {other} differ in {key}, so they have no pictures in common")
    return first


def score_common(
    systems: Mapping[str, Explain], store: PreparedStore, device: str
) -> Float[np.ndarray, "systems n"]:
    """Every system's RMSE of every picture, over the visible face that all of them render."""
    parts = []
    for batch in batches(store, 32):
        if batch.visibility is None:
            raise OccfitError("The pictures have no true masks", store.folder)
        found = [explain(batch.to(device)).to("cpu").rendering for explain in systems.values()]
        visible = (batch.visibility > VISIBLE_THRESHOLD).float()
        images, regions = [one.image for one in found], [one.face_region for one in found]
        parts.append(common_rmse(batch.image, images, regions, visible))
    return torch.cat(parts, dim=1).numpy()


def as_scores(values: Float[np.ndarray, " n"]) -> SetScores:
    nothing = np.zeros(20, int)
    return SetScores(np.arange(len(values)), np.full(len(values), np.nan), {COMMON: values}, nothing)
