"""What is compared with what (`experiments/*.yaml`), and the scored runs that there are of it."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jaxtyping import Float
from pydantic import TypeAdapter, ValidationError

from occfit.errors import OccfitError
from occfit.scoring.headings import COMMON, HEADINGS
from occfit.scoring.picture_scores import ALL_VISIBLE
from occfit.scoring.results import SYSTEM

EXPERIMENTS = Path("experiments")
"""Where a checkout has the paper's tables and figures, and what was made of them."""


def results_folder(preset: str) -> Path:
    """Where a preset's tables and figures are written, unless another folder is named."""
    return EXPERIMENTS / "results" / preset


@dataclass(frozen=True)
class TableSpec:
    """One table: of the paper, or of one's own.

    Attributes:
        title: its heading.
        caption: what its numbers are.
        rows: pipelines.
        test_sets: a block of rows each.
        metrics: the columns.
        differences: the metrics whose differences to the reference are shown.
        published: row -> test set -> metric -> [mean, standard deviation over images, if it is known].
        reference: the row that the others are compared with.
        name: the file's name, without its suffix.
    """

    title: str
    caption: str
    rows: list[str]
    test_sets: list[str]
    metrics: list[str]
    differences: list[str]
    published: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    reference: str = "proposed"
    name: str = ""

    @property
    def has_masks(self) -> bool:
        """Whether it is about segmentation, so that the mask that hides nothing is worth a row."""
        return "f1" in self.metrics


def read_spec(path: Path) -> TableSpec:
    """A table's file.

    Raises:
        OccfitError: it can't be read, or something in it is unknown, missing or of the wrong type.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if unknown := set(content) - {one.name for one in fields(TableSpec)}:
            raise OccfitError(f"The table's '{unknown.pop()}' is unknown", path)
        spec = TypeAdapter(TableSpec).validate_python({**content, "name": path.stem})
    except OSError as error:
        remedy = "Run it where experiments/ lies, or name the files: --tables FILE ..."
        raise OccfitError(f"The table can't be read: {error.strerror}", path, remedy) from error
    except (yaml.YAMLError, TypeError) as error:
        raise OccfitError("The table's file isn't YAML with keys", path) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise OccfitError(f"The table's '{key}' is wrong: {first['msg']}", path) from error
    for metric in (*spec.metrics, *spec.differences):
        if metric not in HEADINGS:
            raise OccfitError(
                f"There is no score '{metric}'", path, f"Choose from {', '.join(sorted(HEADINGS))}"
            )
    if spec.reference not in spec.rows:
        raise OccfitError(f"The reference '{spec.reference}' is none of the rows", path)
    return spec


@dataclass(frozen=True)
class ScoredRun:
    """One system's scores, as one seed's run has written them.

    Attributes:
        folder: the run's folder.
        test_sets: test set -> metric -> mean and std, from `metrics.json`.
        row: what `scores.csv` calls the system.
        sets: test set -> its title and, if it is a union, its parts.
    """

    folder: Path
    test_sets: Mapping[str, Any]
    row: str
    sets: Mapping[str, Any] = field(default_factory=dict)

    def title(self, test_set: str) -> str:
        """A test set's name in words."""
        return self.sets.get(test_set, {}).get("title", test_set.replace("_", " "))

    def parts(self, test_set: str) -> tuple[str, ...]:
        """The sets with pictures that a test set consists of: itself, or the parts of a union."""
        return tuple(self.sets.get(test_set, {}).get("parts") or (test_set,))

    def mean(self, test_set: str, metric: str) -> float | None:
        return self._number(test_set, metric, "mean")

    def spread(self, test_set: str, metric: str) -> float | None:
        return self._number(test_set, metric, "std")

    def _number(self, test_set: str, metric: str, which: str) -> float | None:
        value = self.test_sets.get(test_set, {}).get(metric)
        return value.get(which) if isinstance(value, Mapping) else value

    def images(self, test_set: str, metric: str) -> Float[np.ndarray, " n"] | None:
        """Every picture's score, in the store's order, NaN where it isn't defined; None if there are none."""
        found = [self._columns.get((part, metric)) for part in self.parts(test_set)]
        known = [values for values in found if values is not None]
        return np.concatenate(known) if known and len(known) == len(found) else None

    @cached_property
    def _columns(self) -> dict[tuple[str, str], Float[np.ndarray, " n"]]:
        columns: dict[tuple[str, str], list[float]] = {}
        path = self.folder / "scores.csv"
        try:
            with path.open(newline="", encoding="utf-8") as file:
                for line in csv.DictReader(file):
                    if line.pop("system") == self.row:
                        test_set = line.pop("test_set")
                        for key, text in line.items():
                            columns.setdefault((test_set, key), []).append(float(text) if text else math.nan)
        except (OSError, KeyError, ValueError) as error:
            raise OccfitError("The scores can't be read", path, "Score the run again") from error
        return {key: np.array(values) for key, values in columns.items()}


class Runs:
    """The scored runs of one preset, by row and seed.

    Args:
        folder: looked through, with everything in it, for `metrics.json`. Of several runs of one system and seed, that
            in SYSTEM-PRESET-SEED counts, where `occfit train` puts it by default.
        preset: the runs' preset; other runs are left alone.

    Raises:
        OccfitError: there is no such folder, a file in it is torn, or two runs are of one system and seed.
    """

    def __init__(self, folder: Path, preset: str):
        self.folder, self.preset = folder, preset
        self.found: dict[tuple[str, int], ScoredRun] = {}
        if not folder.is_dir():
            raise OccfitError("There is no such folder", folder, "--runs says where the runs are")
        for path in sorted(folder.rglob("metrics.json")):
            self._add(path)

    def _add(self, path: Path) -> None:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            seed, preset = document["seed"], document["preset"]
            rows = document.get("rows") or {document["system"]: {"test_sets": document["test_sets"]}}
            sets = document.get("sets") or {}
        except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise OccfitError("The scores can't be read", path, "Score the run again") from error
        if preset != self.preset:
            return
        standard = f"{document.get('system', 'common')}-{preset}-{seed}"
        for row, scores in rows.items():
            is_common = "rows" in document
            name = f"{COMMON} {row}" if is_common else row
            run = ScoredRun(path.parent, scores["test_sets"], row if is_common else SYSTEM, sets)
            self._keep(name, seed, run, standard)
        if ALL_VISIBLE in document:
            test_sets = document[ALL_VISIBLE]["test_sets"]
            run = ScoredRun(path.parent, test_sets, ALL_VISIBLE, sets)
            self._keep(f"{ALL_VISIBLE} {document['system']}", seed, run, standard)

    def _keep(self, row: str, seed: int, run: ScoredRun, standard: str) -> None:
        other = self.found.get((row, seed))
        if other and other.folder.name == standard:
            return
        if other and run.folder.name != standard:
            raise OccfitError(
                f"Two runs are of {row}, seed {seed}: {other.folder} and {run.folder}",
                self.folder,
                "Move one of them elsewhere, or name a folder with one of them: --runs DIR",
            )
        self.found[row, seed] = run

    def seeds(self, row: str, wanted: Sequence[int]) -> dict[int, ScoredRun]:
        """The runs of a row, by seed; of `all_visible`, in the reference's regions, by its full name."""
        return {seed: self.found[row, seed] for seed in wanted if (row, seed) in self.found}
