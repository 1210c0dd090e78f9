"""What a figure looks like, and when it is drawn again."""

import os

import canned
import pytest

from occfit.publishing.figure_specs import FigureSpec, choose, describe_rule
from occfit.publishing.paper_figures import draw_figure, outdated, wrap

pytestmark = pytest.mark.unit


def test_a_figure_has_a_row_a_picture_and_says_its_rule(splits):
    one = FigureSpec("Figure", ["target", "truth"], {"glasses": 2}, "illumination")
    picture = draw_figure(one, choose(one, splits, {}, 0), splits.test, {}, 0)
    assert picture.shape[1] == 2 * 132 - 4
    assert "contrast" in describe_rule(one, 0)
    assert all(len(line) < 60 for line in wrap(describe_rule(one, 0), 260))


def test_a_figure_is_drawn_again_when_a_run_that_it_shows_is_newer(tmp_path):
    runs, folder = tmp_path / "runs", tmp_path / "figures"
    folder.mkdir()
    scores = {row: canned.write_run(runs, row, 0) / "metrics.json" for row in ("mofa", "proposed")}
    figures = [
        FigureSpec(name, [f"{row}.mask"], {"glasses": 1}, "random", name)
        for name, row in (("figure1", "mofa"), ("figure2", "proposed"), ("figure3", "mofa"))
    ]
    for path, time in ((scores["mofa"], 100), (scores["proposed"], 300)):
        os.utime(path, (time, time))
    for name in ("figure1", "figure2"):
        (folder / f"{name}.jpg").touch()
        os.utime(folder / f"{name}.jpg", (200, 200))
    old = outdated(figures, runs, "laptop", 0, folder)
    assert [figure.name for figure in old] == ["figure2", "figure3"]
