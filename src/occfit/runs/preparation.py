"""What a run needs before its first stage: prepared data and a recognition network."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from occfit.cache import cache_dir
from occfit.data.augmentation import Augmentation
from occfit.data.data_source import Splits
from occfit.data.store import PreparedStore
from occfit.data.synthetic import WorldConfig
from occfit.data.synthetic.split_stores import recognition_identities
from occfit.errors import OccfitError
from occfit.face_model.morphable_model import MorphableModel
from occfit.networks.recognition import RecognitionNetwork
from occfit.rendering.rasterize import make_rasterizer
from occfit.rendering.renderer import FaceRenderer
from occfit.runs.build import Networks, derive_seed
from occfit.runs.config import TrainConfig, instantiate
from occfit.runs.machine import Machine
from occfit.runs.side.recognition_training import (
    WEIGHTS,
    IdentityImages,
    RecognitionTraining,
    train_recognition,
    write_recognition,
)
from occfit.runs.stage_keys import recognition_key
from occfit.runs.stage_store import RECORD, StageStore
from occfit.types import FaceParams

RENDER_BATCH = 64


@dataclass(frozen=True)
class Data:
    """Prepared stores and what training does to a sample."""

    splits: Splits
    augmentation: Augmentation


@dataclass(frozen=True)
class Recognition:
    """A recognition network, the digest of the stage that made it, and that stage's record, if one did."""

    network: RecognitionNetwork
    digests: Mapping[str, str]
    records: list[dict[str, Any]]


def prepare_data(config: TrainConfig, face_model: MorphableModel) -> Data:
    """The data of a run, from the cache or made now."""
    return Data(prepare_splits(config.data, face_model, config.size), instantiate(config.augmentation))


def prepare_splits(data: Mapping[str, Any], face_model: MorphableModel, size: int) -> Splits:
    """Every split that the `data=...` configuration names, from the cache or made now.

    Raises:
        OccfitError: a store can't be had, or its pictures aren't `size` pixels wide and high.
    """
    splits = instantiate(data).splits(face_model, cache_dir() / "data")
    for store in splits.stores():
        if store.size != (size, size):
            height, width = store.size
            reason = f"The prepared pictures have {width} x {height} pixels, the run's have {size} x {size}"
            raise OccfitError(
                reason, store.folder, f"Say size={width}, or prepare them again with size={size}"
            )
    return splits


def prepare_recognition(
    config: TrainConfig, machine: Machine, networks: Networks, store: StageStore
) -> Recognition:
    """The recognition network: from its weight file, or trained on synthetic identities, or from the store.

    The identities are drawn on the CPU, where the networks still are, whichever rasterizer they train with.
    """
    wanted = instantiate(config.recognition)
    if isinstance(wanted, RecognitionNetwork):
        return Recognition(wanted, {}, [])
    people = prepare_people(wanted, recognition_world(config, wanted), networks.face_model)
    key = recognition_key(config, machine, {name: pictures.digest for name, pictures in people.items()})
    reused = store.find(key) is not None
    renderer = FaceRenderer(networks.face_model, make_rasterizer("numba"), config.size)
    folder = store.get(key, partial(build_recognition, wanted, people, renderer, key.seed, machine))
    record = {"stage": "recognition", **json.loads((folder / RECORD).read_text()), "reused": reused}
    network = wanted.network(folder / WEIGHTS)
    return Recognition(network, {"recognition": key.digest()}, [record | {"key": key.digest()}])


def recognition_world(config: TrainConfig, training: RecognitionTraining) -> WorldConfig:
    """The world whose people the network learns: the run's, or the standard one at the run's picture size."""
    source = instantiate(config.data)
    world = source if isinstance(source, WorldConfig) else WorldConfig(size=config.size)
    return replace(world, pictures_per_person=training.pictures)


def prepare_people(
    training: RecognitionTraining, world: WorldConfig, face_model: MorphableModel
) -> dict[str, PreparedStore]:
    """Pictures of the people to learn, `seen`, and of others to verify on, `unseen`."""
    make = partial(recognition_identities, world, face_model, cache_dir() / "data")
    return {"seen": make(training.people), "unseen": make(training.unseen, unseen=True)}


def build_recognition(
    training: RecognitionTraining,
    people: Mapping[str, PreparedStore],
    renderer: FaceRenderer,
    seed: int,
    machine: Machine,
    folder: Path,
) -> None:
    """Trains the network and writes it into the stage's folder."""
    started = time.monotonic()
    with progress_bar() as progress:
        task = progress.add_task("recognition", total=training.steps)
        state, report = train_recognition(
            training,
            identity_images(people["seen"], renderer),
            identity_images(people["unseen"], renderer),
            derive_seed(seed, "recognition"),
            machine.precision,
            machine.device,
            on_step=lambda step: progress.update(task, completed=step),
        )
    write_recognition(folder, state, report)
    seconds = round(time.monotonic() - started, 1)
    (folder / RECORD).write_text(json.dumps({"steps": training.steps, "seconds": seconds, **report}))


@torch.no_grad()
def identity_images(store: PreparedStore, renderer: FaceRenderer) -> IdentityImages:
    """A store's pictures, and the rendering of each face by its true parameters. No mask is read."""
    fields = ("image", "params", "identity")
    arrays = {key: torch.from_numpy(value) for key, value in store.arrays(range(len(store)), fields).items()}
    parts = [renderer(FaceParams.from_vector(part)) for part in arrays["params"].split(RENDER_BATCH)]
    renderings = [(part.image.clamp(0, 1) * 255).round().to(torch.uint8) for part in parts]
    return IdentityImages(
        image=arrays["image"].permute(0, 3, 1, 2).contiguous(),
        face_region=torch.cat([part.face_region[:, 0] > 0 for part in parts]),
        rendering=torch.cat(renderings),
        identity=arrays["identity"],
    )


def progress_bar(disable: bool = False) -> Progress:
    """A bar on stderr, with what is done, of how much, and how long the rest will take."""
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=disable,
    )
