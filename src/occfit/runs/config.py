"""A run's configuration: composed by Hydra from conf/, closed by a schema, called from a whitelist."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import Field, NonNegativeInt, PositiveInt, TypeAdapter

from occfit.errors import OccfitError, nearest
from occfit.runs.schema import Component, check

StageName = Literal["initialise", "warm_up", "alternate", "reconstruct"]
Side = Annotated[int, Field(ge=16)]
"""Of an aligned picture, in pixels."""
FolderName = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class StageConfig:
    """One stage's length. `batch` counts the images of a step over all processes."""

    steps: PositiveInt
    batch: PositiveInt


@dataclass(frozen=True)
class StagesConfig:
    initialise: StageConfig
    warm_up: StageConfig
    alternate: StageConfig
    reconstruct: StageConfig


@dataclass(frozen=True)
class ObjectivesConfig:
    name: str
    initialisation: Component
    warm_up: Component
    reconstruction: Component
    segmentation: Component


@dataclass(frozen=True)
class LearningConfig:
    """Which network learns when in a stage, and how; a network without an entry doesn't."""

    schedule: Component
    encoder: Component | None = None
    segmenter: Component | None = None


@dataclass(frozen=True)
class OptimizersConfig:
    initialise: LearningConfig
    warm_up: LearningConfig
    alternate: LearningConfig
    reconstruct: LearningConfig


@dataclass(frozen=True)
class TrainerConfig:
    """How and where steps are computed.

    Attributes:
        accelerator: auto is the GPU where there is one.
        precision: auto is bf16-mixed where the device computes it faster than float32; never fp16.
        threads: CPU threads of torch, numba and OpenCV; null is one a core this process may use.
        workers: processes that load data; 0 loads in the main one.
        save_every: steps between two checkpoints within a stage.
        log_every: steps between two lines of the log.
        validate_every: steps between two looks at the validation images.
        progress: show a live bar.
        devices: processes on each node that train together, one a GPU, or any number on the CPU.
        num_nodes: machines that train together.
        strategy: auto is ddp where there are several processes.
    """

    accelerator: Literal["auto", "cpu", "gpu"]
    precision: Literal["auto", "32-true", "bf16-mixed"]
    threads: PositiveInt | None
    workers: NonNegativeInt
    save_every: PositiveInt
    log_every: PositiveInt
    validate_every: PositiveInt
    progress: bool
    devices: PositiveInt = 1
    num_nodes: PositiveInt = 1
    strategy: Literal["auto", "ddp"] = "auto"


@dataclass(frozen=True)
class TrainConfig:
    """The top level of conf/train.yaml. Nothing else may stand there.

    `fitting` explains test pictures one by one, where no stage trains a network for it. `init` names a trained system
    whose networks the first stage begins with: a checkpoint, a released system's folder, or `shipped`.
    """

    system: str
    preset: str
    seed: int
    output: FolderName
    resume: bool
    size: Side
    pipeline: list[StageName]
    stages: StagesConfig
    data: Component
    augmentation: Component
    face_model: Component
    rasterizer: Component
    encoder: Component
    segmenter: Component
    recognition: Component
    visibility: Component
    objective: ObjectivesConfig
    optimizer: OptimizersConfig
    trainer: TrainerConfig
    logger: Mapping[str, Component]
    fitting: Component | None = None
    init: str | None = None

    def plain(self) -> dict[str, Any]:
        """The configuration as plain containers, as checkpoints and `config.yaml` keep it."""
        return asdict(self)


@dataclass(frozen=True)
class EvaluateConfig:
    """The top level of conf/evaluate.yaml."""

    checkpoint: str | None
    predictions: str | None
    pictures: str | None
    refine: bool
    system: str
    preset: str
    seed: int
    output: FolderName
    size: Side
    accelerator: Literal["auto", "cpu", "gpu"]
    threads: PositiveInt | None
    data: Component | None = None


@dataclass(frozen=True)
class PrepareConfig:
    """The top level of conf/prepare.yaml. What sources share stands here, and their own files refer to it."""

    source: Component
    output: FolderName
    root: str | None
    landmarks: str | None
    masks: str | None
    tags: str | None
    splits: Mapping[str, str | None] | None
    store: str | None
    size: Side
    seed: NonNegativeInt
    workers: NonNegativeInt | None
    detector: Literal["builtin", "dlib", "fan"]
    limit: PositiveInt | None


SCHEMAS: dict[str, type] = {"train": TrainConfig, "evaluate": EvaluateConfig, "prepare": PrepareConfig}


def conf_dir() -> Path:
    """The folder of the configuration: inside the installed package, or beside `src` in a checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "conf"
    return packaged if packaged.is_dir() else package.parents[1] / "conf"


def compose(overrides: Sequence[str] = ()) -> TrainConfig:
    """The checked, resolved configuration of a training run.

    Raises:
        OccfitError: an override names something that doesn't exist or has the wrong type.
    """
    return parse_training(compose_plain("train", overrides))


def compose_plain(name: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The checked, resolved configuration of conf/`name`.yaml as plain containers; see `compose`."""
    try:
        return resolve(_compose(name, overrides), name)
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, name) from error


def parse_training(plain: Any, where: object | None = None) -> TrainConfig:
    """Plain containers as a training run's configuration.

    Args:
        where: the file that they come from, if it is a foreign one.

    Raises:
        OccfitError: a key is unknown or missing, a value has the wrong type, or a `_target_` may not be called.
    """
    try:
        check(plain, TrainConfig)
    except OccfitError as error:
        raise OccfitError(error.what, error.where or where, error.remedy) from error
    return _training_schema().validate_python(plain)


@cache
def _training_schema() -> TypeAdapter[TrainConfig]:
    return TypeAdapter(TrainConfig)


def parse_evaluation(plain: Mapping[str, Any]) -> EvaluateConfig:
    """Plain containers as the configuration of a scoring; raises as `parse_training` does."""
    check(plain, EvaluateConfig)
    return TypeAdapter(EvaluateConfig).validate_python(plain)


def parse_preparation(plain: Mapping[str, Any]) -> PrepareConfig:
    """Plain containers as the configuration of a preparation; raises as `parse_training` does."""
    check(plain, PrepareConfig)
    return TypeAdapter(PrepareConfig).validate_python(plain)


def _compose(name: str, overrides: Sequence[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return hydra.compose(name, list(overrides))


def resolve(config: DictConfig, name: str = "train") -> dict[str, Any]:
    """The configuration with every interpolation replaced, checked against the schema of conf/`name`.yaml."""
    try:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise explain(error, name) from error
    assert isinstance(resolved, dict)
    check(resolved, SCHEMAS[name])
    return {str(key): value for key, value in resolved.items()}


def instantiate(node: Mapping[str, Any], **kwargs) -> Any:
    """Calls what a node's `_target_` names, after checking it, since the node may come from a file.

    Hydra sees what was checked and nothing else: `kwargs` are handed on as they are, and are never taken for nodes.

    Raises:
        OccfitError: the node isn't plain data, or calls what it may not.
    """
    check(node, Component)
    try:
        call = hydra.utils.instantiate({**node, "_partial_": True}, _convert_="all")
    except InstantiationException as error:
        raise (error.__cause__ or error) from None
    if not node.get("_partial_"):
        return call(**kwargs)
    return partial(call, **kwargs) if kwargs else call


def explain(error: Exception, name: str) -> OccfitError:
    """Hydra's and OmegaConf's errors in the project's words: what is wrong and the nearest right name."""
    message = str(error)
    if isinstance(error, OverrideParseException):
        return OccfitError(
            f"'{error.override}' can't be read", remedy="Write KEY=VALUE, with quotes around lists"
        )
    if found := re.search(r"Could not load '(\w+)/([^']+)'", message):
        group, wrong = found.groups()
        options = [path.stem for path in (conf_dir() / group).glob("*.yaml")]
        return OccfitError(f"There is no {group}={wrong}", remedy=nearest(wrong, options))
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, wrong = (error.missing_cfg_file or "").rpartition("/")
        return OccfitError(f"There is no {group}={wrong}", remedy=nearest(wrong, error.options))
    if found := re.search(r"Could not override '([^']+)'", message):
        return _unknown_key(found.group(1), name)
    if found := re.search(r"full_key: (\S+)", message):
        reason = message.splitlines()[0].rstrip(".")
        if "Missing mandatory value" in message:
            inner = re.search(r"interpolation: Missing mandatory value: ([\w.]+)", message)
            key = (inner or found).group(1)
            return OccfitError(f"'{key}' has no default", remedy=f"Say {key}=...")
        return OccfitError(reason, found.group(1))
    return OccfitError(" ".join(message.split()), remedy=f"`occfit {name} --help` shows what can be set")


def _unknown_key(key: str, name: str) -> OccfitError:
    """Names the deepest existing node of `key` and the nearest of its children."""
    node: Any = _compose(name, ())
    known: list[str] = []
    parts = key.split(".")
    for part in parts:
        if not isinstance(node, DictConfig) or part not in node:
            break
        known.append(part)
        node = node._get_node(part)
    options = [str(option) for option in node] if isinstance(node, DictConfig) else []
    if len(known) == len(parts):
        return OccfitError(f"'{key}' can't be set")
    return OccfitError(f"Unknown key '{key}'", remedy=nearest(parts[len(known)], options))
