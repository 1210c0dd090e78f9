"""The last words of many runs: their scores, the worst of them, and what failed."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from occfit.publishing.score_tables import number, set_title
from occfit.runs.outcome import Outcome
from occfit.scoring.picture_scores import ALL_VISIBLE


def print_outcomes(outcomes: Sequence[Outcome], console: Console | None = None) -> None:
    """Prints the table of F1, the worst run, and each failed run's error."""
    console = console or Console()
    finished = [(outcome, scores) for outcome in outcomes if (scores := outcome.scores())]
    if finished:
        console.print(outcome_table(finished))
        worst, scores = min(finished, key=lambda pair: gain(pair[1]))
        console.print(
            f"Worst: {worst.name}, whose F1 on {judged_on(scores)} is {gain(scores):+.3f} against a mask that hides "
            f"nothing ({worst.folder})",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    for outcome in outcomes:
        if outcome.error:
            console.print(
                f"Failed: {outcome.name}: {outcome.error}",
                style="red",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )


def outcome_table(finished: Sequence[tuple[Outcome, dict[str, Any]]]) -> Table:
    shown = Table(title="F1 of the visible face", title_justify="left", box=None, pad_edge=False)
    shown.add_column("run", overflow="fold")
    first = finished[0][1]
    sets = [name for name in single_sets(first) if all(name in scores["test_sets"] for _, scores in finished)]
    for name in sets:
        shown.add_column(set_title(first, name), justify="right")
    for outcome, scores in finished:
        values = [scores["test_sets"][name]["f1"]["mean"] for name in sets]
        shown.add_row(outcome.name, *(number(value, "f1") for value in values))
    return shown


def single_sets(scores: dict[str, Any]) -> list[str]:
    """The scored sets that are no unions of others."""
    sets = scores.get("sets") or {}
    return [name for name in scores["test_sets"] if not sets.get(name, {}).get("parts")]


def judged_on(scores: dict[str, Any]) -> str:
    """The set that says which run is better: the data source's, or else the last one."""
    return scores.get("judged_on") or next(reversed(scores.get("test_sets") or {"": {}}))


def gain(scores: dict[str, Any]) -> float:
    """F1 above that of the mask that hides nothing; as low as can be where either isn't known."""
    own, free = (
        part.get("test_sets", {}).get(judged_on(scores), {}).get("f1", {}).get("mean")
        for part in (scores, scores.get(ALL_VISIBLE) or {})
    )
    return -1.0 if own is None or free is None else own - free
