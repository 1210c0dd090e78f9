"""One stage: its module, its Trainer, its checkpoints and its logs."""

import json
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.strategies import DDPStrategy

from occfit.data.datamodule import FaceDataModule
from occfit.errors import OccfitError
from occfit.method.module import OccFit
from occfit.metrics.collection import FaceScores
from occfit.networks.recognition import RecognitionNetwork
from occfit.runs.build import Networks, derive_seed
from occfit.runs.callbacks.collapse import CollapseGuard
from occfit.runs.callbacks.progress import StageProgress
from occfit.runs.callbacks.stage_checkpoint import StageCheckpoint, signals_held
from occfit.runs.callbacks.validation_pictures import ValidationPictures
from occfit.runs.checkpoint import describe_system, network_state, read_checkpoint, write_checkpoint
from occfit.runs.config import TrainConfig, instantiate
from occfit.runs.group.processes import ALONE, Group
from occfit.runs.logs.csv_log import CSVLog
from occfit.runs.logs.wandb_log import begin_wandb
from occfit.runs.machine import Machine
from occfit.runs.preparation import Data
from occfit.runs.run_folder import RunFolder
from occfit.runs.stage import STAGES
from occfit.runs.stage_store import RECORD, StageKey

CHECKPOINT = "stage.ckpt"
LOGS = "logs"
WANDB = "lightning.pytorch.loggers.WandbLogger"


@dataclass(frozen=True)
class Run:
    """What the stages of one run share.

    Attributes:
        recognition: None where no stage needs one.
        files: digests of what came from outside the run's configuration, by what it is.
        group: the processes that train together.
    """

    config: TrainConfig
    folder: RunFolder
    machine: Machine
    networks: Networks
    data: Data
    recognition: RecognitionNetwork | None
    files: Mapping[str, str]
    group: Group = ALONE


def fit_stage(run: Run, key: StageKey, partial: Path) -> None:
    """Trains a stage, from the run's checkpoint within it if there is one, into the folder `partial`.

    Raises:
        OccfitError: the run was stopped; its checkpoint says how far it came.
    """
    started = time.monotonic()
    trainer = train_stage(run, key)
    write_checkpoint(partial / CHECKPOINT, system_checkpoint(run, key))
    logs = run.folder.logs / key.stage
    if logs.is_dir():  # not after fewer steps than a line of the log needs
        shutil.copytree(logs, partial / LOGS)
    record = {"steps": trainer.global_step, "seconds": round(time.monotonic() - started, 1)}
    (partial / RECORD).write_text(json.dumps(record))


def train_stage(run: Run, key: StageKey) -> Trainer:
    """Trains a stage's networks, together with the run's other processes; raises as `fit_stage` does."""
    torch.manual_seed(derive_seed(key.seed, key.stage, "networks", *rank_names(run.group)))
    module = make_module(run, key)
    trainer, loader = make_trainer(run, key, module), make_data(run, key, module)
    is_resumed = run.group.decide(lambda: checkpoint_within(run, key) is not None)
    resumed = run.folder.checkpoint if is_resumed else None
    begun = read_checkpoint(resumed)["global_step"] if resumed else 0
    for logger in trainer.loggers:
        if isinstance(logger, CSVLog):
            logger.begin(begun)
    with expected_warnings(), closing(trainer.loggers), signals_held():
        trainer.fit(module, datamodule=loader, ckpt_path=resumed, weights_only=True)
    return trainer


def rank_names(group: Group) -> list[str]:
    """What tells the random numbers that a process's networks draw from those of the first."""
    return [] if group.is_first else [f"process {group.rank}"]


@contextmanager
def expected_warnings() -> Iterator[None]:
    """Hides what Lightning says of choices that were made on purpose."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*module\(s\) in eval mode at the start of training.*")
        warnings.filterwarnings("ignore", message=r".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=r".*your dataloader is not resumable.*")
        warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
        warnings.filterwarnings("ignore", message=r".*`broadcast_buffers` is deprecated.*")
        yield


@contextmanager
def closing(loggers: list[Logger]) -> Iterator[None]:
    """Ends the stage's run at Weights & Biases: the next stage would go on in it, its steps counted from 0 again."""
    try:
        yield
    finally:
        if any(isinstance(logger, WandbLogger) for logger in loggers):
            import wandb

            wandb.finish()


def make_module(run: Run, key: StageKey) -> OccFit:
    """The module of a stage: see the table in `OccFit`'s docstring."""
    stage, networks = STAGES[key.stage], run.networks
    return OccFit(
        face_renderer=networks.renderer,
        encoder=networks.encoder,
        segmenter=networks.segmenter if stage.has_segmenter else None,
        recognition=run.recognition,
        objectives=stage.make_objectives(run.config),
        schedule=stage.make_schedule(run.config),
        learning=stage.make_learning(run.config),
        visibility=stage.system_mask(run.config, networks.visibility),
        teacher=stage.teacher(networks.visibility),
        scores=FaceScores(),
        description=describe(run, key),
    )


def make_data(run: Run, key: StageKey, module: OccFit) -> FaceDataModule:
    """Endless batches from the module's `data_position` on, since a bad batch is followed by one more."""
    return FaceDataModule(
        run.data.splits.train,
        run.data.splits.validation,
        batch_size=key.batch,
        first_batch=lambda: module.data_position,
        seed=derive_seed(key.seed, key.stage, "data"),
        augmentation=run.data.augmentation,
        labels=module.needs_labels,
        workers=run.config.trainer.workers,
    )


def describe(run: Run, key: StageKey | None) -> dict[str, Any]:
    """A checkpoint's `occfit` entry: plain containers only."""
    stage = {} if key is None else {"stage": key.stage, "stage_key": key.digest()}
    return describe_system(run.config.plain(), run.networks.face_model.digest(), **stage)


def system_checkpoint(run: Run, key: StageKey | None) -> dict[str, Any]:
    """The system after a stage; with no stage, of a system that fits without training, it has no weights."""
    state = {} if key is None else network_state(run.networks.trained())
    return {"occfit": describe(run, key), "state_dict": state}


def checkpoint_within(run: Run, key: StageKey) -> Path | None:
    """The run's checkpoint, if `resume=true` and it is from within this stage.

    Raises:
        OccfitError: it is from within this stage, but of another configuration, machine or version.
    """
    path = run.folder.checkpoint
    if not run.config.resume or not path.exists():
        return None
    checkpoint = read_checkpoint(path)
    if "loops" not in checkpoint or checkpoint["occfit"]["stage"] != key.stage:
        return None
    if checkpoint["occfit"]["stage_key"] != key.digest():
        raise OccfitError(
            "The checkpoint is from another machine or another version of occfit or torch",
            path,
            "Delete it to begin this stage again, or use the same threads, precision, processes and versions",
        )
    return path


def make_trainer(run: Run, key: StageKey, module: OccFit) -> Trainer:
    """Only the first process logs. Buffers aren't sent around in each step, since they are the same everywhere."""
    settings, steps = run.config.trainer, STAGES[key.stage].length(run.config).steps
    is_shared = run.group.world > 1
    return Trainer(
        accelerator="gpu" if run.machine.device == "cuda" else "cpu",
        devices=settings.devices if is_shared else 1,
        num_nodes=settings.num_nodes if is_shared else 1,
        strategy=DDPStrategy(find_unused_parameters=module.has_idle_network, broadcast_buffers=False)
        if is_shared
        else "auto",
        plugins=TorchElasticEnvironment() if is_shared else None,
        sync_batchnorm=is_shared and run.machine.device == "cuda",
        precision=run.machine.precision,  # type: ignore[arg-type]
        max_steps=steps,
        max_epochs=-1,
        logger=make_loggers(run.config, run.folder.logs / key.stage) if run.group.is_first else [],
        callbacks=make_callbacks(run, key),
        log_every_n_steps=settings.log_every,
        val_check_interval=settings.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=run.folder.path,
    )


def make_loggers(config: TrainConfig, logs: Path) -> list[Logger]:
    """The configured loggers, all of which write into the folder `logs`, called after the stage."""
    return [
        begin_wandb(node, config, logs.parent, logs.name)
        if node["_target_"] == WANDB
        else instantiate(node, save_dir=logs.parent, name=logs.name)
        for node in config.logger.values()
    ]


def make_callbacks(run: Run, key: StageKey) -> list[Callback]:
    settings = run.config.trainer
    watching = [StageProgress(key.stage)] if settings.progress else []
    return [
        CollapseGuard(),
        ValidationPictures(),
        *watching,
        StageCheckpoint(key.stage, run.folder.checkpoint, settings.save_every),
    ]
