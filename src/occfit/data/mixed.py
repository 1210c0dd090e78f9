"""Several data sources in every batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from occfit.data.data_source import DataSource, Splits, TrainingPart, join_tests
from occfit.errors import OccfitError, nearest
from occfit.face_model.morphable_model import MorphableModel


@dataclass(frozen=True)
class MixedPart:
    """A source and its share of each batch; where the source is itself a mixture, its parts divide the share."""

    source: DataSource
    share: float


@dataclass(frozen=True)
class MixedSource:
    """Shares of several sources in each batch: a whole number of pictures each, the same in every batch.

    Pictures whose masks nobody knows, in part or as a whole, may stand beside others whose masks are known.

    Attributes:
        parts: the sources, by name.
        validation: the part whose validation pictures choices are made on.
        tests: the parts whose test sets are scored, in order; the first says which set a run is judged on.

    Raises:
        OccfitError: `validation` or `tests` names no part, or the shares don't add up.
    """

    parts: Mapping[str, MixedPart]
    validation: str
    tests: Sequence[str]

    def __post_init__(self) -> None:
        for name in (self.validation, *self.tests):
            if name not in self.parts:
                raise OccfitError(f"There is no part '{name}'", "data.parts", nearest(name, self.parts))
        total = sum(part.share for part in self.parts.values())
        if abs(total - 1) > 1e-3 or any(part.share <= 0 for part in self.parts.values()):
            given = ", ".join(f"{name} {part.share:g}" for name, part in self.parts.items())
            raise OccfitError(f"The shares of {given} make {total:g}", "data.parts", "Give each a part of 1")

    def splits(self, face_model: MorphableModel, cache: Path) -> Splits:
        """Every part's stores; see `DataSource`.

        Raises:
            OccfitError: a part's store can't be had, a part has nothing to train on, or two have a test set of the same
                name.
        """
        found = {name: part.source.splits(face_model, cache) for name, part in self.parts.items()}
        train: dict[str, TrainingPart] = {}
        for name, splits in found.items():
            if not splits.train:
                raise OccfitError(f"The part '{name}' has nothing to train on", "data.parts", "Leave it out")
            share = self.parts[name].share
            for inner, part in splits.train.items():
                own = name if len(splits.train) == 1 else f"{name}.{inner}"
                train[own] = TrainingPart(part.store, share * part.share)
        tests, sets = join_tests((name, found[name].test, found[name].sets) for name in self.tests)
        judged_on = found[self.tests[0]].judged_on if self.tests else None
        return Splits(train, found[self.validation].validation, tests, sets, judged_on)
