"""Where a run's samples come from: what every `data=...` gives."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from occfit.data.store import PreparedStore
from occfit.errors import OccfitError
from occfit.face_model.morphable_model import MorphableModel

TRAIN, VALIDATION = "train", "validation"


@dataclass(frozen=True)
class SetDescription:
    """What tables and pages need to know of a test set.

    Attributes:
        title: its name in words.
        parts: the sets whose union it is; a union has no store of its own.
        is_headline: whether a page shows it among its first numbers.
    """

    title: str
    parts: tuple[str, ...] = ()
    is_headline: bool = False


@dataclass(frozen=True)
class TrainingPart:
    """A store to train on.

    Attributes:
        share: its part of each batch; the shares of all parts add up to 1.
    """

    store: PreparedStore
    share: float = 1.0


@dataclass(frozen=True)
class Splits:
    """The prepared stores of one data source.

    Attributes:
        train: what is trained on, by name.
        validation: what choices are made on; None where there is nothing.
        test: the stores of the test sets, by name.
        sets: every test set and every union of them, in the order of tables.
        judged_on: the set that alone says which run is better, where one number is wanted.

    Raises:
        OccfitError: A set has neither a store nor parts, a union's part is no set with a store, or a store has no set.
    """

    train: Mapping[str, TrainingPart]
    validation: PreparedStore | None = None
    test: Mapping[str, PreparedStore] = field(default_factory=dict)
    sets: Mapping[str, SetDescription] = field(default_factory=dict)
    judged_on: str | None = None

    def __post_init__(self) -> None:
        check_sets(self.sets, list(self.test), self.judged_on)

    def parts(self, name: str) -> tuple[str, ...]:
        """The sets with pictures that a test set consists of: itself, or the parts of a union."""
        return (self.sets[name].parts if name in self.sets else ()) or (name,)

    def stores(self) -> list[PreparedStore]:
        """All of them."""
        validation = [] if self.validation is None else [self.validation]
        return [*(part.store for part in self.train.values()), *validation, *self.test.values()]

    def digests(self) -> dict[str, str]:
        """The digest of each store that training sees, as stage keys name them."""
        one = len(self.train) == 1
        found = {
            f"data.{TRAIN}" if one else f"data.{TRAIN}.{name}": part.store.digest
            for name, part in self.train.items()
        }
        return found if self.validation is None else found | {f"data.{VALIDATION}": self.validation.digest}


def check_sets(sets: Mapping[str, SetDescription], stored: list[str], judged_on: str | None) -> None:
    """Checks that test sets are described as they are stored.

    Raises:
        OccfitError: A set has neither a store nor parts, a union's part is no set with a store, or a store has no set.
    """
    for name, description in sets.items():
        if lacking := [part for part in description.parts if part not in stored]:
            raise OccfitError(f"The test set '{name}' is a union with '{lacking[0]}', which has no pictures")
        if not description.parts and name not in stored:
            raise OccfitError(f"The test set '{name}' has neither pictures nor parts")
    if unnamed := [name for name in stored if name not in sets]:
        raise OccfitError(f"The test set '{unnamed[0]}' has pictures, but no description")
    if judged_on is not None and judged_on not in sets:
        raise OccfitError(f"Runs are judged on '{judged_on}', which is none of the test sets")


def join_tests(
    sources: Iterable[tuple[object, Mapping[str, PreparedStore], Mapping[str, SetDescription]]],
) -> tuple[dict[str, PreparedStore], dict[str, SetDescription]]:
    """The test sets of several sources, in order: their stores, and their descriptions with the unions.

    Args:
        sources: where each is from, its test sets' stores and its descriptions.

    Raises:
        OccfitError: Two of them have a set of the same name.
    """
    tests: dict[str, PreparedStore] = {}
    sets: dict[str, SetDescription] = {}
    for where, stores, described in sources:
        if shared := sorted(set(described) & set(sets)):
            raise OccfitError(f"Two sources have a test set '{shared[0]}'", where, "Leave one of them out")
        sets.update(described)
        tests.update({name: stores[name] for name, one in described.items() if not one.parts})
    return tests, sets


@runtime_checkable
class DataSource(Protocol):
    """What a `data=...` configuration makes: prepared stores from somewhere."""

    def splits(self, face_model: MorphableModel, cache: Path) -> Splits:
        """Every split, opened, or made now and kept in `cache`.

        Args:
            face_model: the run's; what is drawn, is drawn with it.
            cache: the folder of everything that can be made again.

        Raises:
            OccfitError: A store is missing or can't be made.
        """
        ...
