"""Runs that were never trained: folders with the files that a scored run leaves, their numbers drawn at random."""

import csv
import json
from pathlib import Path

import numpy as np

METRICS = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "occlusion_f1",
    "occlusion_iou",
    "rmse",
    "coverage",
    "landmark_nme",
)
SETS = ("neutral", "glasses", "scarf", "unoccluded", "occluded", "overall")
UNION = ("neutral", "glasses", "scarf")
PICTURES = 40


def draw(row: str, seed: int, shift: float = 0.0) -> dict[str, dict[str, np.ndarray]]:
    """Test set -> metric -> every picture's score. All rows share the pictures' difficulty."""
    scores = {}
    for number, test_set in enumerate(SETS):
        shared, own = np.random.default_rng(number), np.random.default_rng([seed, number, *row.encode()])
        scores[test_set] = {
            metric: 0.8 + shift + 0.1 * shared.normal(size=PICTURES) + 0.01 * own.normal(size=PICTURES)
            for metric in METRICS
        }
        scores[test_set]["occlusion_f1"][::5] = np.nan
    return scores


def summarise(scores: dict[str, dict[str, np.ndarray]]) -> dict:
    """The entry `test_sets` of a `metrics.json`."""
    union = {metric: np.concatenate([scores[part][metric] for part in UNION]) for metric in METRICS}
    return {
        name: {
            **{key: {"mean": float(np.nanmean(v)), "std": float(np.nanstd(v))} for key, v in values.items()},
            "n": len(values["f1"]),
            "true_visible_share": 0.75,
        }
        for name, values in {**scores, "ar_overall": union}.items()
    }


def write_run(root: Path, row: str, seed: int, shift: float = 0.0, preset: str = "laptop") -> Path:
    """A run's `metrics.json` and `scores.csv`; `all_visible` is 0.1 below the system."""
    folder = root / f"{row}-{preset}-{seed}"
    folder.mkdir(parents=True)
    systems = {"system": draw(row, seed, shift), "all_visible": draw("all_visible", seed, shift - 0.1)}
    document = {
        "system": row,
        "preset": preset,
        "seed": seed,
        "notes": [],
        "sets": {name: {"title": name, "parts": []} for name in SETS}
        | {"ar_overall": {"title": "AR overall", "parts": list(UNION)}},
        "judged_on": "overall",
        "test_sets": summarise(systems["system"]),
        "all_visible": {"test_sets": summarise(systems["all_visible"])},
    }
    (folder / "metrics.json").write_text(json.dumps(document))
    with (folder / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["system", "test_set", "index", "held_out", *METRICS])
        for system, scores in systems.items():
            for test_set, values in scores.items():
                for index in range(PICTURES):
                    numbers = [values[metric][index] for metric in METRICS]
                    texts = [f"{number:.17g}" if np.isfinite(number) else "" for number in numbers]
                    writer.writerow([system, test_set, index, 0, *texts])
    return folder
