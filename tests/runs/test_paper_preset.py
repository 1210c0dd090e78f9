"""The paper's preset trains: its networks, its picture size, CelebAMask-HQ and the two licensed files, all made up."""

import csv
import math
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest
import torch
from photo_trees import celeba_tree

from occfit.cli import main
from occfit.face_model import builtin_face_model
from occfit.face_model.files import save_face_model
from occfit.networks.vggface2 import vggface2_resnet50
from occfit.runs.build import has_papers_assets
from occfit.runs.checkpoint import read_checkpoint
from occfit.runs.config import compose
from occfit.runs.run_folder import RunFolder
from occfit.runs.stages import train

pytestmark = [pytest.mark.unit, pytest.mark.nightly]

FACE_MODEL = "model2017-1_face12_nomouth"
BATCHES = {"reconstruct": 2, "initialise": 2, "warm_up": 1, "alternate": 1}
"""Pictures of a step. With two pictures, a step of a segmenter of this width takes a core nine seconds."""

SHORT = [
    *(f"stages.{stage}={{steps: 3, batch: {batch}}}" for stage, batch in BATCHES.items()),
    "optimizer.alternate.schedule={period: 3, segmentation_steps: 1}",
    "trainer={threads: 1, precision: 32-true, log_every: 1, progress: false}",
]
TERMS = {
    "initialise": {"reconstruction": ("robust", "perceptual", "landmark", "prior")},
    "warm_up": {"segmentation": ("cross_entropy",)},
    "alternate": {
        "reconstruction": ("pixel", "perceptual", "area", "landmark", "prior"),
        "segmentation": ("neighbour", "perceptual_exclusion", "area", "perceptual_inclusion", "binary"),
    },
    "reconstruct": {"reconstruction": ("pixel", "landmark", "prior")},
}


@pytest.fixture(scope="module")
def assets(tmp_path_factory) -> Iterator[Path]:
    """A folder with both files, under their own names and in their own layouts."""
    folder = tmp_path_factory.mktemp("assets")
    write_face_model(folder)
    write_recognition(folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def celeba(tmp_path_factory) -> Path:
    """CelebAMask-HQ, prepared in the paper's size."""
    folder = tmp_path_factory.mktemp("celeba")
    tree = celeba_tree(folder / "CelebAMask-HQ")
    given = [f"root={tree}", f"landmarks={tree / 'landmarks'}", "size=224", "workers=0"]
    assert main(["prepare", "source=celebamask_hq", *given, f"output={folder / 'prepared'}"]) == 0
    return folder / "prepared"


@pytest.fixture
def output(assets, tmp_path, monkeypatch) -> Iterator[Path]:
    """A run's folder, and a cache of its own: a gigabyte, removed afterwards."""
    monkeypatch.setenv("OCCFIT_ASSETS", str(assets))
    monkeypatch.setenv("OCCFIT_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "run"
    shutil.rmtree(tmp_path)


def write_face_model(folder: Path) -> None:
    """The built-in face with the Basel model's 80, 64 and 80 components, its landmarks in a file beside it."""
    model, path = builtin_face_model(), folder / f"{FACE_MODEL}.h5"
    save_face_model(model, path)
    with h5py.File(path, "a") as file:
        del file["metadata"], file.attrs["name"]
    numbers = "\n".join(str(vertex) for vertex in model.landmark_vertices.tolist())
    (folder / f"Landmarks68_{FACE_MODEL}.anl").write_text(numbers)


def write_recognition(folder: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = vggface2_resnet50().state_dict()
    arrays = {key: value.numpy() for key, value in state.items() if "num_batches" not in key}
    arrays["fc.weight"] = arrays["conv1.weight"]  # the classifier, which is left out
    (folder / "resnet50_ft_weight.pkl").write_bytes(pickle.dumps(arrays, protocol=2))


def read_log(path: Path) -> dict[str, list[float]]:
    """Column -> its values, in order."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {key: [float(row[key]) for row in rows if row[key]] for key in rows[0]}


@pytest.mark.parametrize("pipeline", ["proposed", "mofa"])
def test_three_steps_of_every_stage_end_in_a_checkpoint(celeba, output, pipeline):
    data = ["data=celebamask_hq", f"data.path={celeba}"]
    composed = compose(["preset=paper", *data, f"pipeline={pipeline}", f"output={output}", *SHORT])
    assert has_papers_assets(composed)
    folder = RunFolder(output)
    run = train(composed, folder)
    assert run.networks.face_model.name == FACE_MODEL
    for stage in composed.pipeline:
        log = read_log(folder.logs / stage / "metrics.csv")
        assert log["step"] == [1, 2, 3]
        for phase, terms in TERMS[stage].items():
            for term in (*terms, "total"):
                values = log[f"train/{phase}/{term}"]
                assert values
                assert all(math.isfinite(value) for value in values), term
    checkpoint = read_checkpoint(folder.checkpoint)
    assert checkpoint["occfit"]["size"] == 224
    assert checkpoint["occfit"]["stage"] == composed.pipeline[-1]
    state = checkpoint["state_dict"]
    assert all(torch.isfinite(value).all() for value in state.values() if value.is_floating_point())
    counts = {
        name: sum(value.numel() for key, value in state.items() if key.startswith(f"{name}."))
        for name in ("encoder", "segmenter")
    }
    assert counts["encoder"] > 23_508_032, "a ResNet-50 without its classifier, and the last layer"
    assert counts["segmenter"] > 17e6
