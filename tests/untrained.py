"""A run's folder as training leaves it, with networks that have learned nothing, for tests of what comes after."""

from pathlib import Path

import yaml

from occfit.runs.build import build_networks
from occfit.runs.checkpoint import describe_system, network_state, write_checkpoint
from occfit.runs.config import compose

LOG = "step,train/segmentation/area,train/segmentation/total,val/f1\n1,0.5,2.0,\n2,0.25,1.0,0.9\n"


def write_run(folder: Path) -> Path:
    """Writes the checkpoints, the configuration and a log; returns the path of `last.ckpt`."""
    config = compose(["preset=smoke", "data.test=6"])
    networks = build_networks(config)
    digest = networks.face_model.digest()
    for stage, name in [("initialise", "initialise"), ("alternate", "last")]:
        content = {
            "occfit": describe_system(config.plain(), digest, stage=stage),
            "state_dict": network_state(networks.trained()),
        }
        write_checkpoint(folder / "checkpoints" / f"{name}.ckpt", content)
    (folder / "config.yaml").write_text(yaml.safe_dump(config.plain()))
    log = folder / "logs" / "alternate" / "metrics.csv"
    log.parent.mkdir(parents=True)
    log.write_text(LOG)
    (folder / "stages.json").write_text('[{"stage": "alternate", "steps": 12, "seconds": 75.0}]')
    return folder / "checkpoints" / "last.ckpt"
