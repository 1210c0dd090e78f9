"""The state of torch's global generators, as tensors."""

import torch
import torch.distributed
from torch import Tensor


def generator_states() -> dict[str, Tensor]:
    """The CPU generator's state, and the current CUDA device's where CUDA is in use."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_generators(states: dict[str, Tensor]) -> None:
    """Goes on where `generator_states` was called; states of devices that aren't here are ignored."""
    torch.set_rng_state(states["cpu"].cpu())
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"].cpu())


def states_of_all(own: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The states that each process has, by its rank; a collective."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [own]
    states = [own] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(states, own)
    return states
