"""Names, shapes and sizes of torchvision's residual networks, written down from their published structure."""

import pytest
import torch
from torch import nn

from occfit.networks.resnet import (
    Bottleneck,
    ResNet,
    cell_means,
    cell_shares,
    resnet18,
    resnet50,
    small_resnet,
)

pytestmark = pytest.mark.unit


def norm_shapes(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    vectors = {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return vectors | {f"{name}.num_batches_tracked": ()}


def torchvision_shapes(depths: tuple[int, ...], kernels: tuple[int, ...], expansion: int) -> dict[str, tuple]:
    """Every name of the state dict and its shape; `kernels` are those of one block's convolutions."""
    shapes: dict[str, tuple] = {"conv1.weight": (64, 3, 7, 7), **norm_shapes("bn1", 64)}
    inputs = 64
    for stage, depth in enumerate(depths, start=1):
        planes = 32 * 2**stage
        for block in range(depth):
            name, channels = f"layer{stage}.{block}", inputs
            for number, kernel in enumerate(kernels, start=1):
                outputs = planes * expansion if number == len(kernels) else planes
                shapes[f"{name}.conv{number}.weight"] = (outputs, channels, kernel, kernel)
                shapes |= norm_shapes(f"{name}.bn{number}", outputs)
                channels = outputs
            if block == 0 and (stage > 1 or expansion > 1):
                shapes[f"{name}.downsample.0.weight"] = (channels, inputs, 1, 1)
                shapes |= norm_shapes(f"{name}.downsample.1", channels)
            inputs = channels
    return shapes | {"fc.weight": (1000, inputs), "fc.bias": (1000,)}


@pytest.mark.parametrize(
    ("make", "depths", "kernels", "expansion", "parameters", "names"),
    [
        (resnet18, (2, 2, 2, 2), (3, 3), 1, 11_689_512, 122),
        (resnet50, (3, 4, 6, 3), (1, 3, 1), 4, 25_557_032, 320),
    ],
)
def test_names_shapes_and_sizes_are_torchvisions(make, depths, kernels, expansion, parameters, names):
    network = make(classes=1000)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert shapes == torchvision_shapes(depths, kernels, expansion)
    assert len(shapes) == names
    assert sum(value.numel() for value in network.parameters()) == parameters


def test_bottlenecks_stride_is_in_the_second_convolution():
    first = resnet50().layer2[0]
    assert isinstance(first, Bottleneck)
    assert (first.conv1.stride, first.conv2.stride) == ((1, 1), (2, 2))


@pytest.mark.parametrize(("make", "quarter"), [(resnet18, 4), (resnet50, 4), (small_resnet, 2)])
def test_stages_halve_the_resolution(make, quarter):
    network: ResNet = make().eval()
    with torch.no_grad():
        maps = network.stages(torch.rand(1, 3, 64, 64))
        assert [m.shape[-1] for m in maps] == [64 // quarter // 2**stage for stage in range(4)]
        assert network(torch.rand(2, 3, 64, 64)).shape == (2, network.features)


def test_small_network_is_the_same_function_in_training_and_alone():
    network = small_resnet()
    images = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        together = network.train()(images)
        alone = torch.cat([network.eval()(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_memory_format_of_the_input_changes_nothing():
    network = small_resnet()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(
            network(images), network(images.contiguous(memory_format=torch.channels_last)), atol=0, rtol=0
        )


def test_cell_means_are_average_pooling():
    x = torch.rand(2, 3, 8, 12)
    torch.testing.assert_close(cell_means(x, 4), nn.functional.avg_pool2d(x, (2, 3)).flatten(1))
    torch.testing.assert_close(cell_means(x, 1), x.mean(dim=(2, 3)))


@pytest.mark.parametrize(("length", "cells"), [(4, 4), (14, 4), (3, 4), (5, 1)])
def test_cells_share_out_every_pixel_evenly(length, cells):
    shares = cell_shares(length, cells)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(cells))
    torch.testing.assert_close(shares.sum(dim=0), torch.full((length,), cells / length))


def test_uneven_cells_agree_with_pooling_after_enlargement():
    x = torch.rand(1, 2, 14, 6)
    enlarged = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(cell_means(x, 4), nn.functional.avg_pool2d(enlarged, (7, 3)).flatten(1))


@pytest.mark.parametrize("size", [48, 64, 112, 224])
def test_small_network_takes_any_size(size):
    network = small_resnet()
    with torch.no_grad():
        assert network(torch.rand(1, 3, size, size)).shape == (1, network.features)
