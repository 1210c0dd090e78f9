"""A training of two processes, of which the second gets a bad batch, and that then goes on from its checkpoint.

Each process writes what it has in the end.

torchrun --nproc-per-node 2 two_processes.py FOLDER
"""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import tiny_world
import torch
import torch.distributed

from occfit.method.schedule import Phase
from occfit.types import FaceBatch


def choose(batch: Callable[[int], FaceBatch], number: int) -> FaceBatch:
    """Batches of its own for each process; the second one's third is NaN."""
    rank = torch.distributed.get_rank()
    own = batch(2 * number + rank)
    return replace(own, image=own.image * torch.nan) if (number, rank) == (2, 1) else own


def main(folder: Path) -> None:
    renderer = tiny_world.make_renderer()
    module = tiny_world.make_module(renderer)
    torch.manual_seed(int(os.environ["RANK"]))
    data = tiny_world.TinyData(tiny_world.make_faces(renderer), choose)
    options = {
        "devices": 2,
        "strategy": "ddp_find_unused_parameters_true",
        "use_distributed_sampler": False,
        "default_root_dir": folder,
    }
    trainer = tiny_world.fit(module, data, steps=7, **options)
    state = {
        "weights": {name: parameter.detach() for name, parameter in module.named_parameters()},
        "price": module.objective(Phase.SEGMENTATION).quantities()["price"],
        "clock": (trainer.global_step, module.data_position, module.bad_batches),
    }
    torch.save(state, folder / f"rank{trainer.global_rank}.pt")
    trainer.save_checkpoint(folder / "last.ckpt")
    tiny_world.fit(module, data, steps=8, resume=folder / "last.ckpt", **options)
    torch.save(torch.get_rng_state(), folder / f"generator{trainer.global_rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
