import pytest
import torch

from occfit.method.descent import ParameterDescent
from occfit.types import FaceParams

pytestmark = pytest.mark.unit

STEPS = 100


def fitted(targets: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
    descent = ParameterDescent(FaceParams.zeros(len(targets)), units, 0.1, STEPS)
    for _ in range(STEPS):
        descent.step(lambda params: (params.to_vector() - targets).square().sum(1))
    return descent.params.to_vector()


def test_it_finds_the_least_loss_and_stops_there():
    targets = 0.5 * torch.randn(2, 257, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(fitted(targets, torch.ones(257)), targets, atol=0.02, rtol=0)


def test_a_first_step_has_the_length_of_a_unit():
    units = torch.linspace(0.1, 3, 257)
    descent = ParameterDescent(FaceParams.zeros(1), units, 0.1, STEPS)
    descent.step(lambda params: -params.to_vector().sum(1))
    torch.testing.assert_close(descent.params.to_vector()[0], 0.1 * units)


def test_each_face_has_its_own_gradient():
    targets = torch.stack([torch.full((257,), 0.3), torch.full((257,), -0.2)])
    alone = fitted(targets[:1], torch.ones(257))
    assert torch.equal(fitted(targets, torch.ones(257))[:1], alone)


def test_a_gradient_that_isnt_finite_moves_nothing():
    descent = ParameterDescent(FaceParams.zeros(2), torch.ones(257), 0.1, STEPS)
    spoiled = torch.tensor([[torch.nan], [1.0]])
    descent.step(lambda params: (spoiled * (params.to_vector() + 1)).sum(1))
    moved = descent.params.to_vector()
    assert (moved[0] == 0).all()
    assert (moved[1] < 0).all()
