"""The processes of one run, as each of them sees the others.

All run the same code and meet in the training step. Only the first one writes files, prints, and asks the stage store
what is finished. It tells the others what it has decided through torch's key-value store. Telling isn't a collective:
who wants to hear looks again and again, for however long it takes. So nobody waits in a collective while somebody else
waits for a file lock, and Ctrl-C is heard meanwhile.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from occfit.errors import OccfitError
from occfit.runs.config import TrainerConfig
from occfit.runs.group.launch import DesertedError
from occfit.runs.group.place import Place, find_place, meeting_point
from occfit.runs.machine import resolve_accelerator

LOOK_EVERY = 0.1
JOINING = timedelta(minutes=5)
COLLECTIVE = timedelta(minutes=30)
PARTING_SECONDS = 30.0
FAILED = "failed"

Answer = TypeVar("Answer")


class Group:
    """A process's view of the run's processes.

    Args:
        rank: this one's number; the first process is 0.
        world: the number of processes.
        store: what they tell each other through; None if this is the only one.
    """

    def __init__(self, rank: int = 0, world: int = 1, store: Store | None = None):
        self.rank, self.world = rank, world
        self._store = store
        self._told = 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def tell(self, value: Any) -> None:
        """Tells the others a plain value, in the first process."""
        if self._store is not None:
            self._store.set(self._next(), json.dumps(value))

    def hear(self) -> Any:
        """Waits for what the first process tells next, in the others.

        Raises:
            DesertedError: the first process has ended.
        """
        assert self._store is not None
        key = self._next()
        try:
            while not self._store.check([key]):
                if self._store.check([FAILED]):
                    raise RuntimeError(FAILED)
                time.sleep(LOOK_EVERY)
            return json.loads(self._store.get(key))
        except RuntimeError as error:
            raise DesertedError("The first process has ended", remedy="Its own message says why") from error

    def _next(self) -> str:
        self._told += 1
        return f"told/{self._told}"

    def decide(self, decision: Callable[[], Answer]) -> Answer:
        """What the first process decides, in all of them; a plain value."""
        if not self.is_first:
            return self.hear()
        answer = decision()
        self.tell(answer)
        return answer

    def in_turn(self, work: Callable[[], Answer]) -> Answer:
        """Does the work in the first process, and then in the others, who find it done."""
        if not self.is_first:
            self.hear()
            return work()
        answer = work()
        self.tell(None)
        return answer

    def end_collectives(self) -> None:
        """Ends what the trainings of the run need; telling still works."""
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    def give_up(self) -> None:
        """Has the others end too when the first process fails; else they would only see that it has gone."""
        if self._store is not None and self.is_first:
            self._store.set(FAILED, "")
            time.sleep(3 * LOOK_EVERY)

    def part(self) -> None:
        """Keeps the others waiting until the first process has finished as well."""
        if self._store is None:
            return
        if not self.is_first:
            self.hear()
            self._store.add("parted", 1)
            return
        self.tell(None)
        until = time.monotonic() + PARTING_SECONDS
        while self._store.add("parted", 0) < self.world - 1 and time.monotonic() < until:
            time.sleep(LOOK_EVERY)


ALONE = Group()


@contextmanager
def joined(settings: TrainerConfig) -> Iterator[Group]:
    """The processes that were started with this one, ready for collectives.

    After an error nothing is tidied up: the others may wait in a collective, and whoever started them ends them.
    """
    place = find_place()
    if place is None:
        yield ALONE
        return
    os.environ.update(place.variables() | meeting_point())
    device = _choose_device(settings, place)
    store, rank, world = next(rendezvous("env://", timeout=JOINING))
    torch.distributed.init_process_group(
        "gloo" if device is None else "nccl",
        store=PrefixStore("collectives", store),
        rank=rank,
        world_size=world,
        timeout=COLLECTIVE,
        device_id=device,
    )
    group = Group(rank, world, PrefixStore("occfit", store))
    try:
        yield group
    except BaseException:
        group.give_up()
        raise
    group.end_collectives()
    group.part()


def _choose_device(settings: TrainerConfig, place: Place) -> torch.device | None:
    """This process's GPU, which becomes the current one; None on the CPU.

    Raises:
        OccfitError: there are fewer GPUs than processes.
    """
    if settings.accelerator == "cpu" or not torch.cuda.is_available():
        resolve_accelerator(settings.accelerator)
        return None
    count = torch.cuda.device_count()
    if place.local_rank >= count:
        what = f"{settings.devices} processes on this machine need as many GPUs, but torch sees {count}"
        raise OccfitError(what, remedy=f"Say trainer.devices={count}")
    device = torch.device("cuda", place.local_rank)
    torch.cuda.set_device(device)
    return device
