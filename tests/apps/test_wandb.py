"""A sweep that logs to Weights & Biases offline, and what can be read back of it."""

import json
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from lightning.pytorch.loggers import WandbLogger
from PIL import Image
from tiny_run import TINY
from wandb_files import read_runs, whole_log

from occfit.apps.train import main
from occfit.runs.config import compose
from occfit.runs.logs import wandb_log
from occfit.runs.logs.wandb_log import begin_wandb

pytestmark = [pytest.mark.unit, pytest.mark.slow]
pytest.importorskip("wandb")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The runs of a sweep of two rows, on a cache of its own, so that every stage is trained and logged."""
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("OCCFIT_CACHE", str(folder / "cache"))
        assert (
            main(
                [
                    *TINY,
                    "trainer.validate_every=2",
                    "logger=wandb",
                    "-m",
                    "pipeline=proposed,mofa",
                    f"output={folder / 'sweep'}",
                ]
            )
            == 0
        )
    found = read_runs(folder / "sweep")
    return {(run.config["system"], run.job_type): run for run in found}


def test_every_stage_and_the_scores_are_runs_of_one_group(runs):
    assert set(runs) == {
        *(("proposed", stage) for stage in ("initialise", "warm_up", "alternate", "scores")),
        *(("mofa", stage) for stage in ("reconstruct", "scores")),
    }
    groups = {run.group for run in runs.values()}
    assert len(groups) == 1
    assert groups.pop().startswith("sweep ")


def test_a_run_says_its_stage_and_pipeline(runs):
    for (system, stage), run in runs.items():
        assert run.config["stage"] == stage
        assert run.config["system"] == system
        assert run.config["preset"] == "smoke"
        assert run.config["objective_name"] == "balanced"
        assert run.config["pipeline"] == compose([f"pipeline={system}"]).pipeline
        assert run.tags == [system, "smoke", "seed 0"]


def test_metrics_are_logged_by_phase(runs):
    history = runs["proposed", "alternate"].history
    for phase, terms in (
        ("segmentation", ("neighbour", "perceptual_exclusion", "area", "perceptual_inclusion", "binary")),
        ("reconstruction", ("pixel", "perceptual", "landmark", "prior")),
    ):
        for term in (*terms, "total", "visibility/mean"):
            assert all(np.isfinite(history[f"train/{phase}/{term}"])), term
            assert f"val/{phase}/total" in history
        assert f"optimizer/{phase}/rate" in history
    for key in ("val/visible/f1", "val/occlusion/f1", "val/reconstruction/rmse"):
        assert len(history[key]) == 3


def test_picture_grids_come_at_intervals(runs):
    run = runs["proposed", "alternate"]
    pictures = run.history["val/pictures"]
    assert len(pictures) == 3
    for entry in pictures:
        with Image.open(run.folder / "files" / entry["filenames"][0]) as grid:
            assert grid.size == (4 * 64, 4 * 64)  # target, reconstruction, mask, truth of four pictures


def test_mask_histograms_come_with_them(runs):
    for entry in runs["proposed", "alternate"].history["val/mask"]:
        assert entry["_type"] == "histogram"
        assert len(entry["values"]) == 20
        assert sum(entry["values"]) > 0


def test_the_scores_are_a_summary_and_a_table(runs):
    run = runs["proposed", "scores"]
    entry = run.history["scores"][0]
    assert entry["_type"] == "table-file"
    table = json.loads((run.folder / "files" / entry["path"]).read_text())
    assert table["columns"] == ["system", "preset", "seed", "test_set", "score", "mean", "std"]
    scores = {(row[3], row[4]): row[5] for row in table["data"]}
    assert {"neutral", "glasses", "scarf", "ar_overall", "overall"} <= {test_set for test_set, _ in scores}
    assert run.summary["test/glasses/f1"] == scores["glasses", "f1"]


def test_without_a_connection_a_run_goes_on_offline(tmp_path, monkeypatch):
    node = compose(["preset=smoke", "logger=wandb"]).logger["wandb"]
    config = compose([*TINY, "logger=wandb"])
    whole, calls = wandb_log.instantiate, []

    class Unreachable:
        @property
        def experiment(self):
            raise ConnectionError("no route to host")

    def instantiate(node, **names):
        calls.append(node.get("offline", False))
        return whole(node, **names) if node.get("offline") else Unreachable()

    monkeypatch.setattr(wandb_log, "instantiate", instantiate)
    with pytest.warns(RuntimeWarning, match="no route to host.*wandb sync"):
        logger = begin_wandb(node, config, tmp_path, "alternate")
    assert calls == [False, True]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.log_metrics({"train/total": 1.0}, step=1)
    logger.experiment.finish()
    (run,) = read_runs(tmp_path)
    assert run.history["train/total"] == [1.0]


def test_a_run_that_is_still_being_written_is_waited_for(tmp_path):
    """A finished run's file in three parts: a header, half of it, all of it."""
    logger = WandbLogger(save_dir=tmp_path, offline=True)
    logger.log_metrics({"train/total": 1.0}, step=1)
    logger.experiment.finish()
    (path,) = tmp_path.rglob("run-*.wandb")
    log, content = whole_log(path), path.read_bytes()
    late = tmp_path / "late.wandb"
    with pytest.raises(TimeoutError):
        whole_log(late, deadline=0)
    for part in (content[:0], content[:7], content[: len(content) // 2], content[:-1]):
        late.write_bytes(part)
        with pytest.raises(TimeoutError, match=r"No 'exit' record.*late\.wandb"):
            whole_log(late, deadline=0)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(whole_log, late)
        late.write_bytes(content)
        assert len(waiting.result()) == len(log)
