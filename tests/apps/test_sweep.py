"""Hydra multiruns: every pipeline by a glob, one failure among others, other processes."""

import json

import pytest
from tiny_run import TINY

from occfit.apps.sweep import gain
from occfit.apps.train import main
from occfit.runs.config import conf_dir

pytestmark = [pytest.mark.unit, pytest.mark.slow]


def test_one_failed_run_doesnt_end_a_sweep(tmp_path, capsys):
    sweep = ["-m", "pipeline=pretrained,proposed", "data.size=64,65", f"output={tmp_path / 'sweep'}"]
    assert main([*TINY, *sweep]) == 1
    lines = capsys.readouterr().out.splitlines()
    failed = [line for line in lines if line.startswith("Failed:")]
    assert len(failed) == 2
    assert lines[-2:] == failed
    assert all("data.size=65" in line for line in failed)
    assert lines[-3].startswith("Worst: ")
    assert len(list((tmp_path / "sweep").rglob("metrics.json"))) == 2


def test_a_glob_takes_every_pipeline_and_leaves_nothing_in_the_cache(tmp_path, capsys, monkeypatch):
    ran = []
    cache = tmp_path / "cache"
    monkeypatch.setenv("OCCFIT_CACHE", str(cache))
    monkeypatch.setattr("occfit.apps.train.train_and_evaluate", lambda config: ran.append(config.system))
    assert main([*TINY, "-m", "pipeline=glob(*)", f"output={tmp_path}"]) == 0
    assert cache.exists()
    assert not [path for path in cache.rglob("*") if path.is_file()]
    assert sorted(ran) == sorted(path.stem for path in (conf_dir() / "pipeline").glob("*.yaml"))


@pytest.mark.nightly
def test_joblib_runs_a_sweep_in_other_processes(tmp_path, capsys):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    sweep = ["-m", "pipeline=mofa", "seed=0,1", f"output={tmp_path / 'sweep'}"]
    assert main([*TINY, *launcher, *sweep]) == 0
    out = capsys.readouterr().out
    assert "\nseed=1 " in out
    assert "Worst: " in out
    runs = sorted((tmp_path / "sweep").rglob("metrics.json"))
    assert [json.loads(path.read_text())["seed"] for path in runs] == [0, 1]


def test_the_gain_is_over_the_mask_that_hides_nothing():
    scored = {"test_sets": {"overall": {"f1": {"mean": 0.9}}}}
    assert gain(
        {**scored, "all_visible": {"test_sets": {"overall": {"f1": {"mean": 0.7}}}}}
    ) == pytest.approx(0.2)
    assert gain(scored) == -1
