"""Counts the imports between the folders of src/occfit, and draws them: docs/images/imports.svg.

    python docs/imports.py [FILE.svg | FILE.png]

One import is one module that names another in an import statement. Errors and the cache's folder aren't drawn: any
folder may use them. The command line imports its applications by name, when a command is called, so those are counted
from its list of commands.
"""

import sys
import tomllib
from collections import Counter
from pathlib import Path

import grimp
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path as Curve

from occfit.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "imports.svg"

WHAT = {
    "types": "what travels",
    "face_model": "the 3D face",
    "rendering": "camera, light, pixels",
    "networks": "encoder, segmenter, ...",
    "metrics": "scores of a picture",
    "data": "stores, synthetic world",
    "method": "the paper's losses",
    "runs": "stages, checkpoints",
    "fitting": "photograph to fit",
    "scoring": "systems and rows",
    "publishing": "tables, figures",
    "apps": "one file a command",
    "cli": "occfit COMMAND",
}
COLOURS = ("#4477aa", "#cc6677", "#228833", "#aa7733", "#882288", "#2299aa")

BOX, GAP, WIDTH = 46.0, 18.0, 172.0
REACH, THICKNESS, HEAD = 42.0, 0.55, 9.0
"""All in points: how far an arrow of one folder's distance bulges, how thick one import is, an arrow's head."""

Ends = dict[tuple[str, str], tuple[float, float]]


def layers() -> list[str]:
    """The folders from the first that may be imported to the last, as the import contract lists them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    names = [name for name in reversed(contracts[0]["layers"]) if ":" not in name]
    return [name.removeprefix("occfit.") for name in names]


def count_imports(names: list[str]) -> Counter[tuple[str, str]]:
    """How many imports there are: (importing folder, imported folder) -> number."""
    graph = grimp.build_graph("occfit")
    found: Counter[tuple[str, str]] = Counter()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            pair = (folder(module), folder(imported))
            if pair[0] != pair[1] and set(pair) <= set(names):
                found[pair] += 1
    found["cli", "apps"] += len({module for module, _ in COMMANDS.values()})
    return found


def folder(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def thickness(number: int) -> float:
    return 0.8 + THICKNESS * number


def ends(names: list[str], imports: Counter[tuple[str, str]]) -> Ends:
    """Where each arrow leaves its importer and meets what it imports: heights, so that nested arrows don't cross.

    An arrow leaves from its box's upper part and arrives at the lower one; of those that leave, the nearest goal comes
    first; of those that arrive, the farthest origin.
    """
    leave, arrive = {}, {}
    for name in names:
        goals = sorted((p for p in imports if p[0] == name), key=lambda p: -names.index(p[1]))
        origins = sorted((p for p in imports if p[1] == name), key=lambda p: -names.index(p[0]))
        sizes = [max(thickness(imports[pair]), 3.0) for pair in goals + origins]
        room = (BOX - sum(sizes)) / (len(sizes) + 1)
        height = -names.index(name) * (BOX + GAP) + BOX / 2
        for place, (pair, size) in enumerate(zip(goals + origins, sizes, strict=True)):
            height -= room + size / 2
            (leave if place < len(goals) else arrive)[pair] = height
            height -= size / 2
    return {pair: (leave[pair], arrive[pair]) for pair in imports}


def draw_arrow(axes: Axes, start: float, end: float, reach: float, number: int, colour: str) -> None:
    """An arrow that bulges to the right, with its number where it reaches farthest."""
    size, half = thickness(number), max(3.0, 0.9 * thickness(number))
    x, tip = WIDTH, WIDTH + 2
    points = [(x, start), (x + reach, start), (tip + reach, end), (tip + HEAD, end)]
    codes = [Curve.MOVETO, *[Curve.CURVE4] * 3]
    axes.add_patch(
        PathPatch(Curve(points, codes), fill=False, ec=colour, lw=size, alpha=0.75, capstyle="butt")
    )
    head = [(tip, end), (tip + HEAD, end + half), (tip + HEAD, end - half)]
    axes.add_patch(Polygon(head, fc=colour, ec="none"))
    axes.text(
        x + 0.75 * reach + 2,
        (start + end) / 2,
        str(number),
        size=7.5,
        color=colour,
        ha="center",
        va="center",
        weight="bold",
        bbox={"boxstyle": "round,pad=0.12", "fc": "white", "ec": "none"},
        zorder=5,
    )


def draw(names: list[str], imports: Counter[tuple[str, str]], file: Path) -> None:
    """Writes the picture, in the format that the file's name ends with."""
    farthest = max(names.index(start) - names.index(end) for start, end in imports)
    width = WIDTH + 0.75 * REACH * farthest + 24
    height = len(names) * (BOX + GAP) + 30
    plt.rcParams |= {"svg.hashsalt": "imports", "font.family": "DejaVu Sans"}
    figure = plt.figure(figsize=(width / 72, height / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(BOX / 2 + GAP - height + 6, BOX / 2 + 24))
    axes.axis("off")
    axes.text(
        10,
        BOX / 2 + 12,
        "Imports go up, never down. A number counts them; an arrow has the colour of the folder that imports.",
        size=9,
        color="#444444",
        va="center",
    )
    places = ends(names, imports)
    for pair in sorted(
        imports, key=lambda pair: (names.index(pair[1]) - names.index(pair[0]), names.index(pair[0]))
    ):
        distance = names.index(pair[0]) - names.index(pair[1])
        if distance <= 0:
            raise SystemExit(f"{pair[0]} imports {pair[1]}, which comes later")
        colour = COLOURS[names.index(pair[0]) % len(COLOURS)]
        draw_arrow(axes, *places[pair], REACH * distance, imports[pair], colour)
    for place, name in enumerate(names):
        low = -place * (BOX + GAP) - BOX / 2
        colour = COLOURS[place % len(COLOURS)]
        box = FancyBboxPatch(
            (10, low), WIDTH - 10, BOX, "round,pad=0,rounding_size=5", fc="#f7f7f7", ec=colour, lw=1.5
        )
        axes.add_patch(box)
        axes.text(20, low + 0.64 * BOX, name, size=12, weight="bold", color=colour, va="center")
        axes.text(20, low + 0.27 * BOX, WHAT[name], size=9, color="#444444", va="center")
    figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    names = layers()
    imports = count_imports(names)
    draw(names, imports, file)
    print(f"{file}: {sum(imports.values())} imports between {len(names)} folders")


if __name__ == "__main__":
    main()
