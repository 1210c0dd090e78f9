"""A training run, from its configuration to a trained system.

    data -> recognition -> initialise -> warm_up -> alternate

Each stage starts from the one before it, has its own steps, batch size and optimizers, and is taken from the stage
store where it is finished there.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn

from occfit.cache import cache_dir
from occfit.errors import OccfitError
from occfit.runs.build import Networks, build_networks, require_assets
from occfit.runs.checkpoint import load_networks, read_checkpoint, write_checkpoint
from occfit.runs.config import TrainConfig
from occfit.runs.group.processes import ALONE, Group
from occfit.runs.initial_weights import begin_with, read_initial_weights
from occfit.runs.machine import Machine, prepare_machine
from occfit.runs.preparation import prepare_data, prepare_recognition
from occfit.runs.run_folder import RunFolder
from occfit.runs.stage import STAGES, stages_of
from occfit.runs.stage_keys import stage_key
from occfit.runs.stage_store import RECORD, StageKey, StageStore
from occfit.runs.stage_training import (
    CHECKPOINT,
    LOGS,
    Run,
    checkpoint_within,
    fit_stage,
    system_checkpoint,
    train_stage,
)

MUST_TRAIN, IS_FINISHED = "train", "finished"
"""What the first process tells of a stage."""

console = Console(stderr=True)
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.WARNING)  # its tips and its list of accelerators


def train(config: TrainConfig, folder: RunFolder, group: Group = ALONE) -> Run:
    """Trains every stage that isn't in the store yet and writes the trained system to `checkpoints/last.ckpt`.

    All processes of the group have to call it; the first one asks the store and writes.

    Raises:
        OccfitError: an asset is missing, or the run was stopped; then it says how to go on.
    """
    require_assets(config)
    store = StageStore(cache_dir() / "stages")
    run, records = prepare_run(config, folder, store, group)
    keys, checkpoint = keys_of(run), system_checkpoint(run, None)
    if group.is_first:
        refuse_foreign_checkpoint(run, [key for key in keys if store.find(key) is None])
    for key in keys:
        finished, reused = get_stage(store, run, key)
        load_networks(run.networks.trained(), read_checkpoint(finished / CHECKPOINT)["state_dict"], finished)
        checkpoint = system_checkpoint(run, key)
        if group.is_first:
            records.append(collect(finished, folder, key, reused))
            folder.write_stages(records)
            write_checkpoint(folder.checkpoints / f"{key.stage}.ckpt", checkpoint)
    if group.is_first:
        write_checkpoint(folder.checkpoint, checkpoint)
    return run


def prepare_run(
    config: TrainConfig, folder: RunFolder, store: StageStore, group: Group = ALONE
) -> tuple[Run, list[dict[str, Any]]]:
    """What the stages share, and the records of what was made for it.

    The first process makes what is missing, alone; then the others open it.
    """
    settings = config.trainer
    here = settings.devices if group.world > 1 else 1
    machine = prepare_machine(settings.accelerator, settings.precision, settings.threads, group.world, here)
    networks = build_networks(config)
    require_shareable(networks, machine)
    data = group.in_turn(lambda: prepare_data(config, networks.face_model))
    if config.pipeline and not data.splits.train:
        remedy = "Choose other data, or prepare some with a train split"
        raise OccfitError("The data has nothing to train on", "data", remedy)
    networks.visibility.prepare([part.store for part in data.splits.train.values()])
    if not config.pipeline:
        files = {"face_model": networks.face_model.digest()}
        return Run(config, folder, machine, networks, data, None, files, group), []
    recognition = group.in_turn(lambda: prepare_recognition(config, machine, networks, store))
    files = {"face_model": networks.face_model.digest(), **data.splits.digests(), **recognition.digests}
    if config.init is not None:
        initial = read_initial_weights(config.init)
        begin_with(initial, networks, config)
        files["init"] = initial.digest
    run = Run(config, folder, machine, networks, data, recognition.network, files, group)
    return run, recognition.records


def require_shareable(networks: Networks, machine: Machine) -> None:
    """Checks that a network's answer to a batch is the same when several processes share the batch.

    Raises:
        OccfitError: it has statistics of the batch, which torch adds up over processes on GPUs only.
    """
    learning = (networks.encoder, networks.segmenter)
    modules = (module for network in learning if network is not None for module in network.modules())
    has_statistics = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules)
    if has_statistics and machine.processes > 1 and machine.device == "cpu":
        raise OccfitError(
            "Batch normalisation over several processes needs GPUs",
            f"trainer.devices={machine.processes}",
            "Train with one process, or with encoder=small, which has none",
        )


def keys_of(run: Run) -> list[StageKey]:
    """The keys of the run's stages, in order; each names its parent, so all are known before the first is trained."""
    keys: list[StageKey] = []
    for name in stages_of(run.config):
        parent = keys[-1].digest() if keys else None
        keys.append(stage_key(STAGES[name], run.config, run.machine, parent, run.files))
    return keys


def get_stage(store: StageStore, run: Run, key: StageKey) -> tuple[Path, bool]:
    """The finished stage's folder, and whether it was made before, or by a process that this one waited for.

    In a group the first process asks the store and tells the others when it is to be trained, and when it is finished.
    """
    require_same_key(run.group, key)
    if not run.group.is_first:
        return follow_stage(store, run, key), True
    made = []

    def build(partial: Path) -> None:
        run.group.tell(MUST_TRAIN)
        fit_stage(run, key, partial)
        made.append(key)

    finished = store.get(key, build, on_wait=say_waiting)
    run.group.tell(IS_FINISHED)
    return finished, not made


def require_same_key(group: Group, key: StageKey) -> None:
    """Checks that all processes would train the same.

    Raises:
        OccfitError: another node has other versions, threads or files than the first process's.
    """
    if group.decide(key.digest) != key.digest():
        raise OccfitError(
            f"Process {group.rank} would train something else than the first process",
            f"stage '{key.stage}'",
            "All nodes need the same versions of occfit and torch, threads and files",
        )


def follow_stage(store: StageStore, run: Run, key: StageKey) -> Path:
    """A stage in a process that isn't the first: trained with the others, or taken from the store like theirs.

    Raises:
        OccfitError: what the first process has finished can't be found here.
    """
    if run.group.hear() == MUST_TRAIN:
        train_stage(run, key)
        run.group.hear()
    if found := store.find(key):
        return found
    remedy = "Set OCCFIT_CACHE to a folder that all nodes share"
    raise OccfitError(f"Process {run.group.rank} can't find the finished stage", store.root, remedy)


def refuse_foreign_checkpoint(run: Run, unfinished: Sequence[StageKey]) -> None:
    """Looks at the checkpoint that `resume=true` goes on from before an earlier stage, trained anew, replaces it.

    Raises:
        OccfitError: it is of another machine or version.
    """
    for key in unfinished:
        checkpoint_within(run, key)


def collect(finished: Path, folder: RunFolder, key: StageKey, reused: bool) -> dict[str, Any]:
    """Copies a finished stage's logs into the run's folder, and says what it was."""
    logs = folder.logs / key.stage
    if reused and (finished / LOGS).is_dir():
        shutil.rmtree(logs, ignore_errors=True)
        shutil.copytree(finished / LOGS, logs)
    record = json.loads((finished / RECORD).read_text())
    return {"stage": key.stage, **record, "reused": reused, "key": key.digest()}


def say_waiting() -> None:
    console.print("Another process trains this stage already; waiting for it.")
