"""What the paper's figures show (`experiments/figures.yaml`): a rule chooses the pictures, never a hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml
from jaxtyping import Float
from pydantic import TypeAdapter, ValidationError

from occfit.data.data_source import Splits
from occfit.data.store import PreparedStore
from occfit.errors import OccfitError
from occfit.networks.segmenter import VISIBLE_THRESHOLD
from occfit.scoring.experiments import EXPERIMENTS, ScoredRun

SHIPPED_FIGURES = EXPERIMENTS / "figures.yaml"
LUMINANCE = np.array([0.299, 0.587, 0.114])
PARTS = ("reconstruction", "mask")
ALONE = ("target", "truth")


@dataclass(frozen=True)
class FigureSpec:
    """One figure.

    Attributes:
        title: its heading.
        columns: `target`, `truth`, ROW.reconstruction or ROW.mask.
        pictures: test set -> how many.
        rule: `random`, `illumination`, or `lowest ROW METRIC`.
        name: its key.
    """

    title: str
    columns: list[str]
    pictures: dict[str, int]
    rule: str
    name: str = ""

    @property
    def rows(self) -> list[str]:
        """The systems it needs."""
        named = [column.partition(".")[0] for column in self.columns if column not in ALONE]
        judge = self.rule.split()[1:2] if self.rule.startswith("lowest ") else []
        return list(dict.fromkeys([*named, *judge]))


def read_figures(path: Path) -> list[FigureSpec]:
    """A file of figures.

    Raises:
        OccfitError: it can't be read, or something in it is unknown or of the wrong type.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        items = [{**figure, "name": name} for name, figure in content.items()]
        found = TypeAdapter(list[FigureSpec]).validate_python(items)
    except OSError as error:
        raise OccfitError(f"The figures can't be read: {error.strerror}", path) from error
    except (yaml.YAMLError, TypeError, AttributeError) as error:
        raise OccfitError("The figures' file isn't YAML with keys", path) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise OccfitError(f"'{key}' is wrong: {first['msg']}", path) from error
    for spec in found:
        for column in spec.columns:
            if column not in ALONE and column.partition(".")[2] not in PARTS:
                remedy = "Say target, truth, ROW.reconstruction or ROW.mask"
                raise OccfitError(f"There is no column '{column}'", f"{path}, {spec.name}", remedy)
        if spec.rule not in ("random", "illumination") and len(spec.rule.split()) != 3:
            remedy = "Say random, illumination or lowest ROW METRIC"
            raise OccfitError(f"There is no rule '{spec.rule}'", f"{path}, {spec.name}", remedy)
    return found


Place = tuple[str, int]
"""A test set's store and a picture's position in it."""


def lacking_sets(spec: FigureSpec, splits: Splits) -> list[str]:
    """The sets with pictures that a figure asks for and the data hasn't."""
    return [part for name in spec.pictures for part in splits.parts(name) if part not in splits.test]


def choose(spec: FigureSpec, splits: Splits, runs: Mapping[str, ScoredRun], seed: int) -> list[Place]:
    """The pictures of a figure.

    Args:
        splits: the data with the test sets.
        runs: scored runs, by row; those that the rule asks for.
        seed: a number that decides random choices.

    Raises:
        OccfitError: there is no such test set or score.
    """
    chosen: list[Place] = []
    for test_set, count in spec.pictures.items():
        if lacking := lacking_sets(spec, splits):
            raise OccfitError(f"There is no test set '{lacking[0]}'", spec.name)
        parts = splits.parts(test_set)
        places = [(part, index) for part in parts for index in range(len(splits.test[part]))]
        if spec.rule == "random":
            order = np.random.default_rng((seed, *spec.name.encode())).permutation(len(places))
        elif spec.rule == "illumination":
            order = np.argsort(
                -np.concatenate([light_contrast(splits.test[part]) for part in parts]), kind="stable"
            )
        else:
            _, row, metric = spec.rule.split()
            values = runs[row].images(test_set, metric)
            if values is None:
                raise OccfitError(f"{row} has no score '{metric}' on {test_set}", spec.name)
            order = np.argsort(np.nan_to_num(values, nan=np.inf), kind="stable")
        chosen += [places[position] for position in order[:count]]
    return chosen


def light_contrast(store: PreparedStore) -> Float[np.ndarray, " n"]:
    """How much lighter the lightest tenth of each visible face is than its darkest, after blurring; on 0..1."""
    found = []
    for start in range(0, len(store), 64):
        batch = store.batch(range(start, min(start + 64, len(store))))
        if batch.visibility is None:
            raise OccfitError("The pictures have no true masks", store.folder)
        images = batch.image.permute(0, 2, 3, 1).numpy() @ LUMINANCE
        for image, mask in zip(images, batch.visibility[:, 0].numpy() > VISIBLE_THRESHOLD, strict=True):
            blurred = cv2.GaussianBlur(image, (0, 0), image.shape[0] / 32)
            values = blurred[mask]
            found.append(np.quantile(values, 0.9) - np.quantile(values, 0.1) if len(values) else 0.0)
    return np.array(found)


def describe_rule(spec: FigureSpec, seed: int) -> str:
    """The rule in words, for the figure's lower edge."""
    counts = ", ".join(f"{count} of {test_set}" for test_set, count in spec.pictures.items())
    match spec.rule.split():
        case ["random"]:
            how = f"drawn at random with seed {seed}"
        case ["illumination"]:
            how = "with the largest contrast between light and shadow on the visible face"
        case [_, row, metric]:
            how = f"with the lowest {metric} of {row}"
        case _:
            how = spec.rule
    return f"{counts}: {how}."
