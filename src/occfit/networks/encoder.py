"""The encoder: a photograph's pixels to the parameters of its face."""

from pathlib import Path
from typing import Annotated, Literal, TypedDict

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from occfit.networks.resnet import resnet18, resnet50, small_resnet
from occfit.networks.weights import load_weights, read_weights
from occfit.types import PARAMETER_COUNT, PARAMETER_SIZES, FaceParams, Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IMAGENET_REMEDY = (
    "Download torchvision's ImageNet weights of that ResNet (BSD-3-Clause) and say encoder.weights=FILE, "
    "or encoder.weights=null to start from random ones"
)

BACKBONES = {"small": small_resnet, "resnet18": resnet18, "resnet50": resnet50}


class EncoderScale(TypedDict):
    """What one unit of the last layer's output means: standard deviations, radians, mm, coefficients."""

    shape: float
    expression: float
    albedo: float
    rotation: float
    translation_xy: float
    translation_z: float
    illumination: float


PAPER_SCALE = EncoderScale(
    shape=1.0,
    expression=1.0,
    albedo=3.0,
    rotation=0.3,
    translation_xy=1.0,
    translation_z=0.005,
    illumination=1.0,
)


def scale_vector(scale: EncoderScale, components: int | None = None) -> Float[Tensor, " p"]:
    """Each output's factor, in the order of `FaceParams`; 0 for shape and albedo beyond `components`."""
    pose = [scale["rotation"]] * 3 + [scale["translation_xy"]] * 2 + [scale["translation_z"]]
    rest = {name: [scale[name]] * PARAMETER_SIZES[name] for name in PARAMETER_SIZES if name != "pose"}
    if components is not None:
        for name in ("shape", "albedo"):
            rest[name][components:] = [0.0] * len(rest[name][components:])
    return torch.tensor([factor for name in PARAMETER_SIZES for factor in (rest | {"pose": pose})[name]])


class Encoder(nn.Module):
    """A ResNet and a linear layer of 257 outputs that starts at zero: training starts from the mean face.

    The linear layer and the scaling are float32 also under autocast. With an ImageNet weight file the image
    is normalised as those weights expect; without one it enters as it is. The normalisation is part of the
    state dict, so an encoder that is made without the file takes it over from a checkpoint.

    Group normalisation hides how bright a picture is and in what colour, which albedo and illumination depend on.
    So where `colour_cells` asks for it, a small network of its own reads the image's mean colours and adds to the
    answer; it starts at zero too.

    Args:
        backbone: the residual network. `small` is for 64 px, with group normalisation; the other two are torchvision's.
        weights: an ImageNet weight file under torchvision's names; its `fc` is ignored.
        scale: what one unit of output means; the paper's by default.
        colour_cells: the number of cells along each side whose mean colours are read; 0 for none, as in the paper.
        components: how many leading components of shape and of albedo are used; the others stay 0. None uses all.

    Raises:
        OccfitError: The weight file is missing, unreadable or of another network.
    """

    input_mean: Tensor
    input_std: Tensor
    scale: Tensor

    def __init__(
        self,
        backbone: Literal["small", "resnet18", "resnet50"] = "resnet50",
        weights: str | Path | None = None,
        scale: EncoderScale = PAPER_SCALE,
        colour_cells: int = 0,
        components: Annotated[int, Field(ge=0)] | None = None,
    ):
        super().__init__()
        self.backbone = BACKBONES[backbone]()
        self.head = zero_linear(self.backbone.features)
        self.colours = ColourReader(colour_cells) if colour_cells else None
        mean, std = ((0.0,) * 3, (1.0,) * 3) if weights is None else (IMAGENET_MEAN, IMAGENET_STD)
        self.register_buffer("input_mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("input_std", torch.tensor(std).view(3, 1, 1))
        self.register_buffer("scale", scale_vector(scale, components))
        if weights is not None:
            load_weights(self.backbone, read_weights(weights, IMAGENET_REMEDY), weights, ignore=("fc.",))

    def forward(self, image: Image) -> FaceParams:
        features = self.backbone((image - self.input_mean) / self.input_std)
        with torch.autocast(image.device.type, enabled=False):
            answer = self.head(features.float())
            if self.colours is not None:
                answer = answer + self.colours(image.float())
            return FaceParams.from_vector(answer * self.scale)


class ColourReader(nn.Module):
    """Takes the mean colours of an image's cells through one hidden layer to 257 outputs that start at zero."""

    def __init__(self, cells: int, width: int = 128):
        super().__init__()
        self.cells = cells
        self.hidden = nn.Linear(3 * cells**2, width)
        self.head = zero_linear(width)

    def forward(self, image: Image) -> Float[Tensor, "b 257"]:
        colours = F.adaptive_avg_pool2d(image, self.cells).flatten(1)
        about_unit_variance = (colours - 0.4) * 4
        return self.head(self.hidden(about_unit_variance).relu())


def zero_linear(features: int) -> nn.Linear:
    """Makes a linear layer of 257 outputs that starts at zero."""
    layer = nn.Linear(features, PARAMETER_COUNT)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
