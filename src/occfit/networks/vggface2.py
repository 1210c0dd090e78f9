"""The ResNet-50s of VGGFace2, under the state-dict names of their conversion from Caffe to PyTorch."""

import torch
import torch.nn.functional as F
from torch import nn

from occfit.networks.resnet import Bottleneck, FeatureMap, Normalisation, ResNet

VGGFACE2_MEAN_BGR = (91.4953, 103.8827, 131.0912)
"""The training images' mean, blue first, in 0..255."""


class CaffeBottleneck(Bottleneck):
    """The block's stride is in the first 1 x 1 convolution."""

    strided_conv = 1


class SqueezeBottleneck(CaffeBottleneck):
    """A Caffe bottleneck whose channels are weighted by their means (Hu et al. 2018), `conv4` and `conv5`."""

    def __init__(self, inputs: int, planes: int, stride: int, norm: Normalisation):
        super().__init__(inputs, planes, stride, norm)
        channels = planes * self.expansion
        self.conv4 = nn.Conv2d(channels, channels // 16, 1)
        self.conv5 = nn.Conv2d(channels // 16, channels, 1)

    def residual(self, x: FeatureMap) -> FeatureMap:
        x = super().residual(x)
        weights = self.conv5(F.relu(self.conv4(x.mean(dim=(2, 3), keepdim=True))))
        return x * torch.sigmoid(weights)


def vggface2_resnet50(squeeze: bool = False) -> ResNet:
    """Makes VGGFace2's ResNet-50 without its classifier; `squeeze` makes the SE-ResNet-50 (`senet50`)."""
    return ResNet(SqueezeBottleneck if squeeze else CaffeBottleneck, (3, 4, 6, 3), stem="caffe")
