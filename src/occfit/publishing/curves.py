"""Plots of a run as SVG text: loss curves from the CSV logs, and histograms."""

import csv
import io
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

POINTS = 200
FIRST_GROUPS = ("train", "val")
COLOUR = "#b0256b"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "occfit",
    "svg.fonttype": "none",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a93a3",
    "axes.grid": True,
    "grid.color": "#e2e5ea",
}


@dataclass(frozen=True)
class Curve:
    steps: list[float]
    values: list[float]


@dataclass(frozen=True)
class Group:
    """The plots of related log keys."""

    name: str
    plots: list[str]


@dataclass(frozen=True)
class Stage:
    """The plots of one stage's log."""

    name: str
    groups: list[Group]


def read_log(path: Path) -> dict[str, Curve]:
    """Column -> its finite values over the column `step` of a CSV log; rows without a value are skipped."""
    curves: dict[str, Curve] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file)):
            step = _number(row.get("step")) if row.get("step") else float(line)
            for key, text in row.items():
                value = _number(text)
                if key and key not in ("step", "epoch") and math.isfinite(value):
                    curve = curves.setdefault(key, Curve([], []))
                    curve.steps.append(step)
                    curve.values.append(value)
    return curves


def stage_plots(name: str, curves: Mapping[str, Curve]) -> Stage:
    """The plots of a log, grouped by what stands before the first slash of their keys."""
    groups: dict[str, dict[str, Curve]] = defaultdict(dict)
    for key, curve in curves.items():
        group, slash, term = key.partition("/")
        groups[group if slash else name][term or key] = curve
    order = sorted(groups, key=lambda group: (group not in FIRST_GROUPS, group))
    return Stage(name, [Group(group, group_plots(groups[group])) for group in order])


def group_plots(terms: Mapping[str, Curve]) -> list[str]:
    """A plot for each term; the shares `bin_0`, `bin_1`, ... of one histogram become one picture."""
    plots, bins = [], defaultdict(list)
    for term, curve in terms.items():
        if re.search(r"(^|/)bin_\d+$", term):
            bins[term.rpartition("/")[0]].append(curve)
        else:
            plots.append(curve_plot(term, curve))
    return plots + [histogram_history(f"{title} histogram", curves) for title, curves in bins.items()]


def curve_plot(title: str, curve: Curve) -> str:
    """One term over the steps; a logarithmic axis where it is positive and spans decades."""
    figure, axes = _axes(title)
    steps, values = thin(curve)
    axes.plot(steps, values, color=COLOUR, linewidth=1.2, marker="." if len(steps) < 3 else None)
    if min(values) > 0 and max(values) / min(values) > 30:
        axes.set_yscale("log")
    return to_svg(figure)


def histogram_history(title: str, bins: Sequence[Curve]) -> str:
    """A histogram of [0, 1] over the steps: the darker, the more have such a value."""
    figure, axes = _axes(title)
    shares = np.stack([thin(curve)[1] for curve in bins])
    extent = (bins[0].steps[0], bins[0].steps[-1] + 1e-6, 0.0, 1.0)
    axes.imshow(shares, "Purples", aspect="auto", origin="lower", extent=extent, vmin=0, vmax=1)
    axes.grid(False)
    return to_svg(figure)


def thin(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """At most 200 points: means of equally many neighbouring samples."""
    count = min(POINTS, len(curve.steps))
    steps = [part.mean() for part in np.array_split(np.array(curve.steps), count)]
    values = [part.mean() for part in np.array_split(np.array(curve.values), count)]
    return np.array(steps), np.array(values)


def histogram_plot(title: str, counts: Sequence[int]) -> str:
    """Shares of equally wide bins over [0, 1]."""
    figure, axes = _axes(title)
    shares = np.array(counts, float) / max(1, sum(counts))
    edges = np.linspace(0, 1, len(counts) + 1)
    axes.bar(edges[:-1], shares, width=1 / len(counts), align="edge", color=COLOUR)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    return to_svg(figure)


def to_svg(figure: Figure) -> str:
    """The figure as an `<svg>` element for an HTML page, which needs neither header nor namespaces."""
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    return re.sub(r' xmlns(:xlink)?="[^"]*"', "", text[text.index("<svg") :])


def _axes(title: str) -> tuple[Figure, Axes]:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.7, 1.8), layout="constrained")
        axes = figure.subplots()
        axes.set_title(title, fontsize=8, loc="left")
    return figure, axes


def _number(text: str | None) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        return math.nan
