"""The demo's settings: its own, the caller's, and whether it goes on."""

import pytest

from occfit.apps.demo import main, output_folder, overrides
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit


def test_the_caller_s_settings_replace_the_demo_s(tmp_path):
    settings = overrides(["preset=smoke", f"output={tmp_path / 'run'}", "seed=1"])
    assert settings == ["pipeline=proposed", "preset=smoke", f"output={tmp_path / 'run'}", "seed=1"]
    assert output_folder(settings) == tmp_path / "run"


def test_a_demo_that_was_begun_goes_on(tmp_path):
    (tmp_path / "config.yaml").touch()
    assert "resume=true" in overrides([f"output={tmp_path}"])
    assert "resume=true" not in overrides([f"output={tmp_path}", "resume=false"])


def test_help_runs_nothing(capsys):
    assert main(["--help"]) == 0
    assert "KEY=VALUE" in capsys.readouterr().out


@pytest.mark.parametrize("is_begun", [False, True])
def test_the_configuration_can_be_shown(tmp_path, capsys, is_begun):
    if is_begun:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "config.yaml").touch()
    assert main(["preset=smoke", f"output={tmp_path / 'run'}", "--cfg", "job"]) == 0
    assert "preset: smoke" in capsys.readouterr().out


def test_a_key_without_a_value_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OccfitError, match="'output' can't be read"):
        main(["output", "--cfg", "job"])
