"""What watches a training: collapse, progress, pictures."""

import io
import math
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from rich.console import Console
from tiny_world import plain_evidence
from torch import nn

from occfit.errors import OccfitError
from occfit.method.visibility import RobustVisibility
from occfit.runs.callbacks.collapse import CollapseGuard
from occfit.runs.callbacks.progress import StageProgress, describe_pace, describe_seconds
from occfit.runs.callbacks.validation_pictures import KEY, ValidationPictures, picture_grid

pytestmark = pytest.mark.unit


def biased(module, logit: float):
    """A module whose segmenter says the same everywhere."""
    assert module.segmenter is not None
    nn.init.zeros_(module.segmenter.head.weight)
    nn.init.constant_(module.segmenter.head.bias, logit)
    return module


@pytest.mark.parametrize(("logit", "words"), [(-20.0, "black.*raise"), (20.0, "white.*lower")])
def test_a_collapsed_mask_stops_the_training(make_module, fit, logit, words):
    with pytest.raises(OccfitError, match=words) as caught:
        fit(biased(make_module(), logit), steps=20, callbacks=[CollapseGuard(window=4)])
    assert caught.value.where == "step 4"
    assert "\n" not in str(caught.value)


def test_a_mask_in_which_no_pixel_is_likelier_visible_than_not_is_black(make_module, fit):
    """However far its probabilities are from zero: 0.27 everywhere here."""
    with pytest.raises(OccfitError, match=r"black.*0\.0000"):
        fit(biased(make_module(), -1.0), steps=20, callbacks=[CollapseGuard(window=4)])


def test_a_mask_that_hides_nothing_yet_isnt_white(make_module, fit):
    module = biased(make_module(), 2.0)
    fit(module, steps=8, callbacks=[CollapseGuard(window=4)])
    assert module.global_step == 8


def test_one_dark_batch_is_no_collapse(make_module, fit):
    """It takes a whole window: the share is that of all its pixels."""
    guard, module = CollapseGuard(window=4), make_module()

    class Darken(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs: Any, batch, batch_idx):
            if batch_idx == 1:
                outputs["called_visible"].zero_()

    fit(module, steps=8, callbacks=[Darken(), guard])
    assert module.global_step == 8


def test_the_initialisations_mask_isnt_watched(make_module, fit):
    module = make_module("initialise", visibility=RobustVisibility(0.0))  # nothing is that near
    fit(module, steps=6, callbacks=[CollapseGuard(window=2)])
    assert module.global_step == 6


def test_progress_in_a_file_is_a_line_now_and_then(make_module, fit):
    file = io.StringIO()
    console = Console(file=file, force_terminal=False, width=120)
    fit(make_module(), steps=7, callbacks=[StageProgress("alternate", console, every=0.0)])
    lines = file.getvalue().splitlines()
    assert len(lines) == 7
    assert lines[0].startswith("alternate: segmentation  1/7  ")
    assert lines[2].startswith("alternate: reconstruction  3/7  ")
    assert lines[2].endswith("left")
    assert "steps/s" in lines[2]
    file.truncate(0)
    fit(make_module(), steps=7, callbacks=[StageProgress("alternate", console, every=1000.0)])
    assert len(file.getvalue().splitlines()) == 1


def test_progress_in_a_terminal_is_a_bar(make_module, fit):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120)
    fit(make_module(), steps=5, callbacks=[StageProgress("alternate", console)])
    assert "alternate: reconstruction" in file.getvalue()
    assert "5/5" in file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.2, "0:07"), (725, "12:05"), (3723, "1:02:03"), (59.6, "1:00")]
)
def test_describe_seconds(seconds, text):
    assert describe_seconds(seconds) == text


def test_describe_pace():
    assert describe_pace(10.0, 100, 14.0, 150, 275) == "12.5 steps/s, 0:10 left"
    assert describe_pace(10.0, 100, 14.0, 100, 275) == "0 steps/s"


def test_picture_grid_shows_target_reconstruction_mask_and_truth():
    image, rendered = torch.full((2, 3, 8, 8), 0.6), torch.full((2, 3, 8, 8), 0.2)
    region = torch.zeros(2, 1, 8, 8)
    region[..., :4] = 1
    visibility = torch.zeros(2, 1, 8, 8)
    visibility[..., 2:, :] = 0.9
    grid = picture_grid(plain_evidence(image, rendered, region, visibility), count=2)
    assert grid.shape == (16, 32, 3)
    target, reconstruction, mask, truth = (grid[8:, 8 * i : 8 * i + 8, 0] for i in range(4))
    assert (target == 153).all()
    assert (reconstruction[:, :4] == 51).all()
    assert (reconstruction[:, 4:] == 153).all()
    assert np.array_equal(mask > 0, (np.arange(8)[:, None] >= 2) & (np.arange(8)[None] < 4))
    assert (truth == round(0.3 * 255)).all()


VALIDATING = {"limit_val_batches": None, "val_check_interval": 2, "check_val_every_n_epoch": None}


def test_tensorboard_gets_scalars_and_pictures(make_module, fit, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path, name="alternate", version="")
    fit(make_module(), steps=4, logger=logger, callbacks=[ValidationPictures(3)], **VALIDATING)
    events = EventAccumulator(logger.log_dir)
    events.Reload()
    assert [event.step for event in events.Images(KEY)] == [2, 4]
    assert math.isfinite(events.Scalars("train/segmentation/total")[0].value)


@pytest.mark.slow
def test_wandb_works_offline(make_module, fit, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    logger = WandbLogger(save_dir=tmp_path, name="alternate")
    fit(make_module(), steps=2, logger=logger, callbacks=[ValidationPictures(2)], **VALIDATING)
    logger.experiment.finish()
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    assert list(run.glob("files/media/images/**/*.png"))
