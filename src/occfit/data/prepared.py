"""Prepared data as a run's source: what `occfit prepare` has left in a folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from occfit.data.data_source import TRAIN, VALIDATION, Splits, TrainingPart, join_tests
from occfit.data.prepared_sets import read_collection
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
        tests, sets = join_tests((one.folder, one.stores, one.sets) for one in collections)
        return Splits(train, stores.get(VALIDATION), tests, sets, judged[0] if judged else None)
