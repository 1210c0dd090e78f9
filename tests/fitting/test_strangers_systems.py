"""A checkpoint or a released system that somebody made to run code, or to read secrets, when it is opened."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import occfit
from occfit.cli import main
from occfit.errors import OccfitError
from occfit.fitting.face_fitter import SMALL
from occfit.runs.config import compose
from occfit.runs.released import ENTRY, WEIGHTS, read_release

pytestmark = pytest.mark.unit

PARTS = ("seed", "size", "face_model", "rasterizer", "encoder", "segmenter", "visibility", "objective")
SECRET = "what nobody may know"
LOAD = "occfit.face_model.files.load_face_model"


@pytest.fixture
def ran(tmp_path) -> Path:
    """The file that appears if the stranger's code runs."""
    return tmp_path / "RAN"


def code(ran: Path) -> str:
    return f"__import__('pathlib').Path('{ran}').touch()"


def call(ran: Path) -> dict[str, Any]:
    """A node that runs the code: sympy comes with torch, and evaluates what it is given."""
    return {"_target_": "sympy.sympify", "a": code(ran)}


def interpolation(ran: Path) -> str:
    return '${oc.create:{_target_: sympy.sympify, a: "' + code(ran) + '"}}'


def in_a_value(entry: dict[str, Any], ran: Path) -> None:
    entry["config"]["face_model"] = {"_target_": LOAD, "path": interpolation(ran)}


def in_a_nested_list(entry: dict[str, Any], ran: Path) -> None:
    entry["config"]["face_model"] = {"_target_": "torch.optim.SGD", "params": [[interpolation(ran)]]}


def in_a_key(entry: dict[str, Any], ran: Path) -> None:
    entry["config"]["face_model"] = {"_target_": LOAD, "path": "x.h5", interpolation(ran): 1}


def in_the_size(entry: dict[str, Any], ran: Path) -> None:
    entry["size"] = interpolation(ran)


def of_the_environment(entry: dict[str, Any], ran: Path) -> None:
    entry["config"]["face_model"] = {"_target_": LOAD, "path": "${oc.env:OCCFIT_SECRET}"}


def call_in_a_list_of_lists(entry: dict[str, Any], ran: Path) -> None:
    entry["config"]["face_model"] = {"_target_": "torch.optim.SGD", "params": [[call(ran)]]}


def call_in_a_list_of_a_mapping(entry: dict[str, Any], ran: Path) -> None:
    entry["config"]["face_model"] = {"_target_": "torch.optim.SGD", "params": {"x": [call(ran)]}}


CASES: list[Callable[[dict[str, Any], Path], None]] = [
    in_a_value,
    in_a_nested_list,
    in_a_key,
    in_the_size,
    of_the_environment,
    call_in_a_list_of_lists,
    call_in_a_list_of_a_mapping,
]
every_case = pytest.mark.parametrize("spoil", CASES, ids=lambda spoil: spoil.__name__)


def spoiled_release(spoil: Callable[[dict[str, Any], Path], None], ran: Path) -> Path:
    folder = ran.with_name("released")
    folder.mkdir()
    entry = json.loads((SMALL / ENTRY).read_text())
    spoil(entry, ran)
    shutil.copy(SMALL / WEIGHTS, folder)
    (folder / ENTRY).write_text(json.dumps(entry))
    return folder


def spoiled_checkpoint(spoil: Callable[[dict[str, Any], Path], None], ran: Path) -> Path:
    content = read_release(SMALL)
    spoil(content["occfit"], ran)
    path = ran.with_name("spoiled.ckpt")
    torch.save(content, path)
    return path


makers = pytest.mark.parametrize("make", [spoiled_release, spoiled_checkpoint], ids=["release", "checkpoint"])


@makers
@every_case
def test_opening_it_runs_nothing_and_tells_nothing(make, spoil, ran, monkeypatch):
    monkeypatch.setenv("OCCFIT_SECRET", SECRET)
    path = make(spoil, ran)
    with pytest.raises(OccfitError, match=r"isn't plain text|may not be called") as caught:
        occfit.load(path)
    assert not ran.exists()
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


@makers
def test_a_seed_is_no_node(make, ran):
    """A system that fits picture by picture hands its seed to the fitting."""

    def spoil(entry, ran):
        entry["config"] |= {"fitting": compose(["pipeline=egger"]).fitting, "seed": call(ran)}

    path = make(spoil, ran)
    with pytest.raises(OccfitError, match="seed"):
        occfit.load(path)
    assert not ran.exists()


@makers
@pytest.mark.parametrize("part", PARTS)
def test_a_configuration_without_a_part_is_refused(make, part, ran):
    path = make(lambda entry, ran: entry["config"].pop(part), ran)
    with pytest.raises(OccfitError, match=rf"(has no {part}|'{part}' is missing).*{path.name}"):
        occfit.load(path)


@makers
@pytest.mark.parametrize("spoil", [in_a_value, of_the_environment], ids=lambda spoil: spoil.__name__)
def test_fitting_a_photograph_with_it_is_refused_in_one_line(make, spoil, ran, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OCCFIT_SECRET", SECRET)
    (tmp_path / "face.png").touch()
    arguments = [tmp_path / "face.png", "--out", tmp_path / "out", "--checkpoint", make(spoil, ran)]
    assert main(["predict", *map(str, arguments)]) == 2
    message = capsys.readouterr().err
    assert "plain text" in message
    assert message.count("\n") == 1
    assert SECRET not in message
    assert not ran.exists()


@pytest.mark.parametrize("spoil", [in_a_value, in_the_size, of_the_environment], ids=lambda f: f.__name__)
@pytest.mark.parametrize("data", [(), ("data=synthetic", "data.test=2")], ids=["its data", "other data"])
def test_scoring_it_is_refused_in_one_line(spoil, data, ran, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OCCFIT_SECRET", SECRET)
    path = spoiled_checkpoint(spoil, ran)
    assert main(["evaluate", f"checkpoint={path}", *data, f"output={tmp_path / 'scores'}"]) == 2
    message = capsys.readouterr().err
    assert "plain text" in message
    assert SECRET not in message
    assert not ran.exists()


@makers
def test_it_writes_no_file_where_it_likes(make, ran, tmp_path):
    def spoil(entry, ran):
        entry["config"]["face_model"]["cache"] = str(ran)

    occfit.load(make(spoil, ran))
    assert not ran.exists()


def test_what_the_package_ships_is_plain():
    assert read_release(SMALL)["occfit"]["config"]["face_model"]["_target_"]
