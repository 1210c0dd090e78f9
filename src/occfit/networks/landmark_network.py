"""The landmark network: a small picture of about one face to its 68 points, and whether there is a face at all."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor, nn

from occfit.errors import OccfitError
from occfit.networks.resnet import BasicBlock, ResNet, group_norm
from occfit.networks.weights import load_weights, read_weights
from occfit.types import Image, Landmarks

CROP_SIZE = 64
"""The side of the pictures that the network reads, in pixels."""

REACH = CROP_SIZE / 8
"""How many pixels one unit of the last layer moves a point."""


@dataclass(frozen=True)
class LandmarkGuess:
    """What the network says of some crops.

    Attributes:
        landmarks: 68 points in iBUG order, in pixels of the crop.
        confidence: the probability that the crop shows a face about where the template has one.
    """

    landmarks: Landmarks
    confidence: Float[Tensor, " b"]


class LandmarkNetwork(nn.Module):
    """A ResNet that says how far each point is from where the template has it.

    Crops show the face about as the template does: turned by no more than half a right angle, and no more than a
    third larger or smaller. Run a second time on a crop that the first answer has put upright, it is more exact.

    Args:
        width: channels of the first of four stages.

    Attributes:
        template: the points of a frontal mean face, pixels of the crop; part of the weights.
    """

    template: Float[Tensor, "68 2"]

    def __init__(self, width: int = 20):
        super().__init__()
        self.backbone = ResNet(BasicBlock, (1, 1, 1, 1), width, stem="half", norm=group_norm, cells=4)
        self.head = nn.Linear(self.backbone.features, 137)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("template", torch.zeros(68, 2))

    def forward(self, crop: Image) -> LandmarkGuess:
        """Args:
        crop: RGB in [0, 1], `CROP_SIZE` square.
        """
        landmarks, logits = self.answer(crop)
        return LandmarkGuess(landmarks, logits.sigmoid())

    def answer(self, crop: Image) -> tuple[Landmarks, Float[Tensor, " b"]]:
        """The points, and the logits of there being a face."""
        features = self.backbone(4 * crop - 2)
        with torch.autocast(crop.device.type, enabled=False):
            values = self.head(features.float())
            return self.template + REACH * values[:, :136].unflatten(1, (68, 2)), values[:, 136]


def write_landmark_network(network: LandmarkNetwork, path: Path) -> None:
    """Writes the weights in half precision.

    Raises:
        OccfitError: the file can't be written.
    """
    state = {name: value.detach().cpu().half().contiguous() for name, value in network.state_dict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, path)
    except OSError as error:
        raise OccfitError(f"The weights can't be written ({error.strerror})", path) from error


def read_landmark_network(path: Path) -> LandmarkNetwork:
    """The network whose weights `write_landmark_network` wrote, in evaluation mode.

    Raises:
        OccfitError: the file is missing, unreadable or of another network.
    """
    state = read_weights(path, "`occfit landmarks` trains one")
    first = state.get("backbone.conv1.weight")
    network = LandmarkNetwork(20 if first is None else len(first))
    load_weights(network, {name: value.float() for name, value in state.items()}, path)
    return network.eval().requires_grad_(False)
