"""Prepared data as a run's source: what `occfit prepare` has left in a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from occfit.data.data_source import TRAIN, VALIDATION, SetDescription, Splits, TrainingPart
from occfit.data.prepared_sets import Collection, read_collection
from occfit.data.store import PreparedStore
from occfit.errors import OccfitError
from occfit.face_model.morphable_model import MorphableModel


@dataclass(frozen=True)
class PreparedSource:
    """A prepared collection, and others whose test sets are scored as well.

    Attributes:
        path: the collection's folder.
        also: folders of further collections; of these only the test sets are used.
    """

    path: Path | str
    also: Sequence[Path | str] = ()

    def splits(self, face_model: MorphableModel, cache: Path) -> Splits:
        """The collection's stores; see `DataSource`. Nothing is made.

        Raises:
            OccfitError: a folder isn't prepared data, or two collections have a test set of the same name.
        """
        collections = [read_collection(folder) for folder in (self.path, *self.also)]
        stores = collections[0].stores
        train = {TRAIN: TrainingPart(stores[TRAIN])} if TRAIN in stores else {}
        judged = [one.judged_on for one in collections if one.judged_on is not None]
        tests, sets = join_tests(collections)
        return Splits(train, stores.get(VALIDATION), tests, sets, judged[0] if judged else None)


def join_tests(
    collections: Sequence[Collection],
) -> tuple[dict[str, PreparedStore], dict[str, SetDescription]]:
    """The test sets of several collections, in order.

    Raises:
        OccfitError: two of them have a set of the same name.
    """
    tests: dict[str, PreparedStore] = {}
    sets: dict[str, SetDescription] = {}
    for collection in collections:
        if shared := sorted(set(collection.sets) & set(sets)):
            raise OccfitError(
                f"Two collections have a test set '{shared[0]}'", collection.folder, "Leave one of them out"
            )
        sets.update(collection.sets)
        tests.update(
            {name: collection.stores[name] for name, one in collection.sets.items() if not one.parts}
        )
    return tests, sets
