"""ArcFace's residual network, under the state-dict names of insightface's PyTorch files."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from occfit.networks.resnet import FeatureMap, conv1x1, conv3x3


class IResBlock(nn.Module):
    """Normalisation before the first convolution and after the second, the strided one; PReLU between."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1, self.bn2 = conv3x3(inputs, outputs), nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2, self.bn3 = conv3x3(outputs, outputs, stride), nn.BatchNorm2d(outputs)
        is_first = stride != 1 or inputs != outputs
        shortcut = nn.Sequential(conv1x1(inputs, outputs, stride), nn.BatchNorm2d(outputs))
        self.downsample = shortcut if is_first else None

    def forward(self, x: FeatureMap) -> FeatureMap:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(x)) + shortcut


class IResNet(nn.Module):
    """Crops of 112 px, RGB in [-1, 1], to 512 numbers (Deng et al. 2019; `depths` (3, 4, 14, 3) is r50)."""

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self, depths: Sequence[int] = (3, 4, 14, 3)):
        super().__init__()
        self.conv1, self.bn1, self.prelu = conv3x3(3, 64), nn.BatchNorm2d(64), nn.PReLU(64)
        inputs = 64
        for stage, depth in enumerate(depths):
            outputs = 64 * 2**stage
            blocks = [
                IResBlock(inputs, outputs, 2),
                *(IResBlock(outputs, outputs, 1) for _ in range(depth - 1)),
            ]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            inputs = outputs
        self.bn2 = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs * 7 * 7, 512)
        self.features = nn.BatchNorm1d(512)

    def stages(self, crop: Float[Tensor, "b 3 112 112"]) -> tuple[FeatureMap, ...]:
        """The four stages' outputs: 56, 28, 14 and 7 px."""
        x = self.prelu(self.bn1(self.conv1(crop)))
        first = self.layer1(x)
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)

    def embed(self, last: FeatureMap) -> Float[Tensor, "b 512"]:
        """The embedding of the last stage's output."""
        return self.features(self.fc(torch.flatten(self.bn2(last), 1)))
