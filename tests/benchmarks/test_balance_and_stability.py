"""What the two benchmarks of the training's balance make of finished runs."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.balance import describe
from benchmarks.stability import METRICS, movement, over_time, read_curve
from occfit.errors import OccfitError
from occfit.runs.outcome import Outcome

pytestmark = pytest.mark.unit


def scored(folder: Path, f1: float, visible_share: float) -> Outcome:
    folder.mkdir()
    sets = {
        name: {"f1": {"mean": f1}, "visible_share": visible_share} for name in ("neutral", "glasses", "scarf")
    }
    (folder / "metrics.json").write_text(json.dumps({"test_sets": sets}))
    return Outcome(str(folder), folder.name)


def test_collapsed_seeds_are_counted_and_not_averaged(tmp_path):
    fine, other = scored(tmp_path / "fine", 0.9, 0.7), scored(tmp_path / "other", 0.8, 0.8)
    black, white = scored(tmp_path / "black", 0.1, 0.01), scored(tmp_path / "white", 0.85, 1.0)
    stopped = Outcome(str(tmp_path / "stopped"), "stopped", "Almost all masks have turned black")
    assert describe([fine, other, black, white, stopped]) == ["3 of 5", "0.850", "0.850", "0.850"]
    assert describe([stopped]) == ["1 of 1", "–", "–", "–"]
    failed = Outcome(str(tmp_path / "failed"), "failed", "No space left on device")
    assert describe([fine, failed])[0] == "1 of 2 (No space left on device)"


def write_curve(run: Path, f1: list[float]) -> Path:
    path = run / "logs" / "alternate" / "metrics.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["step", "train/loss", *METRICS.values()])
        writer.writeheader()
        writer.writerow({"step": 10, "train/loss": 1})
        for index, value in enumerate(f1):
            writer.writerow({"step": 60 * index + 60, **dict.fromkeys(METRICS.values(), value)})
    return run


def test_curves_of_seeds_become_a_mean_a_spread_and_a_movement(tmp_path):
    curves = [
        read_curve(write_curve(tmp_path / str(seed), [0.0, 0.5, 0.8 + shift, 0.9 + shift]))
        for seed, shift in enumerate((-0.02, 0.02))
    ]
    table = over_time({"joint": curves})
    assert list(table.columns[0].cells) == ["60", "120", "180", "240"]
    assert list(table.columns[1].cells) == [
        "0.000 ± 0.000",
        "0.500 ± 0.000",
        "0.800 ± 0.020",
        "0.900 ± 0.020",
    ]
    assert list(movement({"joint": curves}).columns[1].cells) == ["0.1000"]


def test_a_log_without_a_curve_is_refused_with_the_reason(tmp_path):
    with pytest.raises(OccfitError, match="OCCFIT_CACHE"):
        read_curve(write_curve(tmp_path / "run", [0.5, 0.6]))


def test_a_users_mistake_is_one_line(tmp_path):
    command = [sys.executable, "-m", "benchmarks.claims", "--runs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("occfit: ")
    assert done.stderr.count("\n") == 1
