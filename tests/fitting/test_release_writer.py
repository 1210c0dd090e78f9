"""A released system is the checkpoint's, in half precision."""

import json

import numpy as np
import pytest
import torch
from skimage import data

import occfit
from occfit.apps.release import main
from occfit.errors import OccfitError
from occfit.fitting.release_writer import write_release
from occfit.runs.checkpoint import read_checkpoint, write_checkpoint
from occfit.runs.released import ENTRY, WEIGHTS, read_release

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(checkpoint, tmp_path):
    assert main([str(checkpoint), str(tmp_path / "small")]) == 0
    return tmp_path / "small"


def test_a_release_fits_as_the_checkpoint_does(checkpoint, folder):
    original, released = occfit.load(checkpoint), occfit.load(folder)
    points = (3 * original.template + 100).astype(np.float32)
    fits = [fitter(data.astronaut(), points) for fitter in (original, released)]
    torch.testing.assert_close(fits[1].params.to_vector(), fits[0].params.to_vector(), atol=0.01, rtol=0.01)
    assert np.abs(fits[1].visibility - fits[0].visibility).mean() < 0.01
    assert released.checkpoint.digest != original.checkpoint.digest
    assert (folder / WEIGHTS).stat().st_size < 0.6 * checkpoint.stat().st_size


def test_its_weights_are_the_checkpoint_s_rounded(checkpoint, folder):
    state, wanted = read_release(folder)["state_dict"], read_checkpoint(checkpoint)["state_dict"]
    assert state.keys() == wanted.keys()
    for key, value in wanted.items():
        assert state[key].dtype == value.dtype
        torch.testing.assert_close(state[key], value, atol=1e-4, rtol=1e-3)


def test_damage_is_refused(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:500])
    with pytest.raises(OccfitError, match="damaged"):
        occfit.load(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(OccfitError, match=r"no released system.*system.safetensors"):
        occfit.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"builtin_face_model": 1}, "another version"), ({"format": 99}, "another version"), (None, "describe")],
)
def test_another_version_is_refused(folder, change, message):
    entry = json.loads((folder / ENTRY).read_text())
    (folder / ENTRY).write_text("[]" if change is None else json.dumps({**entry, **change}))
    with pytest.raises(OccfitError, match=message):
        occfit.load(folder)


def test_other_face_models_are_not_released(checkpoint, tmp_path):
    content = read_checkpoint(checkpoint)
    config = content["occfit"]["config"]
    model = {"_target_": "occfit.face_model.files.load_face_model", "path": "bfm.h5"}
    content["occfit"]["config"] = {**config, "face_model": model}
    write_checkpoint(tmp_path / "other.ckpt", content)
    with pytest.raises(OccfitError, match="built-in face model"):
        write_release(tmp_path / "other.ckpt", tmp_path / "small")


def test_a_folder_that_can_t_be_written(checkpoint, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OccfitError, match="can't be written"):
        write_release(checkpoint, tmp_path / "file" / "small")


def test_log_odds_move_every_logit(checkpoint, folder, tmp_path):
    write_release(checkpoint, tmp_path / "shifted", log_odds=0.5)
    states = [read_release(place)["state_dict"] for place in (folder, tmp_path / "shifted")]
    for key, value in states[0].items():
        expected = value + 0.5 if key == "segmenter.head.bias" else value
        torch.testing.assert_close(states[1][key], expected, atol=1e-3, rtol=0)


def test_a_system_without_a_segmenter_has_no_log_odds(checkpoint, tmp_path):
    content = read_checkpoint(checkpoint)
    kept = {key: value for key, value in content["state_dict"].items() if key.startswith("encoder")}
    write_checkpoint(tmp_path / "encoder.ckpt", {**content, "state_dict": kept})
    with pytest.raises(OccfitError, match="no segmenter"):
        write_release(tmp_path / "encoder.ckpt", tmp_path / "out", log_odds=0.5)


def test_a_release_names_no_folder_of_its_maker(folder):
    assert "/" not in json.loads((folder / ENTRY).read_text())["config"]["output"]
