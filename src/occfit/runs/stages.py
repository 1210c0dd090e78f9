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

from occfit.cache import cache_dir
from occfit.errors import OccfitError
from occfit.runs.build import build_networks, require_assets
from occfit.runs.checkpoint import load_networks, read_checkpoint, write_checkpoint
from occfit.runs.config import TrainConfig
from occfit.runs.initial_weights import begin_with, read_initial_weights
from occfit.runs.machine import prepare_machine
from occfit.runs.preparation import prepare_data, prepare_recognition
from occfit.runs.run_folder import RunFolder
from occfit.runs.stage import STAGES, stages_of
from occfit.runs.stage_keys import stage_key
from occfit.runs.stage_store import RECORD, StageKey, StageStore
from occfit.runs.stage_training import CHECKPOINT, LOGS, Run, checkpoint_within, fit_stage, system_checkpoint

console = Console(stderr=True)
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.WARNING)  # its tips and its list of accelerators


def train(config: TrainConfig, folder: RunFolder) -> Run:
    """Trains every stage that isn't in the store yet and writes the trained system to `checkpoints/last.ckpt`.

    Raises:
        OccfitError: an asset is missing, or the run was stopped; then it says how to go on.
    """
    require_assets(config)
    store = StageStore(cache_dir() / "stages")
    run, records = prepare_run(config, folder, store)
    keys, checkpoint = keys_of(run), system_checkpoint(run, None)
    refuse_foreign_checkpoint(run, [key for key in keys if store.find(key) is None])
    for key in keys:
        finished, reused = get_stage(store, run, key)
        load_networks(run.networks.trained(), read_checkpoint(finished / CHECKPOINT)["state_dict"], finished)
        records.append(collect(finished, folder, key, reused))
        folder.write_stages(records)
        checkpoint = system_checkpoint(run, key)
        write_checkpoint(folder.checkpoints / f"{key.stage}.ckpt", checkpoint)
    write_checkpoint(folder.checkpoint, checkpoint)
    return run


def prepare_run(
    config: TrainConfig, folder: RunFolder, store: StageStore
) -> tuple[Run, list[dict[str, Any]]]:
    """What the stages share, and the records of what was made for it."""
    settings = config.trainer
    machine = prepare_machine(settings.accelerator, settings.precision, settings.threads)
    networks = build_networks(config)
    data = prepare_data(config, networks.face_model)
    if config.pipeline and not data.splits.train:
        raise OccfitError(
            "The data has nothing to train on", "data", "Choose other data, or prepare it with a train split"
        )
    networks.visibility.prepare([part.store for part in data.splits.train.values()])
    if not config.pipeline:
        files = {"face_model": networks.face_model.digest()}
        return Run(config, folder, machine, networks, data, None, files), []
    recognition = prepare_recognition(config, machine, networks, store)
    files = {"face_model": networks.face_model.digest(), **data.splits.digests(), **recognition.digests}
    if config.init is not None:
        initial = read_initial_weights(config.init)
        begin_with(initial, networks, config)
        files["init"] = initial.digest
    return Run(config, folder, machine, networks, data, recognition.network, files), recognition.records


def keys_of(run: Run) -> list[StageKey]:
    """The keys of the run's stages, in order; each names its parent, so all are known before the first is trained."""
    keys: list[StageKey] = []
    for name in stages_of(run.config):
        parent = keys[-1].digest() if keys else None
        keys.append(stage_key(STAGES[name], run.config, run.machine, parent, run.files))
    return keys


def get_stage(store: StageStore, run: Run, key: StageKey) -> tuple[Path, bool]:
    """The finished stage's folder, and whether it was made before, or by a process that this one waited for."""
    made = []

    def build(partial: Path) -> None:
        fit_stage(run, key, partial)
        made.append(key)

    finished = store.get(key, build, on_wait=say_waiting)
    return finished, not made


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
