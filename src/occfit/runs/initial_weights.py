"""Weights of another run, or of a released system, that a training begins with (`init=`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occfit.errors import OccfitError
from occfit.runs.build import Networks
from occfit.runs.checkpoint import load_networks, read_checkpoint
from occfit.runs.config import TrainConfig
from occfit.runs.released import SMALL, WEIGHTS, read_release
from occfit.runs.stage import stages_of
from occfit.runs.stage_store import file_digest

SHIPPED = "shipped"
"""What `init=` calls the system that comes with the package."""


@dataclass(frozen=True)
class InitialWeights:
    """A trained system to begin with.

    Attributes:
        where: its file or folder.
        entry: what it says of itself.
        state: the networks' entries.
        digest: its weights' file's, for the keys of the stages that begin with it.
    """

    where: Path
    entry: dict[str, Any]
    state: dict[str, Any]
    digest: str


def read_initial_weights(init: str) -> InitialWeights:
    """The system that `init=` names: `shipped`, a run's checkpoint, or a released system's folder.

    Raises:
        OccfitError: it is missing, damaged or of another version.
    """
    where = SMALL if init == SHIPPED else Path(init)
    content = read_release(where) if where.is_dir() else read_checkpoint(where)
    digest = file_digest(where / WEIGHTS if where.is_dir() else where)
    return InitialWeights(where, content["occfit"], content["state_dict"], digest)


def begin_with(initial: InitialWeights, networks: Networks, config: TrainConfig) -> None:
    """Puts the system's encoder and segmenter into a run's networks.

    Raises:
        OccfitError: they are of another size, face model or architecture, or the run's first stage needs a segmenter
            and there is none.
    """
    entry, where = initial.entry, initial.where
    if entry["size"] != config.size:
        reason = f"init= was trained on pictures of {entry['size']} px, this run has {config.size}"
        raise OccfitError(reason, where, f"Say size={entry['size']}")
    if entry["face_model"] != networks.face_model.digest():
        reason = "init= was trained with another face model, whose parameters mean something else"
        raise OccfitError(reason, where, "Say face_model=... as it was there, or train from the start")
    found = {
        name: network for name, network in networks.trained().items() if name in ("encoder", "segmenter")
    }
    if not any(key.startswith("segmenter.") for key in initial.state):
        found.pop("segmenter", None)
        if stages_of(config)[0] == "alternate":
            remedy = "Begin with a system that has one, of pipeline=proposed for instance"
            raise OccfitError("init= has no segmenter, with which the alternation begins", where, remedy)
    try:
        load_networks(found, initial.state, where)
    except OccfitError as error:
        theirs = ", ".join(
            f"{name}.{key}={value}"
            for name in found
            for key, value in entry["config"][name].items()
            if isinstance(value, int | str) and key not in ("_target_", "weights")
        )
        raise OccfitError(error.what, where, f"It was trained with {theirs}") from error
