"""Which of a run's processes this is, as whoever started it says, and whether they have still to be started."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from occfit.errors import OccfitError
from occfit.runs.config import TrainConfig
from occfit.runs.outcome import VARIABLE

STARTED = "OCCFIT_PROCESS"
"""Set in a process that `run_together` has started."""

TORCHRUN = "TORCHELASTIC_RUN_ID"
SLURM_NODES = "SLURM_STEP_NODELIST"
SLURM_TASKS = "SLURM_STEP_NUM_TASKS"
"""What srun sets in each of its tasks; a batch script and an interactive shell count as one."""

SLURM_PORTS = 15000


@dataclass(frozen=True)
class Place:
    """Which of a run's processes this is.

    Attributes:
        rank: its number over all nodes.
        local_rank: its number on this node, which is that of its GPU.
        world: the number of processes over all nodes.
        node: the node's number.
    """

    rank: int
    local_rank: int
    world: int
    node: int = 0

    def variables(self) -> dict[str, str]:
        """The place as torchrun says it."""
        values = {"RANK": self.rank, "LOCAL_RANK": self.local_rank, "WORLD_SIZE": self.world}
        return {name: str(value) for name, value in {**values, "GROUP_RANK": self.node}.items()}


def find_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """The place that `run_together`, torchrun or srun gave this process; None if it is the only one."""
    if STARTED in environment or TORCHRUN in environment:
        names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "GROUP_RANK")
    elif int(environment.get(SLURM_TASKS, 1)) > 1:
        names = ("SLURM_PROCID", "SLURM_LOCALID", SLURM_TASKS, "SLURM_NODEID")
    else:
        return None
    place = Place(*(int(environment.get(name, 0)) for name in names))
    return place if place.world > 1 else None


def meeting_point(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Where the processes meet, as torchrun says it. Under Slurm that is the first node, and the job's port."""
    found = {name: environment[name] for name in ("MASTER_ADDR", "MASTER_PORT") if name in environment}
    if SLURM_NODES not in environment:
        return found
    port = SLURM_PORTS + int(environment["SLURM_JOB_ID"]) % 10000
    return {"MASTER_ADDR": first_host(environment[SLURM_NODES]), "MASTER_PORT": str(port)} | found


def first_host(nodes: str) -> str:
    """The first of Slurm's list of nodes: `gpu[07-09,12],login` begins with `gpu07`."""
    found = re.match(r"([^,\[]+)(?:\[(\d+))?", nodes)
    return "".join(part or "" for part in found.groups()) if found else nodes


def must_start(config: TrainConfig, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the run's processes have still to be started.

    Raises:
        OccfitError: others were started than the configuration asks for, nobody started those of several nodes, they
            can't share a batch evenly, or torchrun or srun started a sweep.
    """
    devices, nodes = config.trainer.devices, config.trainer.num_nodes
    place, wanted = find_place(environment), devices * nodes
    _require_even_shares(config, wanted)
    if place is None:
        if nodes > 1:
            remedy = (
                "Start the same command on every node by torchrun or srun; docs/scale.md has the commands"
            )
            raise OccfitError("Nobody has started the processes", f"trainer.num_nodes={nodes}", remedy)
        return wanted > 1 and bool(config.pipeline)
    if place.world != wanted:
        raise OccfitError(
            f"{place.world} processes were started, but the configuration asks for {wanted}",
            f"trainer.devices={devices}, trainer.num_nodes={nodes}",
            "Their product is the number of processes; trainer.devices counts those of one node",
        )
    if VARIABLE in environment and STARTED not in environment:
        remedy = "Start it without; each of its runs starts the processes that it needs"
        raise OccfitError("A sweep can't run under torchrun or srun", "--multirun", remedy)
    return False


def _require_even_shares(config: TrainConfig, processes: int) -> None:
    for name in config.pipeline:
        batch = getattr(config.stages, name).batch
        if batch % processes:
            raise OccfitError(
                f"{processes} processes can't share a batch of {batch} evenly",
                f"stages.{name}.batch",
                f"Choose a multiple of {processes}, or another trainer.devices",
            )
