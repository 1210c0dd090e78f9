"""The score tables show every number that is there, and nothing for those that aren't."""

import pytest
from rich.console import Console

from occfit.publishing.score_tables import held_out_table, number, print_scores, score_table
from occfit.scoring.headings import HEADINGS

pytestmark = pytest.mark.unit


def scores(f1: float | None, n: int = 4) -> dict:
    return {
        "f1": {"mean": f1, "std": 0.01},
        "rmse": {"mean": 12.346, "std": None},
        "n": n,
        "visible_share": 0.8,
    }


@pytest.fixture
def metrics() -> dict:
    glasses = scores(0.95) | {"seen": scores(0.96, n=3), "held_out": scores(0.92, n=1)}
    return {
        "system": "proposed",
        "preset": "smoke",
        "seed": 0,
        "notes": ["Not the paper's assets."],
        "test_sets": {"neutral": scores(0.98), "glasses": glasses},
        "initialisation": {"test_sets": {"neutral": scores(0.94), "glasses": scores(0.9)}},
        "all_visible": {"test_sets": {"neutral": scores(0.97), "glasses": scores(None)}},
    }


def test_columns_are_the_scores_with_numbers(metrics):
    assert score_table(metrics).columns == ["F1", "RMSE"]


def test_each_test_set_has_the_system_and_what_it_is_compared_with(metrics):
    groups = score_table(metrics).groups
    assert [group.name for group in groups] == ["neutral", "glasses"]
    assert [row.name for row in groups[0].rows] == ["proposed", "initialised", "all visible"]
    assert [row.cells[0].mean for row in groups[1].rows] == ["0.950", "0.900", "–"]
    assert [row.cells[1].mean for row in groups[1].rows] == ["12.35"] * 3


def test_held_out_occluders_have_rows_of_their_own(metrics):
    table = held_out_table(metrics)
    assert [group.name for group in table.groups] == ["glasses"]
    assert [row.name for row in table.groups[0].rows] == ["seen (3)", "held out (1)"]


@pytest.mark.parametrize("system", ["proposed", "supervised_segmenter"])
def test_a_terminal_of_80_columns_cuts_no_number(metrics, system):
    metrics["system"] = system
    full = {key: {"mean": 0.98765, "std": 0.1} for key in HEADINGS} | {"n": 10000, "visible_share": 0.9}
    metrics["test_sets"] = {"ar_overall": full | {"rmse": {"mean": 112.346, "std": 1.0}}}
    console = Console(width=80)
    with console.capture() as capture:
        print_scores(metrics, console)
    text = capture.get()
    assert "…" not in text
    assert text.count("0.988") == 6
    assert "112.35" in text
    assert "0.9877" in text
    assert "Not the paper's assets." in text


def test_a_missing_number_is_a_dash():
    assert number(None, "f1") == "–"
    assert number(0.98765, "f1") == "0.988"
