"""Phases and learning rates as functions of the step."""

import pytest
import torch

from occfit.method.schedule import (
    AlternatingSchedule,
    ConstantPhase,
    ConstantRate,
    Learning,
    Phase,
    StepDecay,
    WarmUpCosine,
)

pytestmark = pytest.mark.unit


def test_papers_alternation():
    """5k of every 30k iterations train the segmenter, 25k the encoder."""
    schedule = AlternatingSchedule()
    phases = [schedule.phase_at(step) for step in range(0, 60_000, 1_000)]
    assert phases == ([Phase.SEGMENTATION] * 5 + [Phase.RECONSTRUCTION] * 25) * 2
    assert schedule.phase_at(4_999) == Phase.SEGMENTATION
    assert schedule.phase_at(5_000) == Phase.RECONSTRUCTION


def test_constant_phase():
    schedule = ConstantPhase(Phase.SEGMENTATION)
    assert {schedule.phase_at(step) for step in (0, 7, 10**6)} == {Phase.SEGMENTATION}


def test_step_decay_is_torchs():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.06)
    torchs = torch.optim.lr_scheduler.StepLR(optimizer, 5, 0.99)
    for step in range(23):
        assert 0.06 * StepDecay(0.99, 5)(step) == pytest.approx(torchs.get_last_lr()[0])
        optimizer.step()
        torchs.step()


def test_warm_up_cosine():
    rate = WarmUpCosine(steps=110, warm_up=10)
    values = [rate(step) for step in range(111)]
    assert values[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert values[10] == 1
    assert values[60] == pytest.approx(0.5)
    assert values[110] == pytest.approx(0)
    assert values[10:] == sorted(values[10:], reverse=True)
    assert rate(10_000) == pytest.approx(0)
    assert WarmUpCosine(steps=10, final=0.1)(10) == pytest.approx(0.1)


def test_learning_sets_the_rate_from_the_step_alone():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    learning = Learning(torch.optim.SGD, StepDecay(0.1, 10))
    for step in (25, 0, 25):
        learning.set_rate(optimizer, step)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.005)
    assert ConstantRate()(12) == 1
