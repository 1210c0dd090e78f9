"""What Weights & Biases is told: each stage as a run, its configuration, and a run's scores in the end."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import WandbLogger

from occfit.runs.config import TrainConfig, instantiate
from occfit.runs.outcome import VARIABLE

SCORES = "scores"
"""The job type of the run that a system's scores are in, and the key of their table."""

OFFLINE = "Weights & Biases can't be reached ({}); this run is kept on this machine until `wandb sync {}`"


def begin_wandb(node: Mapping[str, Any], config: TrainConfig, logs: Path, stage: str) -> WandbLogger:
    """A logger whose run has begun, or has begun offline if there is no connection: training goes on either way.

    Args:
        node: the logger's configuration.
        config: the run's configuration.
        logs: the folder of all stages' logs.
        stage: this one, which is the run's job type.
    """
    names = {
        "save_dir": logs,
        "name": stage,
        "job_type": stage,
        "tags": [config.system, config.preset, f"seed {config.seed}"],
    }
    if sweep := os.environ.get(VARIABLE):
        names["group"] = f"sweep {Path(sweep).name[:8]}"
    import wandb

    if wandb.run is not None:  # of a stage that failed before
        wandb.finish()
    logger: WandbLogger = instantiate(node, **names)
    try:
        logger.experiment  # noqa: B018
    except Exception as error:  # of many kinds: no key, no network, an unknown project
        warnings.warn(
            OFFLINE.format(" ".join(str(error).split()), logs / "wandb"), RuntimeWarning, stacklevel=2
        )
        logger = instantiate({**node, "offline": True}, **names)
    logger.experiment.config.update(describe_config(config, stage), allow_val_change=True)
    return logger


def describe_config(config: TrainConfig, stage: str) -> dict[str, Any]:
    """What runs are filtered and grouped by, then the whole configuration."""
    return {**config.plain(), "stage": stage, "objective_name": config.objective.name}


def log_scores(config: TrainConfig, metrics: Mapping[str, Any], logs: Path) -> None:
    """A run of its own for `metrics.json`: a summary `test/glasses/f1` of every score, and a table of all of them.

    Nothing is done where the configuration doesn't log to Weights & Biases.
    """
    nodes = [node for node in config.logger.values() if node["_target_"].endswith("WandbLogger")]
    for node in nodes:
        import wandb

        run = begin_wandb(node, config, logs, SCORES).experiment
        columns: list[str | int] = ["system", "preset", "seed", "test_set", "score", "mean", "std"]
        rows = []
        for test_set, scores in metrics["test_sets"].items():
            for score, value in scores.items():
                if isinstance(value, Mapping) and value.get("mean") is not None and "std" in value:
                    run.summary[f"test/{test_set}/{score}"] = value["mean"]
                    head = [metrics["system"], metrics["preset"], metrics["seed"]]
                    rows.append([*head, test_set, score, value["mean"], value["std"]])
        run.log({SCORES: wandb.Table(columns=columns, data=rows)})
        wandb.finish()
