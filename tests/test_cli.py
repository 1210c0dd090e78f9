"""The command line as its user meets it: a subprocess."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from occfit import cli
from occfit.cli import COMMANDS
from occfit.runs.config import conf_dir

pytestmark = pytest.mark.unit


def occfit(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "occfit.cli", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def assert_one_line(result: subprocess.CompletedProcess, *parts: str) -> None:
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("occfit: ")
    for part in parts:
        assert part in result.stderr


def test_help_lists_the_commands_with_a_line_each(tmp_path):
    result = occfit("--help", cwd=tmp_path)
    assert result.returncode == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.startswith("  ")}
    assert set(lines) == set(COMMANDS)
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_the_version(tmp_path):
    from occfit import __version__

    assert occfit("--version", cwd=tmp_path).stdout.strip() == __version__


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(tmp_path, command):
    result = occfit(command, "--help", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert f"occfit {command}" in result.stdout
    assert not list(tmp_path.iterdir())


def test_what_nobody_foresaw_is_one_line_too(monkeypatch, capsys):
    monkeypatch.setattr(cli, "command", lambda name: lambda arguments: 1 // 0)
    assert cli.main(["train"]) == 1
    assert capsys.readouterr().err.startswith("occfit: ZeroDivisionError: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_in_one_line(monkeypatch, capsys, number):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(cli, "command", lambda name: lambda arguments: os.kill(os.getpid(), number))
    assert cli.main(["train"]) == 130
    assert capsys.readouterr().err.startswith("occfit: Stopped.")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "occfit.cli", "train", "--help"]
    result = subprocess.run(command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, timeout=300)
    os.close(writer)
    assert result.stderr == b""


def test_an_unknown_command(tmp_path):
    assert_one_line(occfit("trian", cwd=tmp_path), "There is no command 'trian'", "'train'")


def test_train_help_shows_groups_and_keys(tmp_path):
    result = occfit("train", "--help", cwd=tmp_path)
    assert result.returncode == 0
    assert "pipeline: " in result.stdout
    assert "proposed" in result.stdout
    assert "seed: 0" in result.stdout


def test_evaluate_help_shows_only_the_group_that_it_has(tmp_path):
    groups = occfit("evaluate", "--help", cwd=tmp_path).stdout.split("(GROUP=NAME):\n")[1].split("\n\n")[0]
    names = sorted(path.stem for path in (conf_dir() / "data").glob("*.yaml"))
    assert groups == f"data: {', '.join(names)}"


def test_train_shows_its_configuration(tmp_path):
    result = occfit("train", "preset=smoke", "--cfg", "job", cwd=tmp_path)
    assert result.returncode == 0
    assert "preset: smoke" in result.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("+sede=1", ("Unknown key 'sede'", "Did you mean 'seed'?")),
        ("trainer=3", ("name of one of its files",)),
        ("seed=[1", ("seed=[1",)),
        ("output=/dev/null/run", ("can't be written", "/dev/null")),
    ],
)
def test_a_mistake_is_one_line(tmp_path, override, parts):
    assert_one_line(occfit("train", "preset=smoke", override, cwd=tmp_path), *parts)


@pytest.mark.parametrize(
    ("override", "part"),
    [
        (None, "Nothing to score"),
        ("checkpoint=3", "There is no checkpoint"),
        ("checkpoint=/dev/null", "can't be read"),
    ],
)
def test_a_mistake_in_evaluate_is_one_line(tmp_path, override, part):
    assert_one_line(occfit("evaluate", *([override] if override else []), cwd=tmp_path), part)


def test_a_traceback_on_demand(tmp_path):
    result = occfit("train", "+sede=1", cwd=tmp_path, OCCFIT_TRACEBACK="1")
    assert result.returncode != 0
    assert "Traceback" in result.stderr
