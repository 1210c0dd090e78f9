"""The paper's figures from trained systems; which pictures they show is decided by a rule, never by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from pydantic import TypeAdapter, ValidationError

from occfit.data.store import PreparedStore
from occfit.errors import OccfitError
from occfit.fitting.face_system import Explain
from occfit.fitting.pictures import Picture, mask_picture, paste, to_picture
from occfit.networks.segmenter import VISIBLE_THRESHOLD
from occfit.scoring.experiments import ScoredRun
from occfit.scoring.picture_scores import UNIONS
from occfit.types import Explanation, FaceBatch

TILE = 128
"""Side of a picture in a figure, in pixels."""

GAP, LINE = 4, 18
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


def choose(
    spec: FigureSpec, stores: Mapping[str, PreparedStore], runs: Mapping[str, ScoredRun], seed: int
) -> list[Place]:
    """The pictures of a figure.

    Args:
        stores: the test sets.
        runs: scored runs, by row; those that the rule asks for.
        seed: of random choices.

    Raises:
        OccfitError: there is no such test set or score.
    """
    chosen: list[Place] = []
    for test_set, count in spec.pictures.items():
        parts = UNIONS.get(test_set, (test_set,))
        for part in parts:
            if part not in stores:
                raise OccfitError(f"There is no test set '{part}'", spec.name)
        places = [(part, index) for part in parts for index in range(len(stores[part]))]
        if spec.rule == "random":
            order = np.random.default_rng((seed, *spec.name.encode())).permutation(len(places))
        elif spec.rule == "illumination":
            order = np.argsort(
                -np.concatenate([light_contrast(stores[part]) for part in parts]), kind="stable"
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


def draw_figure(
    spec: FigureSpec,
    places: Sequence[Place],
    stores: Mapping[str, PreparedStore],
    systems: Mapping[str, Explain],
    seed: int,
) -> Picture:
    """A row of tiles a picture, headings above, the rule below."""
    rows = [draw_row(spec.columns, stores[test_set].batch([index]), systems) for test_set, index in places]
    step = TILE + GAP
    width, height = len(spec.columns) * step - GAP, len(rows) * step - GAP
    lines = wrap(f"{spec.title}. {describe_rule(spec, seed)}", width)
    canvas = Image.new("RGB", (width, height + 2 * LINE + len(lines) * LINE), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for column, name in enumerate(spec.columns):
        for line, text in enumerate(name.split(".")):
            draw.text((column * step + 2, line * (LINE - 4)), text, fill="black", font=font)
    for row, tiles in enumerate(rows):
        for column, tile in enumerate(tiles):
            large = cv2.resize(tile, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
            canvas.paste(Image.fromarray(large), (column * step, 2 * LINE + row * step))
    for line, text in enumerate(lines):
        draw.text((2, 2 * LINE + height + line * LINE + 2), text, fill="black", font=font)
    return np.asarray(canvas)


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most so many pixels."""
    font, lines = ImageFont.load_default(12), [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width - 4:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def draw_row(columns: Sequence[str], batch: FaceBatch, systems: Mapping[str, Explain]) -> list[Picture]:
    """The tiles of one picture."""
    target = to_picture(batch.image[0])
    named = dict.fromkeys(column.partition(".")[0] for column in columns if column not in ALONE)
    explained = {row: systems[row](batch).to("cpu") for row in named}
    tiles = []
    for column in columns:
        row, _, part = column.partition(".")
        if column == "target":
            tiles.append(target)
        elif column == "truth":
            assert batch.visibility is not None
            tiles.append(mask_picture(batch.visibility[0, 0].numpy() > VISIBLE_THRESHOLD))
        else:
            tiles.append(draw_part(target, explained[row], part))
    return tiles


def draw_part(target: Picture, explained: Explanation, part: str) -> Picture:
    """A system's reconstruction over the photograph, or its mask inside its region."""
    region = explained.rendering.face_region[0, 0].numpy() > 0
    if part == "reconstruction":
        return paste(target, to_picture(explained.rendering.image[0]), region)
    return mask_picture(region & (explained.visibility[0, 0].numpy() > VISIBLE_THRESHOLD))
