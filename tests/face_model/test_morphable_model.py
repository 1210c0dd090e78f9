import pytest
import torch
from small_model import small_model

pytestmark = pytest.mark.unit


def test_zero_is_the_mean():
    model = small_model()
    assert torch.equal(model.vertices(torch.zeros(2, 4), torch.zeros(2, 3))[1], model.mean_shape)
    assert torch.equal(model.albedo(torch.zeros(2, 5))[0], model.mean_albedo)


def test_is_the_sum_over_components(generator: torch.Generator):
    model = small_model()
    shape, expression = torch.randn(2, 4, generator=generator), torch.randn(2, 3, generator=generator)
    expected = model.mean_shape.double().repeat(2, 1, 1)
    for sample in range(2):
        for component in range(4):
            expected[sample] += shape[sample, component].double() * model.shape_basis[..., component]
        for component in range(3):
            expected[sample] += (
                expression[sample, component].double() * model.expression_basis[..., component]
            )
    torch.testing.assert_close(model.vertices(shape, expression).double(), expected, atol=1e-5, rtol=0)


def test_albedo_is_the_sum_over_components(generator: torch.Generator):
    model = small_model()
    albedo = torch.randn(3, 5, generator=generator)
    expected = model.mean_albedo + torch.einsum("vca,ba->bvc", model.albedo_basis, albedo)
    torch.testing.assert_close(model.albedo(albedo), expected)


def test_gradients_reach_every_parameter():
    model = small_model()
    parameters = [torch.zeros(1, size, requires_grad=True) for size in (4, 3, 5)]
    total = (
        model.vertices(parameters[0], parameters[1]).square().sum()
        + model.albedo(parameters[2]).square().sum()
    )
    total.backward()
    assert all((parameter.grad != 0).all() for parameter in parameters)


def test_has_no_checkpoint_entries_and_no_weights():
    model = small_model(uv=True)
    assert model.state_dict() == {}
    assert list(model.parameters()) == []


def test_sizes():
    assert small_model().sizes == {"shape": 4, "expression": 3, "albedo": 5}


def test_digest_depends_on_every_array_and_on_nothing_else():
    model = small_model(uv=True)
    same = small_model(uv=True)
    same.name = "another name"
    assert model.digest() == same.digest()
    for name, buffer in model.named_buffers():
        changed = small_model(uv=True)
        setattr(changed, name, buffer + 1)
        assert changed.digest() != model.digest(), name
    assert small_model(uv=False).digest() != model.digest()
