"""`occfit evaluate` as its user calls it."""

import json

import pytest

from occfit.cli import main

pytestmark = pytest.mark.unit

SMALL = ["data.train=2", "data.validation=2", "data.test=4"]


def test_a_checkpoint_alone_is_scored_on_its_run_s_own_test_sets(checkpoint, tmp_path, capsys):
    assert main(["evaluate", f"checkpoint={checkpoint}", f"output={tmp_path / 'scores'}"]) == 0
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert metrics["test_sets"]["neutral"]["n"] == 12
    assert "neutral" in capsys.readouterr().out


def test_other_data_can_be_named(checkpoint, tmp_path):
    output = f"output={tmp_path / 'scores'}"
    assert main(["evaluate", f"checkpoint={checkpoint}", "data=synthetic", *SMALL, output]) == 0
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert metrics["test_sets"]["neutral"]["n"] == 4


def test_the_run_s_own_scores_are_not_overwritten(checkpoint, capsys):
    assert main(["evaluate", f"checkpoint={checkpoint}", f"output={checkpoint.parents[1]}"]) == 2
    assert "the run's own scores" in capsys.readouterr().err
