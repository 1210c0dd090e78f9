"""`report.html`: one self-contained page that shows how a run went."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from occfit.errors import OccfitError
from occfit.fitting.pictures import strip
from occfit.publishing.curves import Stage, histogram_plot, read_log, stage_plots
from occfit.publishing.examples import Example, Examples, draw_examples
from occfit.publishing.page import data_uri, render_page
from occfit.publishing.score_tables import held_out_table, number, score_table, set_detail, set_title
from occfit.scoring.canonical import SCORE_FIRST, read_json, write_text
from occfit.scoring.results import SYSTEM
from occfit.scoring.scored_system import load_run, run_splits

RANDOM, WORST = 6, 4


def report_run(run: Path, device: str = "cpu") -> Path:
    """Draws a scored run's pictures and writes its `report.html`.

    Raises:
        OccfitError: the run isn't scored, its checkpoint can't be used, or the page can't be written.
    """
    scores = read_scores(run / "scores.csv")
    trained = load_run(run / "checkpoints" / "last.ckpt", device)
    seed = trained.config.seed
    examples = [
        draw_examples(trained.systems[SYSTEM], name, store, scores[name], seed, RANDOM, WORST, device)
        for name, store in run_splits(trained).test.items()
        if name in scores
    ]
    return write_report(run, examples)


def write_report(run: Path, examples: Sequence[Examples] = ()) -> Path:
    """Writes `run/report.html` from the run's `metrics.json`, timings, resolved config and CSV logs.

    Args:
        run: the run's folder.
        examples: pictures of each test set.

    Raises:
        OccfitError: the run has no `metrics.json`, or the page can't be written.
    """
    metrics = read_json(run / "metrics.json")
    sets = metrics["test_sets"]
    page = render_page(
        "report.html.jinja",
        title=f"occfit: {metrics['system']}, preset {metrics['preset']}, seed {metrics['seed']}",
        notes=metrics.get("notes") or [],
        tiles=[tile(metrics, name) for name in headlines(metrics)],
        score_table=score_table(metrics),
        held_out_table=held_out_table(metrics),
        picture_rule=f"{RANDOM} pictures a set are drawn at random with the run's seed, {metrics['seed']}; then"
        f" the {WORST} of the set with the lowest F1.",
        galleries=[gallery(part, metrics) for part in examples],
        curves=loss_curves(run),
        histograms=[
            histogram_plot(set_title(metrics, name), scores["mask_histogram"])
            for name, scores in sets.items()
            if "mask_histogram" in scores
        ],
        facts=facts(metrics),
        timings=timings(run),
        config=config_text(run),
    )
    path = run / "report.html"
    write_text(path, page)
    return path


def read_scores(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Test set -> score -> the system's values in the store's order, from `scores.csv`.

    Raises:
        OccfitError: there is no such file.
    """
    found: dict[str, dict[str, list[float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row.pop("system") == SYSTEM:
                    columns = found.setdefault(row.pop("test_set"), {})
                    for key, text in row.items():
                        columns.setdefault(key, []).append(float(text) if text else math.nan)
    except OSError as error:
        raise OccfitError(f"The scores can't be read: {error.strerror}", path, SCORE_FIRST) from error
    return {name: {key: np.array(values) for key, values in sets.items()} for name, sets in found.items()}


def headlines(metrics: Mapping[str, Any]) -> list[str]:
    """The sets whose numbers stand first on a page: those that the data source names, or else the first four."""
    sets = metrics.get("sets") or {}
    named = [name for name in metrics["test_sets"] if sets.get(name, {}).get("is_headline")]
    return named or list(metrics["test_sets"])[:4]


def tile(metrics: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One test set's F1 and what it gained over the initialisation's mask."""
    value = metrics["test_sets"][name]["f1"]["mean"]
    initialisation = (metrics.get("initialisation") or {}).get("test_sets", {})
    before = initialisation.get(name, {}).get("f1", {}).get("mean")
    gain = None if value is None or before is None else value - before
    return {
        "name": set_title(metrics, name),
        "value": number(value, "f1"),
        "gain": f"{gain:+.3f}" if gain is not None else "",
        "rises": (gain or 0) >= 0,
    }


def gallery(examples: Examples, metrics: Mapping[str, Any]) -> dict[str, Any]:
    parts = [("A random choice", examples.random), ("The worst by F1", examples.worst)]
    return {
        "name": set_title(metrics, examples.name),
        "detail": set_detail(metrics["test_sets"][examples.name]),
        "parts": [
            {"heading": heading, "rows": [picture_row(examples.name, row) for row in rows]}
            for heading, rows in parts
            if rows
        ],
    }


def picture_row(test_set: str, example: Example) -> dict[str, str]:
    scores = f"F1 {number(example.f1, 'f1')}, RMSE {number(example.rmse, 'rmse')}"
    kind = f", {example.kind}" if example.kind else ""
    held_out = ", held out" if example.held_out else ""
    return {
        "source": data_uri(strip(example.pictures())),
        "alt": f"{test_set}, picture {example.index}: target, reconstruction, mask, true mask, error",
        "caption": f"picture {example.index}: {scores}{kind}{held_out}",
    }


def loss_curves(run: Path) -> list[Stage]:
    """The plots of every CSV log below the run's folder, by stage, in the order of their first writing."""
    logs = sorted(run.glob("logs/**/*.csv"), key=lambda path: (path.stat().st_mtime, path))
    stages = []
    for path in logs:
        curves = read_log(path)
        if curves:
            stages.append(stage_plots(stage_name(path.relative_to(run / "logs")), curves))
    return stages


def stage_name(path: Path) -> str:
    """`alternate` from `alternate/version_0/metrics.csv`."""
    names = [part for part in path.parts[:-1] if not part.startswith("version_")]
    return " ".join(names).replace("_", " ") or path.stem


def facts(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    keys = ("system", "preset", "seed", "commit", "device", "threads")
    versions = ", ".join(f"{name} {version}" for name, version in (metrics.get("versions") or {}).items())
    return [(key, as_text(metrics.get(key))) for key in keys] + [("versions", versions or "unknown")]


def as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return "unknown" if value is None else str(value)


def timings(run: Path) -> list[tuple[str, str]]:
    """How long each stage took, from `stages.json`, and the scoring, from `timing.json`."""
    stages, scoring = run / "stages.json", run / "timing.json"
    seconds = {stage["stage"]: stage["seconds"] for stage in read_json(stages)} if stages.exists() else {}
    seconds |= read_json(scoring) if scoring.exists() else {}
    return [(name.replace("_", " "), duration(value)) for name, value in seconds.items()]


def duration(seconds: float) -> str:
    """`75.2` as `1 min 15 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def config_text(run: Path) -> str:
    path = run / "config.yaml"
    if not path.exists():
        return ""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OccfitError(
            "The run's configuration can't be read; it is damaged", path, "Delete it"
        ) from error
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
