"""report.html: every section, every number of metrics.json, nothing from outside."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from occfit.apps.report import (
    config_text,
    duration,
    loss_curves,
    read_scores,
    report_run,
    stage_name,
    write_report,
)
from occfit.errors import OccfitError
from occfit.publishing.examples import choose
from occfit.scoring.scored_system import evaluate_run

pytestmark = pytest.mark.unit

SECTIONS = ["scores", "held-out", "pictures", "curves", "histogram", "run"]


class Page(HTMLParser):
    """Collects a page's sections, what it refers to, and checks that its elements are closed in order."""

    VOID = {"meta", "img", "br", "link", "path", "use", "rect", "polyline", "hr"}  # noqa: RUF012

    def __init__(self, path: Path):
        super().__init__()
        self.sections: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        if tag == "section":
            self.sections.append(str(values["id"]))
        self.references += [str(values[key]) for key in ("href", "src", "xlink:href") if values.get(key)]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.references += [str(value) for key, value in attrs if key in ("href", "src", "xlink:href")]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def run(checkpoint, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reported") / "run"
    shutil.copytree(checkpoint.parents[1], folder)
    evaluate_run(folder / "checkpoints" / "last.ckpt", folder)
    report_run(folder)
    return folder


@pytest.fixture(scope="module")
def page(run) -> Page:
    return Page(run / "report.html")


def test_every_section_is_there_and_every_element_closed(page):
    assert page.sections == SECTIONS
    assert not page.open


def test_nothing_comes_from_outside(run, page):
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(reference.startswith(("#", "data:image/png;base64,")) for reference in page.references)
    style = re.search(r"<style>(.*?)</style>", (run / "report.html").read_text(), re.DOTALL)
    assert style
    assert "url(" not in style.group(1)
    assert "@import" not in style.group(1)


def test_every_test_set_has_its_pictures(run, page):
    pictures = [reference for reference in page.references if reference.startswith("data:")]
    assert len(pictures) == 6 * (6 + 4)
    text = (run / "report.html").read_text()
    metrics = json.loads((run / "metrics.json").read_text())
    for name in metrics["test_sets"]:
        assert f"{metrics['test_sets'][name]['f1']['mean']:.3f}" in text
    assert "Not the paper&#39;s assets." in text


def test_the_run_s_facts_and_timings_are_there(run):
    text = (run / "report.html").read_text()
    for fact in ("1 min 15 s", "scoring", "torch", "builtin_face_model"):
        assert fact in text


def test_the_report_is_the_same_for_the_same_run(run):
    before = (run / "report.html").read_text()
    report_run(run)
    assert (run / "report.html").read_text() == before


def test_a_report_without_pictures_logs_or_timings_has_its_sections(run, tmp_path):
    shutil.copy(run / "metrics.json", tmp_path)
    page = Page(write_report(tmp_path))
    assert page.sections == SECTIONS
    assert not [reference for reference in page.references if reference.startswith("data:")]


def test_a_run_without_scores_says_how_to_get_them(tmp_path):
    with pytest.raises(OccfitError, match="occfit evaluate"):
        write_report(tmp_path)
    with pytest.raises(OccfitError, match="occfit evaluate"):
        read_scores(tmp_path / "scores.csv")


def test_names_are_escaped(run, tmp_path):
    metrics = json.loads((run / "metrics.json").read_text()) | {"system": "<script>alert(1)</script>"}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert "script" not in Page(write_report(tmp_path)).tags


def test_the_choice_of_pictures_is_seeded_and_the_worst_come_first():
    f1 = np.array([0.9, np.nan, 0.2, 0.7, 0.5])
    drawn, worst = choose(f1, seed=3, random=2, worst=3)
    assert (drawn, worst) == choose(f1, seed=3, random=2, worst=3)
    assert worst == [2, 4, 3]
    assert len(drawn) == 2
    assert len({tuple(choose(f1, seed, 2, 3)[0]) for seed in range(20)}) > 3
    assert choose(f1, 0, 10, 10) == ([0, 1, 2, 3, 4], [2, 4, 3, 0])


def test_stages_are_named_by_their_folders(tmp_path):
    assert stage_name(Path("warm_up/version_0/metrics.csv")) == "warm up"
    log = tmp_path / "logs" / "alternate" / "metrics.csv"
    log.parent.mkdir(parents=True)
    log.write_text("step,train/area\n1,0.5\n")
    assert [stage.name for stage in loss_curves(tmp_path)] == ["alternate"]


def test_durations_are_readable():
    assert [duration(seconds) for seconds in (0.44, 59.0, 75.2, 3600.0)] == [
        "0.4 s", "59.0 s", "1 min 15 s", "60 min 0 s",
    ]  # fmt: skip


def test_a_damaged_configuration_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(OccfitError, match=r"damaged.*config.yaml"):
        config_text(tmp_path)
