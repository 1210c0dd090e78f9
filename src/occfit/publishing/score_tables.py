"""The scores as tables: for the terminal and, as rows of text, for the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from occfit.scoring.headings import HEADINGS

TERMINAL_HEADINGS = {
    "f1": "F1",
    "precision": "prec",
    "recall": "recall",
    "occlusion_f1": "occ F1",
    "occlusion_iou": "occ IoU",
    "rmse": "RMSE",
    "coverage": "cover",
    "landmark_nme": "NME",
}
SYSTEM_KEYS = ("initialisation", "all_visible")
SYSTEM_NAMES = {"initialisation": "initialised", "all_visible": "all visible"}


@dataclass(frozen=True)
class Cell:
    mean: str
    std: str


@dataclass(frozen=True)
class Row:
    name: str
    cells: list[Cell]
    main: bool


@dataclass(frozen=True)
class Group:
    """The rows of one test set."""

    name: str
    detail: str
    rows: list[Row]


@dataclass(frozen=True)
class ScoreTable:
    heading: str
    columns: list[str]
    groups: list[Group]


def score_table(metrics: Mapping[str, Any], headings: Mapping[str, str] | None = None) -> ScoreTable:
    """The system, its initialisation and the all-visible mask on every test set of a `metrics.json`.

    `headings` chooses and names the columns; without it every score that has a number is there.
    """
    headings = headings or all_headings(metrics)
    keys = list(headings)
    groups = []
    for name, scores in metrics["test_sets"].items():
        rows = [Row(metrics["system"], cells(scores, keys), main=True)]
        for system in SYSTEM_KEYS:
            other = (metrics.get(system) or {}).get("test_sets", {}).get(name)
            if other is not None:
                rows.append(Row(SYSTEM_NAMES[system], cells(other, keys), main=False))
        groups.append(Group(set_title(metrics, name), set_detail(scores), rows))
    return ScoreTable("test set", list(headings.values()), groups)


def held_out_table(metrics: Mapping[str, Any], headings: Mapping[str, str] | None = None) -> ScoreTable:
    """Seen and held-out occluders apart, for the test sets that have held-out ones."""
    headings = headings or all_headings(metrics)
    keys = list(headings)
    groups = []
    for name, scores in metrics["test_sets"].items():
        parts = [(part, scores[part]) for part in ("seen", "held_out") if scores.get(part)]
        if any(part == "held_out" for part, _ in parts):
            rows = [
                Row(f"{part.replace('_', ' ')} ({value['n']})", cells(value, keys), main=False)
                for part, value in parts
            ]
            groups.append(Group(set_title(metrics, name), "", rows))
    return ScoreTable("test set", list(headings.values()), groups)


def print_scores(metrics: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints the score table, and the held-out occluders below it."""
    console = console or Console()
    for note in metrics.get("notes") or []:
        console.print(note, style="yellow")
    title = f"{metrics['system']}, preset {metrics['preset']}, seed {metrics['seed']}"
    console.print(_rich_table(score_table(metrics, TERMINAL_HEADINGS), title))
    held_out = held_out_table(metrics, TERMINAL_HEADINGS)
    if held_out.groups:
        console.print(_rich_table(held_out, "Occluders seen in training, and held out"))


def all_headings(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Key -> heading of the scores that at least one test set has a number for."""
    sets = metrics["test_sets"].values()
    present = {key for scores in sets for key, value in scores.items() if _has_mean(value)}
    return {key: heading for key, (heading, _) in HEADINGS.items() if key in present}


def cells(scores: Mapping[str, Any], keys: list[str]) -> list[Cell]:
    return [
        Cell(number(value.get("mean"), key), number(value.get("std"), key, missing=""))
        for key in keys
        for value in [scores.get(key) or {}]
    ]


def number(value: float | None, key: str, missing: str = "–") -> str:
    """A score as text with its column's decimals; `missing` for None."""
    return missing if value is None else f"{value:.{HEADINGS[key][1]}f}"


def set_title(metrics: Mapping[str, Any], name: str) -> str:
    """A scored set's name in words, as its data source gives it."""
    return (metrics.get("sets") or {}).get(name, {}).get("title", name.replace("_", " "))


def set_detail(scores: Mapping[str, Any]) -> str:
    """How many pictures, and how much of their rendered regions is visible: found, and in truth."""
    found, truth = scores.get("visible_share"), scores.get("true_visible_share")
    parts = [f"{scores['n']} pictures"]
    parts += [f"{found:.0%} of the region found visible"] if found is not None else []
    parts += [f"{truth:.0%} in truth"] if truth is not None else []
    return ", ".join(parts)


def _has_mean(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("mean") is not None


def _rich_table(content: ScoreTable, title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 0, 0, 2), pad_edge=False)
    table.add_column(content.heading, overflow="fold")  # a long name is broken, a number never
    for column in content.columns:
        table.add_column(column, justify="right", no_wrap=True, min_width=max(6, len(column)))
    for group in content.groups:
        count = group.detail.split(" ")[0]
        table.add_row(f"[cyan]{group.name}[/]" + (f" [dim]({count})[/]" if count else ""))
        for row in group.rows:
            table.add_row(
                f"  {row.name}", *[cell.mean for cell in row.cells], style="bold" if row.main else None
            )
    return table
