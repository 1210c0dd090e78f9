"""`occfit reproduce`: trains what is missing, does nothing twice, and outlives a failed run."""

import json
import os
from pathlib import Path

import pytest
import yaml
from PIL import Image
from tiny_run import SETTINGS

from occfit.apps import train
from occfit.apps.reproduce import main
from occfit.errors import OccfitError
from occfit.publishing.paper_figures import GAP, TILE
from occfit.runs.stopped import StoppedError

pytestmark = [pytest.mark.unit, pytest.mark.slow]


@pytest.fixture
def spec(tmp_path) -> Path:
    """A small table of three systems with a common region."""
    path = tmp_path / "table1.yaml"
    content = {
        "title": "Table",
        "caption": "Numbers.",
        "rows": ["pretrained", "mofa", "proposed"],
        "test_sets": ["glasses", "ar_overall"],
        "metrics": ["f1", "rmse", "common_rmse"],
        "differences": ["f1"],
        "published": {},
    }
    path.write_text(yaml.safe_dump(content))
    figure = {
        "title": "Figure",
        "columns": ["target", "mofa.reconstruction", "proposed.mask", "truth"],
        "pictures": {"glasses": 1, "ar_overall": 2},
        "rule": "lowest mofa rmse",
    }
    (tmp_path / "figures.yaml").write_text(yaml.safe_dump({"figure1": figure}))
    return path


def reproduce(spec: Path) -> int:
    folder = spec.parent
    options = ["--preset", "smoke", "--seeds", "0", "--tables", str(spec)]
    options += ["--figures", str(folder / "figures.yaml")]
    return main([*options, "--runs", str(folder / "runs"), "--out", str(folder / "out"), *SETTINGS])


def test_it_trains_scores_compares_and_then_does_nothing(spec, monkeypatch, capsys):
    assert reproduce(spec) == 0
    out, runs = spec.parent / "out", spec.parent / "runs"
    lines = (out / "table1.md").read_text().splitlines()
    rows = [
        line for line in lines if line.startswith(("| pretrained", "| mofa", "| proposed")) and "±" in line
    ]
    assert len(rows) == 6
    assert not any("–" in row for row in rows)
    common = json.loads((runs / "common-smoke-0" / "metrics.json").read_text())
    assert set(common["rows"]) == {"pretrained", "mofa", "proposed"}
    assert "Worst:" in capsys.readouterr().out.splitlines()[-1]
    assert 'src="figures/figure1.jpg"' in (out / "index.html").read_text()
    with Image.open(out / "figures" / "figure1.jpg") as figure:
        assert figure.size[0] == 4 * (TILE + GAP) - GAP
        assert figure.size[1] > 3 * TILE
    before = contents(out)

    def train_again(config):
        raise AssertionError("a finished run is trained again")

    monkeypatch.setattr(train, "train_and_evaluate", train_again)
    assert reproduce(spec) == 0
    assert contents(out) == before
    figure = out / "figures" / "figure1.jpg"
    figure.write_bytes(b"of other runs")
    os.utime(figure, (0, 0))
    assert reproduce(spec) == 0
    assert contents(out) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_failed_run_is_told_last_and_the_others_are_done(spec, monkeypatch, capsys):
    whole = train.train_and_evaluate

    def fail(config):
        if config.system == "mofa":
            raise OccfitError("The masks have collapsed", "step 3")
        whole(config)

    monkeypatch.setattr(train, "train_and_evaluate", fail)
    assert reproduce(spec) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "Failed: mofa, seed 0: The masks have collapsed [step 3]"
    text = (spec.parent / "out" / "table1.md").read_text()
    assert "occfit train pipeline=mofa preset=smoke seed=0" in text
    assert next(line for line in text.splitlines() if line.startswith("| proposed")).count("±") >= 2


def test_ctrl_c_ends_it(spec, monkeypatch):
    def stop(config):
        raise StoppedError("initialise", 1, 2, Path("last.ckpt"))

    monkeypatch.setattr(train, "train_and_evaluate", stop)
    with pytest.raises(StoppedError):
        reproduce(spec)
