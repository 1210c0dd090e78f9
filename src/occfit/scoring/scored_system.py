"""Scores a checkpoint and writes what a run's folder keeps of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from occfit.data.data_source import Splits
from occfit.errors import OccfitError
from occfit.fitting.face_system import Explain, FaceSystem, System, build_system
from occfit.fitting.refine import RefinedSystem
from occfit.runs.checkpoint import read_checkpoint
from occfit.runs.config import TrainConfig, parse_training
from occfit.runs.machine import describe_machine
from occfit.runs.preparation import prepare_splits
from occfit.scoring.canonical import write_json, write_text
from occfit.scoring.picture_scores import evaluate
from occfit.scoring.results import INITIALISATION, SYSTEM, metrics_document, scores_table


@dataclass(frozen=True)
class Trained:
    """A run's systems and the configuration they come from.

    Attributes:
        systems: `SYSTEM`, and `INITIALISATION` where its checkpoint lies beside the system's.
    """

    config: TrainConfig
    systems: Mapping[str, System]


def evaluate_run(
    checkpoint: Path,
    output: Path,
    device: str = "cpu",
    splits: Splits | None = None,
    refined: bool = False,
    progress: bool = False,
) -> dict[str, Any]:
    """Scores a checkpoint and, beside it, the run's initialisation; each test picture once.

    Writes `metrics.json`; `scores.csv`, every picture's scores; and `timing.json`. The first two are the same
    bytes whenever the scores are.

    Args:
        checkpoint: a run's checkpoints/last.ckpt; its initialise.ckpt lies beside it.
        output: the folder to write to.
        device: to compute on.
        splits: the data whose test sets are scored; by default the run's own. True parameters in them are of the
            run's face model.
        refined: fit every picture from the system's estimate, as `occfit predict` does; the system is then called
            NAME_refined.
        progress: show a live bar.

    Returns:
        The content of `metrics.json`.

    Raises:
        OccfitError: the checkpoint can't be used, or the folder can't be written.
    """
    started = time.monotonic()
    trained = load_run(checkpoint, device)
    splits = run_splits(trained) if splits is None else splits
    systems, config = dict[str, Explain](trained.systems), trained.config
    if refined:
        systems[SYSTEM] = RefinedSystem(require_encoder(trained.systems[SYSTEM], checkpoint))
        config = replace(config, system=f"{config.system}_refined")
    scores = evaluate(
        systems,
        splits.test,
        trained.systems[SYSTEM].renderer,
        splits.sets,
        device=device,
        progress=progress,
    )
    metrics = metrics_document(scores, splits, config, describe_machine(device))
    write_text(output / "scores.csv", scores_table(scores))
    write_json(output / "timing.json", {"scoring": round(time.monotonic() - started, 1)})
    write_json(output / "metrics.json", metrics)
    return metrics


def require_encoder(system: System, checkpoint: Path) -> FaceSystem:
    """The system, if there is an estimate to refine.

    Raises:
        OccfitError: it fits every picture anyway.
    """
    if not isinstance(system, FaceSystem):
        raise OccfitError("The system has no encoder whose estimate could be refined", checkpoint)
    return system


def load_run(checkpoint: Path, device: str = "cpu") -> Trained:
    """The systems of a run.

    Raises:
        OccfitError: a checkpoint can't be used.
    """
    content = read_checkpoint(checkpoint)
    systems = {SYSTEM: build_system(content, checkpoint).to(device)}
    initial = checkpoint.with_name("initialise.ckpt")
    if content["occfit"].get("stage") != "initialise" and initial.exists():
        systems[INITIALISATION] = build_system(read_checkpoint(initial), initial).to(device)
    return Trained(parse_training(content["occfit"]["config"]), systems)


def run_splits(trained: Trained) -> Splits:
    """A run's own data, from the cache or made now."""
    config = trained.config
    return prepare_splits(config.data, trained.systems[SYSTEM].renderer.face_model, config.size)
