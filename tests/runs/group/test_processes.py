"""What the processes of a run tell each other."""

import threading
import time
from collections.abc import Callable

import pytest
from torch.distributed import HashStore  # pyright: ignore[reportPrivateImportUsage]

from occfit.errors import OccfitError
from occfit.runs.group.processes import ALONE, Group

pytestmark = pytest.mark.unit


@pytest.fixture
def groups() -> list[Group]:
    """The views of two processes, which are threads here."""
    store = HashStore()
    return [Group(rank, 2, store) for rank in range(2)]


def side_by_side(*works: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_the_first_decides_for_all(groups):
    answers = {}

    def ask(group: Group) -> None:
        answers[group.rank] = [group.decide(lambda: [group.rank, "a"]), group.decide(lambda: None)]

    side_by_side(*[lambda group=group: ask(group) for group in reversed(groups)])
    assert answers[0] == answers[1] == [[0, "a"], None]


def test_the_others_work_after_the_first(groups):
    done = []

    def work(group: Group) -> int:
        time.sleep(0.3 * (1 - group.rank))
        done.append(group.rank)
        return group.rank

    results = {}
    side_by_side(
        *[
            lambda group=group: results.update({group.rank: group.in_turn(lambda: work(group))})
            for group in groups
        ]
    )
    assert done == [0, 1]
    assert results == {0: 0, 1: 1}


def test_they_part_when_the_first_has_finished(groups):
    ended = []

    def finish(group: Group, seconds: float) -> None:
        time.sleep(seconds)
        group.part()
        ended.append(time.monotonic())

    begun = time.monotonic()
    side_by_side(lambda: finish(groups[0], 0.5), lambda: finish(groups[1], 0))
    assert min(ended) - begun >= 0.5


def test_a_first_one_that_fails_is_waited_for_no_longer(groups):
    groups[0].give_up()
    with pytest.raises(OccfitError, match="first process has ended"):
        groups[1].hear()


def test_one_process_asks_itself():
    assert ALONE.is_first
    assert ALONE.decide(lambda: 3) == ALONE.in_turn(lambda: 3) == 3
    ALONE.tell("nobody")
    ALONE.part()
