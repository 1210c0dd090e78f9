"""FaceNet's InceptionResnetV1 (Szegedy et al. 2017) under the state-dict names of facenet-pytorch's files."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from occfit.networks.resnet import FeatureMap

Size = int | tuple[int, int]


class ConvUnit(nn.Module):
    """Convolution, batch normalisation with TensorFlow's epsilon, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Size, stride: int = 1, padding: Size = 0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: FeatureMap) -> FeatureMap:
        return F.relu(self.bn(self.conv(x)))


class ResidualInception(nn.Module):
    """Branches side by side, joined by a 1 x 1 convolution whose `scale`-fold is added to the input."""

    def __init__(
        self, channels: int, branches: list[nn.Module], joined: int, scale: float, relu: bool = True
    ):
        super().__init__()
        for index, branch in enumerate(branches):
            setattr(self, f"branch{index}", branch)
        self.branches = len(branches)
        self.conv2d = nn.Conv2d(joined, channels, 1)
        self.scale, self.relu = scale, relu

    def forward(self, x: FeatureMap) -> FeatureMap:
        joined = torch.cat([self.get_submodule(f"branch{index}")(x) for index in range(self.branches)], dim=1)
        x = self.conv2d(joined) * self.scale + x
        return F.relu(x) if self.relu else x


class Reduction(nn.Module):
    """Branches of stride 2 and a maximum, side by side."""

    def __init__(self, branches: list[nn.Module]):
        super().__init__()
        for index, branch in enumerate(branches):
            setattr(self, f"branch{index}", branch)
        self.branches = len(branches)

    def forward(self, x: FeatureMap) -> FeatureMap:
        outputs = [self.get_submodule(f"branch{index}")(x) for index in range(self.branches)]
        return torch.cat([*outputs, F.max_pool2d(x, 3, 2)], dim=1)


def _block35() -> ResidualInception:
    branches = [
        ConvUnit(256, 32, 1),
        nn.Sequential(ConvUnit(256, 32, 1), ConvUnit(32, 32, 3, padding=1)),
        nn.Sequential(ConvUnit(256, 32, 1), ConvUnit(32, 32, 3, padding=1), ConvUnit(32, 32, 3, padding=1)),
    ]
    return ResidualInception(256, branches, 96, scale=0.17)


def _factorised(channels: int, width: int, length: int, scale: float, relu: bool = True) -> ResidualInception:
    """A 1 x 1 branch beside one of 1 x `length` after `length` x 1."""
    reach = length // 2
    long = nn.Sequential(
        ConvUnit(channels, width, 1),
        ConvUnit(width, width, (1, length), padding=(0, reach)),
        ConvUnit(width, width, (length, 1), padding=(reach, 0)),
    )
    return ResidualInception(channels, [ConvUnit(channels, width, 1), long], 2 * width, scale, relu)


def _mixed_6a() -> Reduction:
    long = nn.Sequential(ConvUnit(256, 192, 1), ConvUnit(192, 192, 3, padding=1), ConvUnit(192, 256, 3, 2))
    return Reduction([ConvUnit(256, 384, 3, 2), long])


def _mixed_7a() -> Reduction:
    return Reduction(
        [
            nn.Sequential(ConvUnit(896, 256, 1), ConvUnit(256, 384, 3, 2)),
            nn.Sequential(ConvUnit(896, 256, 1), ConvUnit(256, 256, 3, 2)),
            nn.Sequential(ConvUnit(896, 256, 1), ConvUnit(256, 256, 3, padding=1), ConvUnit(256, 256, 3, 2)),
        ]
    )


class InceptionResnetV1(nn.Module):
    """Crops of 160 px, (RGB in 0..255 - 127.5) / 128, to 512 numbers."""

    def __init__(self):
        super().__init__()
        self.conv2d_1a = ConvUnit(3, 32, 3, 2)
        self.conv2d_2a = ConvUnit(32, 32, 3)
        self.conv2d_2b = ConvUnit(32, 64, 3, padding=1)
        self.conv2d_3b = ConvUnit(64, 80, 1)
        self.conv2d_4a = ConvUnit(80, 192, 3)
        self.conv2d_4b = ConvUnit(192, 256, 3, 2)
        self.repeat_1 = nn.Sequential(*(_block35() for _ in range(5)))
        self.mixed_6a = _mixed_6a()
        self.repeat_2 = nn.Sequential(*(_factorised(896, 128, 7, scale=0.10) for _ in range(10)))
        self.mixed_7a = _mixed_7a()
        self.repeat_3 = nn.Sequential(*(_factorised(1792, 192, 3, scale=0.20) for _ in range(5)))
        self.block8 = _factorised(1792, 192, 3, scale=1.0, relu=False)
        self.last_linear = nn.Linear(1792, 512, bias=False)
        self.last_bn = nn.BatchNorm1d(512, eps=1e-3)

    def stages(self, crop: Float[Tensor, "b 3 160 160"]) -> tuple[FeatureMap, ...]:
        """The outputs of conv2d_2b (77 px), repeat_1 (17 px), repeat_2 (8 px) and block8 (3 px)."""
        first = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(crop)))
        x = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(F.max_pool2d(first, 3, 2))))
        second = self.repeat_1(x)
        third = self.repeat_2(self.mixed_6a(second))
        return first, second, third, self.block8(self.repeat_3(self.mixed_7a(third)))

    def embed(self, last: FeatureMap) -> Float[Tensor, "b 512"]:
        """The embedding of block8's output."""
        return self.last_bn(self.last_linear(last.mean(dim=(2, 3))))
