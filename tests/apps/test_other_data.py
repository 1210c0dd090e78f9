"""Data that the code has never heard of: it is trained on, scored, reported, tabulated and drawn."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tiny_run import TRAINING

from occfit.apps.figures import main as draw_figures
from occfit.apps.report import report_run
from occfit.apps.tables import main as make_tables
from occfit.cache import cache_dir
from occfit.cli import main
from occfit.data.data_source import SetDescription
from occfit.data.prepared_sets import write_sets
from occfit.data.store import PreparedStore, StoreWriter
from occfit.data.synthetic import WorldConfig, prepare_synthetic
from occfit.face_model import builtin_face_model
from occfit.runs.checkpoint import read_checkpoint

pytestmark = pytest.mark.unit

SETS = {
    "plain": SetDescription("plain faces", is_headline=True),
    "veiled": SetDescription("veiled faces"),
    "everyone": SetDescription("all of them", parts=("plain", "veiled")),
}
ALIGNED = ("image", "landmarks")


def copy(store: PreparedStore, folder: Path, *fields: str, known: str = "") -> None:
    """A store with some of another's fields, whose masks are known in the upper half where that is asked for."""
    arrays = store.arrays(range(len(store)), (*ALIGNED, *fields))
    if known == "upper half":
        arrays["known"] = np.zeros_like(arrays["visibility"])
        arrays["known"][:, : store.size[0] // 2] = 255
    with StoreWriter(folder) as writer:
        writer.add(**arrays)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    """Pictures with landmarks alone to train on, and two test sets that nobody else has, one labelled in part."""
    folder = tmp_path_factory.mktemp("data") / "photographs"
    world = WorldConfig(size=64, train=16, validation=4, test=4)
    painted = prepare_synthetic(world, builtin_face_model("coarse"), cache_dir() / "data", workers=0)
    copy(painted["train"], folder / "train")
    copy(painted["validation"], folder / "validation")
    copy(painted["neutral"], folder / "plain", "visibility", known="upper half")
    copy(painted["scarf"], folder / "veiled", "visibility")
    write_sets(folder, "photographs", SETS, "everyone")
    return folder


@pytest.fixture(scope="module")
def run(photographs, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "proposed-smoke-0"
    data = ["data=images", f"data.path={photographs}"]
    assert main(["train", "preset=smoke", *data, *TRAINING, f"output={output}"]) == 0
    return output


def test_it_is_trained_on_and_scored(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert list(metrics["test_sets"]) == list(metrics["sets"]) == ["plain", "veiled", "everyone"]
    assert metrics["judged_on"] == "everyone"
    assert metrics["sets"]["everyone"]["parts"] == ["plain", "veiled"]
    assert metrics["test_sets"]["everyone"]["n"] == 8


def test_scores_say_how_much_is_known(run):
    sets = json.loads((run / "metrics.json").read_text())["test_sets"]
    assert 0.2 < sets["plain"]["known_share"] < 0.8
    assert "known_share" not in sets["veiled"]
    assert sets["veiled"]["f1"]["n"] == 4


def test_its_report_calls_the_sets_by_their_titles(run):
    page = report_run(run).read_text()
    assert "plain faces" in page
    assert "all of them" in page


def test_its_tables_call_the_sets_by_their_titles(run, tmp_path):
    spec = {
        "title": "Other faces",
        "caption": "of a source of one's own",
        "rows": ["pretrained", "proposed"],
        "test_sets": list(SETS),
        "metrics": ["f1", "rmse"],
        "differences": ["f1"],
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(spec))
    command = ["--preset", "smoke", "--seeds", "0", "--runs", str(run.parent)]
    assert make_tables([*command, "--tables", str(tmp_path / "mine.yaml"), "--out", str(tmp_path)]) == 0
    text = (tmp_path / "mine.md").read_text()
    for heading in ("plain faces (4 pictures", "all of them (8 pictures"):
        assert heading in text


def test_its_figures_are_drawn_and_those_of_other_sets_are_left_out(run, tmp_path, capsys):
    figures = {
        name: {
            "title": name,
            "columns": ["target", "proposed.mask", "truth"],
            "pictures": {shown: 2},
            "rule": "random",
        }
        for name, shown in (("mine", "everyone"), ("theirs", "glasses"))
    }
    (tmp_path / "figures.yaml").write_text(yaml.safe_dump(figures))
    command = ["--runs", str(run.parent), "--preset", "smoke", "--figures", str(tmp_path / "figures.yaml")]
    assert draw_figures([*command, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "mine.jpg").exists()
    assert not (tmp_path / "theirs.jpg").exists()
    assert "theirs shows the test set 'glasses'" in capsys.readouterr().out


def test_a_mixture_of_sources_trains(photographs, tmp_path):
    folders = [f"data.parts.{part}.source.path={photographs}" for part in ("photographs", "composites")]
    world = [f"data.parts.synthetic.source.{key}" for key in ("train=16", "validation=4", "test=4")]
    stages = ["stages.initialise.batch=4", "stages.warm_up.batch=4", "stages.alternate.batch=4"]
    data = ["data=mixed", *folders, *world]
    output = tmp_path / "run"
    command = ["train", "preset=smoke", "pipeline=guided", *data, *TRAINING, *stages, f"output={output}"]
    assert main(command) == 0
    metrics = json.loads((output / "metrics.json").read_text())
    assert "ar_overall" in metrics["test_sets"]


def test_a_share_of_no_picture_is_refused(photographs, tmp_path, capsys):
    folders = [f"data.parts.{part}.source.path={photographs}" for part in ("photographs", "composites")]
    world = [f"data.parts.synthetic.source.{key}" for key in ("train=16", "validation=4", "test=4")]
    command = [
        "train",
        "preset=smoke",
        "data=mixed",
        *folders,
        *world,
        *TRAINING,
        f"output={tmp_path / 'run'}",
    ]
    assert main(command) == 2
    assert "is no picture in a batch of 2" in capsys.readouterr().err


def test_pictures_of_another_size_are_refused(photographs, tmp_path, capsys):
    data = ["data=images", f"data.path={photographs}"]
    command = ["train", "preset=smoke", *data, *TRAINING, "size=32", f"output={tmp_path / 'run'}"]
    assert main(command) == 2
    assert "64 x 64 pixels, the run's have 32 x 32" in capsys.readouterr().err


def adapt(checkpoint: Path, photographs: Path, output: Path, *more: str) -> int:
    data = ["data=images", f"data.path={photographs}"]
    return main(["train", "preset=smoke", *data, *TRAINING, f"init={checkpoint}", f"output={output}", *more])


def test_a_trained_system_goes_on_on_other_data(checkpoint, photographs, tmp_path):
    more = ["stages.alternate.steps=1", "trainer.log_every=50"]  # so that nothing is logged
    assert adapt(checkpoint, photographs, tmp_path / "run", *more) == 0
    stages = [stage["stage"] for stage in json.loads((tmp_path / "run" / "stages.json").read_text())]
    assert stages == ["recognition", "alternate"]
    before = read_checkpoint(checkpoint)["state_dict"]
    after = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["state_dict"]
    encoder = {key for key in before if key.startswith("encoder.")}
    assert all(torch.equal(before[key], after[key]) for key in encoder), (
        "the first phase trains the segmenter"
    )
    assert any(not torch.equal(before[key], after[key]) for key in before.keys() - encoder)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["init=shipped"], "pictures of 112 px, this run has 64"),
        (["segmenter.width=4"], "It was trained with"),
        (["init=/nowhere.ckpt"], "no checkpoint"),
    ],
)
def test_a_system_that_does_not_fit_is_refused(checkpoint, photographs, tmp_path, capsys, more, message):
    assert adapt(checkpoint, photographs, tmp_path / "run", *more) == 2
    assert message in capsys.readouterr().err
