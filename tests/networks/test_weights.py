import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from occfit.errors import OccfitError
from occfit.networks.weights import load_weights, read_weights

pytestmark = pytest.mark.unit

REMEDY = "Get it there"


def small_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def same(first, second) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("file", ["w.pth", "w.pt", "w.safetensors"])
def test_tensors_come_back(tmp_path, file):
    state = small_network().state_dict()
    save_file(state, tmp_path / file) if file.endswith("tensors") else torch.save(state, tmp_path / file)
    assert same(read_weights(tmp_path / file, REMEDY), state)


@pytest.mark.parametrize("wrap", [lambda s: {"state_dict": s}, lambda s: {"model": s, "epoch": 3}])
def test_wrappers_and_the_data_parallel_prefix_are_taken_off(tmp_path, wrap):
    state = small_network().state_dict()
    torch.save(wrap({f"module.{name}": value for name, value in state.items()}), tmp_path / "w.pth")
    assert same(read_weights(tmp_path / "w.pth", REMEDY), state)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_pickled_arrays_come_back(tmp_path, protocol, kind):
    state = small_network().state_dict()
    arrays = kind((name, value.numpy()) for name, value in state.items())
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(arrays, protocol=protocol))
    assert same(read_weights(tmp_path / "w.pkl", REMEDY), state)


def test_arrays_pickled_by_python_2_come_back(tmp_path):
    """Python 2 wrote an array's bytes as a string, to be read as latin-1."""
    values = np.array([1.5, -2.0], np.float32)
    content = (
        b"(dp0\nS'a'\ncnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I2\ntcnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS"
        + repr(values.tobytes())[1:].encode()
        + b"\ntbs."
    )
    (tmp_path / "w.pkl").write_bytes(content)
    np.testing.assert_array_equal(read_weights(tmp_path / "w.pkl", REMEDY)["a"].numpy(), values)


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return exec, (f"open({str(self.target)!r}, 'w').close()",)


@pytest.mark.parametrize("file", ["w.pkl", "w.pth"])
def test_code_in_a_file_is_refused_and_never_runs(tmp_path, file):
    target = tmp_path / "owned"
    content = {"a": Malicious(target)}
    if file == "w.pkl":
        (tmp_path / file).write_bytes(pickle.dumps(content))
    else:
        torch.save(content, tmp_path / file)
    with pytest.raises(OccfitError, match=r"can't be read.*Get it there"):
        read_weights(tmp_path / file, REMEDY)
    assert not target.exists()


@pytest.mark.parametrize("file", ["w.pkl", "w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights"], ids=["empty", "text"])
def test_broken_files_are_named(tmp_path, file, content):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(OccfitError, match=rf"can't be read.*{file}.*Get it there") as raised:
        read_weights(tmp_path / file, REMEDY)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": "text"}, {"a": {"b": 1}}])
def test_files_without_named_tensors_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(OccfitError, match=r"no dictionary of tensors|'a' is no tensor"):
        read_weights(tmp_path / "w.pth", REMEDY)


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(OccfitError, match=r"no such weight file.*w\.pth.*Get it there"):
        read_weights(tmp_path / "w.pth", REMEDY)
    with pytest.raises(OccfitError, match="no such weight file"):
        read_weights(tmp_path, REMEDY)


@pytest.mark.parametrize("suffix", [".pt", ".pkl", ".safetensors"])
@pytest.mark.parametrize("content", [b"some text, not weights\n", b"\x80\x02}u.", b"\x8e" + b"\xff" * 8, b""])
def test_a_file_of_something_else_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(OccfitError, match=r"can't be read.*w\.[a-z]+.*Get it there"):
        read_weights(path, REMEDY)


def test_weights_without_counters_fit():
    network, weights = small_network(), small_network().state_dict()
    load_weights(network, {k: v for k, v in weights.items() if "num_batches" not in k}, "file")
    assert same(network.state_dict(), weights)


def test_ignored_names_are_left_out():
    weights = small_network().state_dict() | {"fc.weight": torch.zeros(2)}
    load_weights(small_network(), weights, "file", ignore=("fc.",))
    with pytest.raises(OccfitError, match=r"1 unknown \(fc\.weight\)"):
        load_weights(small_network(), weights, "file")


def test_misfits_are_named_and_change_nothing():
    network = small_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    weights = {"0.weight": torch.zeros(4, 3, 3, 3), "extra": torch.zeros(1), "1.weight": torch.zeros(4)}
    problems = (
        r"4 missing \(0\.bias, .*\.\.\.\); 1 unknown \(extra\); 1 of another shape \(0\.weight\) \[file\]"
    )
    with pytest.raises(OccfitError, match=problems):
        load_weights(network, weights, "file")
    assert same(network.state_dict(), before)
