import pytest
import torch
from torch import nn

from occfit.networks.segmenter import VISIBLE_THRESHOLD, UNet, visibility_from_logits

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("size", [(64, 64), (61, 64), (63, 45), (7, 9), (112, 96)])
@pytest.mark.parametrize("depth", [2, 4])
def test_mask_has_the_images_size(size, depth):
    image = torch.rand(1, 3, *size)
    with torch.no_grad():
        assert UNet(4, depth)(image, image).shape == (1, 1, *size)


def test_structure_is_the_papers():
    """Ronneberger et al.: 64 channels doubled four times, two convolutions a level, 23 convolutions in all."""
    network = UNet()
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convolutions) == 23
    channels = [(m.in_channels, m.out_channels) for m in network.down.modules() if isinstance(m, nn.Conv2d)]
    assert channels[::2] == [(6, 64), (64, 128), (128, 256), (256, 512), (512, 1024)]
    assert [up.out_channels for up in network.up] == [512, 256, 128, 64]
    assert network.head.out_channels == 1


def test_padding_leaves_the_inside_alone():
    """A picture padded by hand gives the same logits as one that the network pads."""
    network = UNet(4, 2).double()
    image, rendered = torch.rand(2, 1, 3, 30, 31, dtype=torch.float64)
    padded = [nn.functional.pad(x, (0, 1, 0, 2)) for x in (image, rendered)]
    with torch.no_grad():
        torch.testing.assert_close(network(image, rendered), network(*padded)[..., :30, :31])


def test_image_and_rendering_are_told_apart():
    network = UNet(4, 2)
    image, rendered = torch.rand(2, 1, 3, 32, 32)
    with torch.no_grad():
        assert not torch.allclose(network(image, rendered), network(rendered, image))


def test_gradient_reaches_every_parameter_and_the_rendering():
    network = UNet(4, 3)
    image, rendered = torch.rand(2, 2, 3, 33, 40)
    rendered.requires_grad_()
    network(image, rendered).square().mean().backward()
    assert rendered.grad is not None
    assert rendered.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_same_seed_gives_the_same_bits():
    def gradient() -> torch.Tensor:
        torch.manual_seed(0)
        network = UNet(4, 3)
        network(torch.rand(2, 3, 40, 40), torch.rand(2, 3, 40, 40)).square().mean().backward()
        return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])

    assert torch.equal(gradient(), gradient())


def test_logits_are_float32_and_unbounded_under_bf16_autocast():
    network = UNet(4, 2)
    nn.init.constant_(network.head.weight, 9.0)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32))
    assert logits.dtype == torch.float32
    assert logits.max() > 1


def test_one_sigmoid_and_its_threshold():
    logits = torch.tensor([-100.0, -1.0, 0.0, 1.0, 100.0]).view(1, 1, 1, 5)
    probability = visibility_from_logits(logits)
    assert probability.flatten().tolist() == pytest.approx([0, 0.2689414, 0.5, 0.7310586, 1], abs=1e-6)
    assert (probability > VISIBLE_THRESHOLD).flatten().tolist() == [False, False, False, True, True]
    assert visibility_from_logits(logits.bfloat16()).dtype == torch.float32
    assert not any(isinstance(module, nn.Sigmoid) for module in UNet(4, 2).modules())
