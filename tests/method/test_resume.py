"""Interrupted and resumed is the same as uninterrupted, bit by bit."""

from dataclasses import replace

import pytest
import torch
from lightning.pytorch import Callback

pytestmark = pytest.mark.unit

STEPS = 9


def result(trainer) -> dict:
    """Everything that training made: weights, optimizer states, clock, data position."""
    module = trainer.lightning_module
    optimizers = [optimizer.state_dict() for optimizer in trainer.optimizers]
    return {
        "state": {key: value.clone() for key, value in module.state_dict().items()},
        "optimizers": optimizers,
        "clock": (trainer.global_step, module.data_position, module.bad_batches),
    }


def assert_equal(first, second, path="") -> None:
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), path
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            assert_equal(first[key], second[key], f"{path}.{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), path
        for index, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_equal(a, b, f"{path}[{index}]")
    else:
        assert first == second, path


def spoil_third(batch, number):
    """The third batch is bad, so that the clock and the data's position differ."""
    if number != 2:
        return batch(number)
    return replace(batch(number), image=torch.full_like(batch(number).image, torch.nan))


@pytest.fixture(scope="module")
def uninterrupted() -> dict:
    return {}


@pytest.mark.parametrize(
    ("stage", "stop"),
    [("initialise", 4), ("warm_up", 4), *(("alternate", stop) for stop in (1, 2, 3, 5, 6, 7))],
)
def test_resume_is_exact(make_module, fit, tmp_path, uninterrupted, stage, stop):
    """Inside each phase of the alternation (2 steps, then 3), at each of its borders, and within an epoch.

    24 samples in batches of 5 are no whole number, so every stop is in the middle of an epoch.
    """
    if stage not in uninterrupted:
        uninterrupted[stage] = result(fit(make_module(stage), STEPS, choose=spoil_third))
    first = fit(make_module(stage), stop, choose=spoil_third)
    first.save_checkpoint(tmp_path / "last.ckpt")
    second = fit(make_module(stage, seed=1), STEPS, resume=tmp_path / "last.ckpt", choose=spoil_third)
    assert_equal(result(second), uninterrupted[stage])


def test_resume_is_exact_when_saved_amid_training_with_validation(make_module, fit, tmp_path):
    """As the callbacks save: at the end of a batch, with validation due at the same step."""

    class Save(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 4:
                trainer.save_checkpoint(tmp_path / "amid.ckpt")

    validation = {"limit_val_batches": None, "val_check_interval": 2, "check_val_every_n_epoch": None}
    whole = fit(make_module(), STEPS, callbacks=[Save()], **validation)
    torch.manual_seed(99)
    resumed = fit(make_module(seed=1), STEPS, resume=tmp_path / "amid.ckpt", **validation)
    assert_equal(result(resumed), result(whole))
