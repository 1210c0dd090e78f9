"""`occfit landmarks` trains, writes and reports, and refuses what can't be before hours are spent."""

import json

import pytest

from occfit.apps.landmarks import main
from occfit.errors import OccfitError
from occfit.networks.landmark_network import read_landmark_network

pytestmark = pytest.mark.unit

QUICK = ["--pictures", "16", "--size", "64", "--steps", "2", "--batch", "4", "--width", "8", "--threads", "1"]


def test_it_leaves_weights_and_a_report(tmp_path, capsys):
    assert main([str(tmp_path / "deep" / "points.safetensors"), *QUICK]) == 0
    assert read_landmark_network(tmp_path / "deep" / "points.safetensors").template.any()
    report = json.loads((tmp_path / "deep" / "points.json").read_text())
    assert report["steps"] == 2
    assert 0 < report["nme_box"] < 1
    assert "nme_box" in capsys.readouterr().out


def test_a_folder_that_can_t_be_written_is_refused_first(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OccfitError, match="can't be written"):
        main([str(tmp_path / "file" / "points.safetensors"), *QUICK])


@pytest.mark.parametrize("option", ["--steps", "--pictures", "--batch"])
def test_numbers_are_positive(tmp_path, option):
    with pytest.raises(SystemExit):
        main([str(tmp_path / "points.safetensors"), option, "0"])
