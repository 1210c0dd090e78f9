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
    assert overrides([f"output={tmp_path}"])[-1] == "resume=true"
    assert overrides([f"output={tmp_path}", "resume=false"])[-1] == "resume=false"


def test_help_runs_nothing(capsys):
    assert main(["--help"]) == 0
    assert "KEY=VALUE" in capsys.readouterr().out


def test_the_configuration_can_be_shown(tmp_path, capsys):
    assert main(["preset=smoke", f"output={tmp_path / 'run'}", "--cfg", "job"]) == 0
    assert "preset: smoke" in capsys.readouterr().out


def test_a_key_without_a_value_is_refused():
    with pytest.raises(OccfitError, match="'output' can't be read"):
        main(["output", "--cfg", "job"])
