"""metrics.json: its form, its determinism, and that every number is the mean of what scores.csv holds."""

import csv
import json
import math

import numpy as np
import pytest
import torch

from occfit.scoring.picture_scores import SetScores, all_visible, concatenate, histogram, share
from occfit.scoring.results import spread, summary
from occfit.scoring.scored_system import evaluate_run, load_run, run_splits

pytestmark = pytest.mark.unit

TEST_SETS = ["neutral", "glasses", "scarf", "ar_overall", "unoccluded", "occluded", "overall"]
SCORES = {
    "accuracy", "precision", "recall", "f1", "occlusion_f1", "occlusion_iou", "iou", "rmse", "coverage",
    "landmark_nme", "vertex_error", "normal_error",
}  # fmt: skip


def rows_of(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_file_has_the_promised_form(scored):
    folder, metrics = scored
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    facts = {
        "system",
        "preset",
        "seed",
        "commit",
        "versions",
        "threads",
        "device",
        "notes",
        "sets",
        "judged_on",
    }
    assert set(metrics) == facts | {"test_sets", "initialisation", "all_visible"}
    assert metrics["system"] == "proposed"
    assert metrics["notes"] == ["Not the paper's assets."]
    for part in (metrics, metrics["initialisation"], metrics["all_visible"]):
        assert list(part["test_sets"]) == TEST_SETS
        for name, scores in part["test_sets"].items():
            assert set(scores) >= SCORES
            assert set(scores["f1"]) == {"mean", "std", "n"}
            assert scores["n"] == (18 if name == "ar_overall" else 6)
            assert 0 <= scores["visible_share"] <= 1


def test_no_time_stands_in_the_compared_files(scored):
    folder, _ = scored
    assert set(json.loads((folder / "timing.json").read_text())) == {"scoring"}
    assert "scoring" not in (folder / "metrics.json").read_text()


def test_two_scorings_are_the_same_bytes(scored, checkpoint, tmp_path):
    folder, _ = scored
    evaluate_run(checkpoint, tmp_path)
    for name in ("metrics.json", "scores.csv"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_every_mean_is_that_of_its_pictures(scored):
    folder, metrics = scored
    rows = rows_of(folder / "scores.csv")
    for system, part in [("system", metrics), ("initialisation", metrics["initialisation"])]:
        for name in ("neutral", "overall"):
            mine = [row for row in rows if (row["system"], row["test_set"]) == (system, name)]
            assert [int(row["index"]) for row in mine] == list(range(6))
            for key in SCORES:
                values = [float(row[key]) for row in mine if row[key]]
                mean = part["test_sets"][name][key]["mean"]
                assert mean == pytest.approx(np.mean(values), rel=1e-5) if values else mean is None


def test_the_union_is_of_pictures_not_of_means(scored):
    folder, metrics = scored
    union = ("neutral", "glasses", "scarf")
    rows = [
        row
        for row in rows_of(folder / "scores.csv")
        if row["system"] == "system" and row["test_set"] in union
    ]
    values = [float(row["f1"]) for row in rows if row["f1"]]
    assert metrics["test_sets"]["ar_overall"]["f1"]["std"] == pytest.approx(np.std(values), rel=1e-5)
    assert "ar_overall" not in {row["test_set"] for row in rows_of(folder / "scores.csv")}


def test_all_visible_recalls_everything(scored):
    _, metrics = scored
    for scores in metrics["all_visible"]["test_sets"].values():
        assert scores["recall"]["mean"] == 1
        assert scores["visible_share"] == 1
        assert scores["precision"]["mean"] == pytest.approx(scores["true_visible_share"])


def test_held_out_occluders_are_scored_apart(scored):
    folder, metrics = scored
    rows = [row for row in rows_of(folder / "scores.csv") if row["system"] == "system"]
    for name, scores in metrics["test_sets"].items():
        held_out = [row for row in rows if row["test_set"] == name and row["held_out"] == "1"]
        if name != "ar_overall" and held_out:
            assert scores["held_out"]["n"] == len(held_out)
            assert scores["seen"]["n"] == scores["n"] - len(held_out)
    assert "held_out" in metrics["test_sets"]["ar_overall"] or "held_out" in metrics["test_sets"]["occluded"]
    assert "held_out" not in metrics["test_sets"]["neutral"]


def test_the_batch_size_changes_no_score(checkpoint):
    from occfit.scoring.picture_scores import evaluate

    trained = load_run(checkpoint)
    stores = {"scarf": run_splits(trained).test["scarf"]}
    whole, split = (
        evaluate(trained.systems, stores, batch_size=batch_size)["system"]["scarf"] for batch_size in (6, 4)
    )
    for key, values in whole.values.items():
        np.testing.assert_allclose(values, split.values[key], rtol=1e-4, err_msg=key)


def scores_of(values: list[float]) -> SetScores:
    count = len(values)
    return SetScores(np.arange(count), np.zeros(count), {"f1": np.array(values)}, np.zeros(20, np.int64))


def test_a_mean_is_over_what_is_defined():
    found = summary(scores_of([1.0, math.nan, 0.5]))
    assert found["f1"] == {"mean": 0.75, "std": 0.25, "n": 2}
    assert found["n"] == 3


def test_nothing_defined_has_no_mean():
    found = spread(np.array([math.nan]))
    assert math.isnan(found["mean"])
    assert math.isnan(found["std"])
    assert found["n"] == 0


def test_a_union_keeps_every_picture_and_pixel():
    one = scores_of([0.5, 0.7])
    both = concatenate([one, scores_of([0.1])])
    np.testing.assert_array_equal(both.values["f1"], [0.5, 0.7, 0.1])
    assert both.is_union


def test_shares_and_histograms_count_the_region_only():
    mask = torch.tensor([[0.0, 0.97], [1.0, 0.2]]).view(1, 1, 2, 2)
    region = torch.tensor([[1.0, 1.0], [1.0, 0.0]]).view(1, 1, 2, 2)
    assert share(mask > 0.5, region) == pytest.approx([2 / 3])
    counts = histogram(mask, region)
    assert counts[0] == 1
    assert counts[19] == 2
    assert counts.sum() == 3


def test_nothing_rendered_has_no_share():
    empty = torch.zeros(1, 1, 2, 2)
    assert np.isnan(share(empty > 0, empty)).all()


def test_all_visible_keeps_the_face(checkpoint):
    trained = load_run(checkpoint)
    batch = next(iter(run_splits(trained).test.values())).batch([0, 1])
    explained = trained.systems["system"](batch)
    assert all_visible(explained).rendering is explained.rendering
    assert (all_visible(explained).visibility == 1).all()
