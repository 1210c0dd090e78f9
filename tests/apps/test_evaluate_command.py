"""`occfit evaluate` as its user calls it."""

import json

import numpy as np
import pytest
from PIL import Image

from occfit.cli import main
from occfit.data.images import read_landmarks
from occfit.fitting.pictures import to_picture
from occfit.runs.checkpoint import read_checkpoint
from occfit.scoring.scored_system import load_run, run_splits

pytestmark = pytest.mark.unit

SMALL = ["data.train=2", "data.validation=2", "data.test=4"]


def test_a_checkpoint_alone_is_scored_on_its_run_s_own_test_sets(checkpoint, tmp_path, capsys):
    assert main(["evaluate", f"checkpoint={checkpoint}", f"output={tmp_path / 'scores'}"]) == 0
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert metrics["test_sets"]["neutral"]["n"] == 6
    assert "neutral" in capsys.readouterr().out


def test_a_refined_system_is_a_row_of_its_own(checkpoint, tmp_path):
    command = ["evaluate", f"checkpoint={checkpoint}", "data=synthetic", *SMALL, "data.test=2"]
    assert main([*command, "refine=true", f"output={tmp_path / 'refined'}"]) == 0
    assert main([*command, f"output={tmp_path / 'plain'}"]) == 0
    refined, plain = (
        json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("refined", "plain")
    )
    assert refined["system"] == f"{plain['system']}_refined"
    better = [
        refined["test_sets"][name]["rmse"]["mean"] < plain["test_sets"][name]["rmse"]["mean"]
        for name in ("neutral", "unoccluded")
    ]
    assert any(better)


def test_other_data_can_be_named(checkpoint, tmp_path):
    output = f"output={tmp_path / 'scores'}"
    assert main(["evaluate", f"checkpoint={checkpoint}", "data=synthetic", *SMALL, output]) == 0
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert metrics["test_sets"]["neutral"]["n"] == 4


def test_the_run_s_own_scores_are_not_overwritten(checkpoint, capsys):
    assert main(["evaluate", f"checkpoint={checkpoint}", f"output={checkpoint.parents[1]}"]) == 2
    assert "the run's own scores" in capsys.readouterr().err


@pytest.fixture
def predictions(checkpoint, tmp_path):
    """What the checkpoint's system makes of its test pictures, as another system's files would say it."""
    run = load_run(checkpoint)
    system = run.systems["system"]
    for name, store in run_splits(run).test.items():
        explained = system(store.batch(range(len(store))))
        for index in range(len(store)):
            folder = tmp_path / "theirs" / name / f"{index:06d}"
            folder.mkdir(parents=True)
            region = explained.rendering.face_region[index, 0].numpy() > 0.5
            visible = explained.visibility[index, 0].numpy() > 0.5
            for file, mask in (("visible.png", visible), ("face_region.png", region)):
                Image.fromarray(mask).save(folder / file)
            Image.fromarray(to_picture(explained.rendering.image[index])).save(folder / "reconstruction.png")
            points = explained.rendering.landmarks[index] - 0.5
            (folder / "landmarks.csv").write_text("\n".join(f"{x},{y}" for x, y in points.tolist()))
    return tmp_path / "theirs"


def settings(checkpoint) -> list[str]:
    """The data of the checkpoint's run, as overrides."""
    config = read_checkpoint(checkpoint)["occfit"]["config"]
    data = {key: value for key, value in config["data"].items() if key != "_target_"}
    return [
        "data=synthetic",
        f"size={config['size']}",
        *(f"data.{key}={value}" for key, value in data.items()),
    ]


def test_a_systems_files_get_the_scores_of_the_system(checkpoint, predictions, tmp_path):
    assert main(["evaluate", f"checkpoint={checkpoint}", f"output={tmp_path / 'ours'}"]) == 0
    theirs = ["evaluate", f"predictions={predictions}", "system=theirs", *settings(checkpoint)]
    assert main([*theirs, f"output={tmp_path / 'scored'}"]) == 0
    ours = json.loads((tmp_path / "ours" / "metrics.json").read_text())
    found = json.loads((tmp_path / "scored" / "metrics.json").read_text())
    assert (found["system"], found["preset"], found["seed"]) == ("theirs", "laptop", 0)
    assert found["test_sets"].keys() == ours["test_sets"].keys()
    for name, scores in found["test_sets"].items():
        for key, tolerance in (("f1", 1e-6), ("occlusion_iou", 1e-6), ("rmse", 0.2), ("landmark_nme", 1e-4)):
            expected = ours["test_sets"][name][key]["mean"]
            assert scores[key]["mean"] == pytest.approx(expected, abs=tolerance), (name, key)
    assert (tmp_path / "scored" / "scores.csv").read_text().count("\n") > 20


def test_pictures_without_a_prediction_are_counted_and_named(checkpoint, predictions, tmp_path, capsys):
    (predictions / "glasses" / "000001" / "visible.png").unlink()
    command = [
        "evaluate",
        f"predictions={predictions}",
        *settings(checkpoint),
        f"output={tmp_path / 'scored'}",
    ]
    assert main(command) == 0
    notes = json.loads((tmp_path / "scored" / "metrics.json").read_text())["notes"]
    assert len(notes) == 1
    assert "1 of" in notes[0]
    assert notes[0].endswith("glasses have no prediction: 000001")
    assert "000001" in capsys.readouterr().out


def test_a_prediction_of_another_size_is_refused(checkpoint, predictions, tmp_path, capsys):
    Image.fromarray(np.zeros((40, 30), bool)).save(predictions / "glasses" / "000000" / "visible.png")
    command = [
        "evaluate",
        f"predictions={predictions}",
        *settings(checkpoint),
        f"output={tmp_path / 'scored'}",
    ]
    assert main(command) == 2
    assert "30 x 40 pixels" in capsys.readouterr().err


def test_the_test_pictures_can_be_had(checkpoint, tmp_path):
    command = ["evaluate", f"pictures={tmp_path / 'pictures'}", *settings(checkpoint)]
    assert main([*command, f"output={tmp_path / 'none'}"]) == 0
    stores = run_splits(load_run(checkpoint)).test
    batch = stores["scarf"][1]
    with Image.open(tmp_path / "pictures" / "scarf" / "000001.png") as file:
        assert np.array_equal(np.asarray(file), to_picture(batch.image[0]))
    points = read_landmarks(tmp_path / "pictures" / "scarf" / "000001.csv")
    assert points == pytest.approx(batch.landmarks[0].numpy(), abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Nothing to score"),
        (["checkpoint=a", "predictions=b"], "checkpoint and predictions don't go together"),
        (["predictions=nowhere"], "Say data=synthetic"),
        (["predictions=nowhere", "data=synthetic", *SMALL], "no predictions"),
    ],
)
def test_what_can_t_be_scored_is_said(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *arguments, f"output={tmp_path / 'scores'}"]) == 2
    assert message in capsys.readouterr().err
