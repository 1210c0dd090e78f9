"""The paper's figures, drawn from trained systems."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from occfit.data.store import PreparedStore
from occfit.fitting.face_system import Explain
from occfit.fitting.pictures import Picture, mask_picture, paste, to_picture, truth_picture
from occfit.networks.segmenter import VISIBLE_THRESHOLD
from occfit.publishing.figure_specs import ALONE, FigureSpec, Place, choose, describe_rule, lacking_sets
from occfit.publishing.table_formats import train_command
from occfit.scoring.experiments import Runs
from occfit.scoring.scored_system import load_run, run_splits
from occfit.types import Explanation, FaceBatch

TILE = 128
"""Side of a picture in a figure, in pixels."""

GAP, LINE = 4, 18


def outdated(
    figures: Sequence[FigureSpec], runs: Path, preset: str, seed: int, folder: Path
) -> list[FigureSpec]:
    """The figures that aren't there, or are older than the scores of a run that they show."""
    old = []
    for figure in figures:
        scores = [runs / f"{row}-{preset}-{seed}" / "metrics.json" for row in figure.rows]
        newest = max((path.stat().st_mtime for path in scores if path.exists()), default=0.0)
        picture = folder / f"{figure.name}.jpg"
        if not picture.exists() or picture.stat().st_mtime < newest:
            old.append(figure)
    return old


def make_figures(
    specs: Sequence[FigureSpec], runs: Path, preset: str, seed: int, output: Path, console: Console
) -> list[Path]:
    """Writes `NAME.jpg` of every figure whose runs are there, and says which runs the others need.

    Raises:
        OccfitError: a run can't be used, or the folder can't be written.
    """
    scored = {row: run for (row, at), run in Runs(runs, preset).found.items() if at == seed}
    needed = list(dict.fromkeys(row for spec in specs for row in spec.rows))
    missing = [row for row in needed if row not in scored]
    for row in missing:
        command = train_command(row, preset, seed, str(runs))
        console.print(f"missing: {command}", style="yellow", highlight=False, markup=False, soft_wrap=True)
    trained = {
        row: load_run(scored[row].folder / "checkpoints" / "last.ckpt") for row in needed if row in scored
    }
    if not trained:
        return []
    splits = run_splits(next(iter(trained.values())))
    systems = {row: one.systems["system"] for row, one in trained.items()}
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for spec in specs:
        if lacking := lacking_sets(spec, splits):
            reason = f"left out: {spec.name} shows the test set '{lacking[0]}', which the runs' data hasn't"
            console.print(reason, style="yellow", highlight=False, markup=False, soft_wrap=True)
        elif set(spec.rows) <= set(trained):
            picture = draw_figure(spec, choose(spec, splits, scored, seed), splits.test, systems, seed)
            path = output / f"{spec.name}.jpg"
            Image.fromarray(picture).save(path, quality=88)
            written.append(path)
    return written


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
            tiles.append(truth_picture(batch))
        else:
            tiles.append(draw_part(target, explained[row], part))
    return tiles


def draw_part(target: Picture, explained: Explanation, part: str) -> Picture:
    """A system's reconstruction over the photograph, or its mask inside its region."""
    region = explained.rendering.face_region[0, 0].numpy() > 0
    if part == "reconstruction":
        return paste(target, to_picture(explained.rendering.image[0]), region)
    return mask_picture(region & (explained.visibility[0, 0].numpy() > VISIBLE_THRESHOLD))
