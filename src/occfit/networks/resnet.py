"""Residual networks under torchvision's state-dict names, so that its weight files load.

Names: `conv1`, `bn1`, `layer1.0.conv1`, `layer1.0.bn1`, `layer2.0.downsample.0`, ..., `fc`. Where another
normalisation stands in for batch normalisation the names stay.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Normalisation = Callable[[int], nn.Module]
FeatureMap = Float[Tensor, "b _ _ _"]


def group_norm(channels: int) -> nn.GroupNorm:
    """Groups of 8 channels: the same function in training and evaluation, whatever else is in the batch."""
    return nn.GroupNorm(max(1, channels // 8), channels)


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


def conv1x1(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, stride, bias=False)


def _shortcut(inputs: int, outputs: int, stride: int, norm: Normalisation) -> nn.Module | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(conv1x1(inputs, outputs, stride), norm(outputs))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut (He et al. 2016, fig. 5 left)."""

    expansion = 1

    def __init__(self, inputs: int, planes: int, stride: int, norm: Normalisation):
        super().__init__()
        self.conv1, self.bn1 = conv3x3(inputs, planes, stride), norm(planes)
        self.conv2, self.bn2 = conv3x3(planes, planes), norm(planes)
        self.downsample = _shortcut(inputs, planes, stride, norm)

    def forward(self, x: FeatureMap) -> FeatureMap:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 convolutions and a shortcut (He et al. 2016, fig. 5 right).

    Attributes:
        strided_conv: the convolution with the block's stride: 2 in torchvision ("v1.5"), 1 in Caffe.
    """

    expansion = 4
    strided_conv = 2

    def __init__(self, inputs: int, planes: int, stride: int, norm: Normalisation):
        super().__init__()
        outputs = planes * self.expansion
        first, second = (stride, 1) if self.strided_conv == 1 else (1, stride)
        self.conv1, self.bn1 = conv1x1(inputs, planes, first), norm(planes)
        self.conv2, self.bn2 = conv3x3(planes, planes, second), norm(planes)
        self.conv3, self.bn3 = conv1x1(planes, outputs), norm(outputs)
        self.downsample = _shortcut(inputs, outputs, stride, norm)

    def forward(self, x: FeatureMap) -> FeatureMap:
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.residual(x) + shortcut)

    def residual(self, x: FeatureMap) -> FeatureMap:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))


class ResNet(nn.Module):
    """A stem, four stages of residual blocks, means over the image's cells, a linear layer if `classes` is given.

    Args:
        depths: blocks of each stage; stages 2, 3 and 4 halve the resolution.
        width: channels of the first stage before expansion; each stage doubles them.
        stem: `standard` is a 7 x 7 convolution and a maximum, both of stride 2: a quarter of the input;
            `caffe` is the same with the maximum's windows starting at the first pixel;
            `half` is one 3 x 3 convolution of stride 2, for small images.
        norm: makes the normalisation of that many channels.
        cells: the last map is averaged in cells x cells parts.
        classes: outputs of `fc`; None has no such layer, and the network returns the averaged features.

    Attributes:
        features: the number of averages.
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        width: int = 64,
        stem: Literal["standard", "caffe", "half"] = "standard",
        norm: Normalisation = nn.BatchNorm2d,
        cells: int = 1,
        classes: int | None = None,
    ):
        super().__init__()
        self.stem, self.cells = stem, cells
        self.conv1 = conv3x3(3, width, 2) if stem == "half" else nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = norm(width)
        inputs = width
        for stage, depth in enumerate(depths):
            planes = width * 2**stage
            blocks = []
            for index in range(depth):
                stride = 2 if index == 0 and stage > 0 else 1
                blocks.append(block(inputs, planes, stride, norm))
                inputs = planes * block.expansion
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.features = inputs * cells**2
        self.fc = None if classes is None else nn.Linear(self.features, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stages(self, image: FeatureMap) -> tuple[FeatureMap, ...]:
        """The four stages' outputs."""
        x = F.relu(self.bn1(self.conv1(image.contiguous(memory_format=torch.channels_last))))
        if self.stem == "standard":
            x = F.max_pool2d(x, 3, 2, padding=1)
        elif self.stem == "caffe":
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        first = self.layer1(x)
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)

    def forward(self, image: FeatureMap) -> Float[Tensor, "b f"]:
        pooled = cell_means(self.stages(image)[-1], self.cells)
        return pooled if self.fc is None else self.fc(pooled)


def cell_means(x: FeatureMap, cells: int) -> Float[Tensor, "b f"]:
    """The means over cells x cells equal parts of a map of any size, flattened; a pixel can belong to two parts.

    It isn't adaptive pooling, whose gradient isn't deterministic on CUDA.
    """
    height, width = x.shape[-2:]
    if (height, width) != (cells, cells):
        rows, columns = cell_shares(height, cells).to(x), cell_shares(width, cells).to(x)
        x = torch.einsum("bchw,ih,jw->bcij", x, rows, columns)
    return x.flatten(1)


def cell_shares(length: int, cells: int) -> Float[Tensor, "cells length"]:
    """The share of each of `length` pixels in the mean over each of the `cells` equal parts of a line."""
    edges = torch.linspace(0, length, cells + 1)
    pixels = torch.arange(length)
    overlap = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return overlap.clamp(min=0) * cells / length


def resnet18(classes: int | None = None) -> ResNet:
    return ResNet(BasicBlock, (2, 2, 2, 2), classes=classes)


def resnet50(classes: int | None = None) -> ResNet:
    return ResNet(Bottleneck, (3, 4, 6, 3), classes=classes)


def small_resnet(width: int = 24, norm: Normalisation = group_norm) -> ResNet:
    """One basic block a stage behind a stem of stride 2: a 64 px image becomes maps of 32, 16, 8 and 4 px.

    It keeps 4 x 4 cells apart, since where something is decides the pose: after 400 steps of regression that left
    a ninth less landmark error than their mean.
    """
    return ResNet(BasicBlock, (1, 1, 1, 1), width, stem="half", norm=norm, cells=4)
