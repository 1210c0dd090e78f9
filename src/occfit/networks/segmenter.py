"""The segmenter: a photograph and its rendering to the pixels where the photograph shows the face.

Its output is a map of logits. `visibility_from_logits` is the only place where logits become probabilities.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from occfit.networks.resnet import FeatureMap, conv3x3, group_norm
from occfit.types import Image, Mask

VISIBLE_THRESHOLD = 0.5
"""A pixel is visible face where its probability is above this."""


def visibility_from_logits(logits: Mask) -> Mask:
    """The probability that a pixel shows the face, in float32."""
    return torch.sigmoid(logits.float())


class _DoubleConv(nn.Sequential):
    def __init__(self, inputs: int, outputs: int):
        super().__init__(
            conv3x3(inputs, outputs),
            group_norm(outputs),
            nn.ReLU(inplace=True),
            conv3x3(outputs, outputs),
            group_norm(outputs),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """The network of Ronneberger et al. 2015, with padded convolutions and group normalisation.

    The mask has the image's size.

    The resolution grows by transposed 2 x 2 convolutions of stride 2, as in that paper. Their windows don't overlap, so
    there are no uneven sums, and the gradient is deterministic on CUDA, which bilinear upsampling's isn't. An image may
    have any size: it is padded with zeros on the right and below to a multiple of 2^depth, and cut again.

    Args:
        width: channels at full resolution; each level down doubles them.
        depth: how often the resolution is halved.
    """

    def __init__(self, width: int = 64, depth: int = 4):
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        inputs = [6, *widths[:-1]]
        self.down = nn.ModuleList(_DoubleConv(i, o) for i, o in zip(inputs, widths, strict=True))
        pairs = [(widths[level], widths[level + 1]) for level in reversed(range(depth))]
        self.up = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in pairs)
        self.merge = nn.ModuleList(_DoubleConv(2 * fine, fine) for fine, _ in pairs)
        self.head = nn.Conv2d(width, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module is not self.head:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Image, rendered: Image) -> Mask:
        """Logits of visibility, float32, for the target `image` and `rendered`, the rendering's image."""
        height, width = image.shape[-2:]
        multiple = 2 ** len(self.up)
        x = torch.cat([image, rendered], dim=1)
        x = F.pad(x, (0, -width % multiple, 0, -height % multiple))
        logits = self._pyramid(x.contiguous(memory_format=torch.channels_last))
        return logits[..., :height, :width].float()

    def _pyramid(self, x: FeatureMap) -> Float[Tensor, "b 1 h w"]:
        skipped = []
        for level in self.down:
            x = level(F.max_pool2d(x, 2) if skipped else x)
            skipped.append(x)
        for up, merge, fine in zip(self.up, self.merge, reversed(skipped[:-1]), strict=True):
            x = merge(torch.cat([fine, up(x)], dim=1))
        return self.head(x)
