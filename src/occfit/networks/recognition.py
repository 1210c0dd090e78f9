"""The recognition network F of the perceptual terms: frozen, and differentiable with respect to the image.

Every network gives two kinds of features: an embedding of the identity, and early feature maps, which still
know where things are. Each network's docstring says which layers those are.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from occfit.networks.inception_resnet import InceptionResnetV1
from occfit.networks.iresnet import IResNet
from occfit.networks.resnet import BasicBlock, FeatureMap, ResNet, cell_means
from occfit.networks.vggface2 import VGGFACE2_MEAN_BGR, vggface2_resnet50
from occfit.networks.warp import five_point_template, warp_to_template
from occfit.networks.weights import load_weights, read_weights
from occfit.types import Image, Landmarks


@dataclass(frozen=True)
class RecognitionFeatures:
    """What the recognition network sees in a batch of images.

    Attributes:
        identity: a vector of unit length, float32. The cosine of two is their similarity.
        maps: early feature maps, fine to coarse.
    """

    identity: Float[Tensor, "b d"]
    maps: tuple[FeatureMap, ...]


class RecognitionNetwork(nn.Module, ABC):
    """A frozen network: its parameters take no gradient, and `train()` leaves it in evaluation mode."""

    def forward(self, image: Image, landmarks: Landmarks) -> RecognitionFeatures:
        """The features of `image` (RGB in [0, 1]), whose 68 points are `landmarks`.

        Two images are comparable only under the same landmarks: a rendering and masked copies of a photograph
        take the photograph's.
        """
        embedding, maps = self.extract(image, landmarks)
        return RecognitionFeatures(F.normalize(embedding.float(), dim=1), maps)

    @abstractmethod
    def extract(
        self, image: Image, landmarks: Landmarks
    ) -> tuple[Float[Tensor, "b d"], tuple[FeatureMap, ...]]:
        """The embedding, of any length, and the early maps."""

    def freeze(self) -> None:
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True):
        return super().train(False)


class IdentityResNet(ResNet):
    """The small residual network for synthetic identities: 64 px become maps of 32, 16, 8 and 4 px.

    As in ArcFace the last map isn't averaged, since faces are aligned, and the embedding is normalised.
    """

    def __init__(self, width: int, dimensions: int):
        super().__init__(BasicBlock, (1, 1, 1, 1), width, stem="half", cells=4)
        self.embedding = nn.Sequential(nn.Linear(self.features, dimensions), nn.BatchNorm1d(dimensions))

    def embed(self, image: Image) -> tuple[Float[Tensor, "b d"], tuple[FeatureMap, ...]]:
        """The embedding and the four stages' outputs of images in [0, 1]."""
        maps = self.stages(2 * image - 1)
        return self.embedding(cell_means(maps[-1], self.cells)), maps

    def forward(self, image: Image) -> Float[Tensor, "b d"]:
        return self.embed(image)[0]


class SyntheticRecognition(RecognitionNetwork):
    """A small ResNet trained on synthetic identities; aligned pictures go straight in, without the landmarks.

    Early maps: the outputs of `layer1` (half the image's resolution) and `layer2` (a quarter).

    Args:
        width: channels of the first stage.
        dimensions: length of the embedding.
        weights: the file that the recognition stage wrote; None leaves random weights, for `load_state_dict`.

    Raises:
        OccfitError: the file is missing, unreadable or of another network.
    """

    def __init__(self, width: int = 16, dimensions: int = 128, weights: str | Path | None = None):
        super().__init__()
        self.network = IdentityResNet(width, dimensions)
        if weights is not None:
            load_weights(self.network, read_weights(weights, "The recognition stage writes it"), weights)
        self.freeze()

    def extract(self, image: Image, landmarks: Landmarks):
        embedding, maps = self.network.embed(image)
        return embedding, maps[:2]


class VGGFace2ResNet50(RecognitionNetwork):
    """ResNet-50 or SE-ResNet-50 of VGGFace2 (Cao et al. 2018): 224 px, BGR in 0..255 minus its training mean.

    The files are Caffe models converted to PyTorch (`resnet50_ft_weight.pkl`, `senet50_ft_weight.pkl`).
    They were trained on detected boxes, enlarged and cut: no five-point template was published. The crop
    here is ArcFace's, 15 % closer.
    Early maps: the outputs of `layer1` (56 px) and `layer2` (28 px). Identity: the mean of `layer4`, 2048
    numbers.

    Raises:
        OccfitError: the file is missing, unreadable or of another network.
    """

    remedy = (
        "Get resnet50_ft_weight.pkl, VGGFace2's model converted to PyTorch (Visual Geometry Group, Oxford; "
        "CC BY-SA 4.0), put it anywhere and say recognition.weights=FILE"
    )

    mean: Tensor

    def __init__(self, weights: str | Path, variant: Literal["resnet50", "senet50"] = "resnet50"):
        super().__init__()
        self.network = vggface2_resnet50(squeeze=variant == "senet50")
        load_weights(self.network, read_weights(weights, self.remedy), weights, ignore=("fc.",))
        self.register_buffer("mean", torch.tensor(VGGFACE2_MEAN_BGR).view(3, 1, 1), persistent=False)
        self.freeze()

    def extract(self, image: Image, landmarks: Landmarks):
        crop = warp_to_template(image, landmarks, five_point_template(224, zoom=1.15), 224)
        maps = self.network.stages(255 * crop.flip(1) - self.mean)
        return maps[-1].mean(dim=(2, 3)), maps[:2]


class ArcFaceIResNet50(RecognitionNetwork):
    """ArcFace's iresnet50 (Deng et al. 2019): 112 px crops by five points, RGB in [-1, 1].

    Early maps: the outputs of `layer1` (56 px) and `layer2` (28 px). Identity: 512 numbers.

    Raises:
        OccfitError: the file is missing, unreadable or of another network.
    """

    remedy = (
        "Get an iresnet50's backbone.pth from insightface's model zoo (for non-commercial research), put it "
        "anywhere and say recognition.weights=FILE"
    )

    def __init__(self, weights: str | Path):
        super().__init__()
        self.network = IResNet()
        load_weights(self.network, read_weights(weights, self.remedy), weights)
        self.freeze()

    def extract(self, image: Image, landmarks: Landmarks):
        crop = warp_to_template(image, landmarks, five_point_template(112), 112)
        maps = self.network.stages(2 * crop - 1)
        return self.network.embed(maps[-1]), maps[:2]


class FaceNetInceptionResnetV1(RecognitionNetwork):
    """FaceNet's InceptionResnetV1 trained on VGGFace2: 160 px crops, (0..255 - 127.5) / 128.

    Early maps: the outputs of `conv2d_2b` (77 px) and `repeat_1` (17 px). Identity: 512 numbers.

    Raises:
        OccfitError: the file is missing, unreadable or of another network.
    """

    remedy = (
        "Get 20180402-114759-vggface2.pt from facenet-pytorch's releases (MIT; trained on VGGFace2, "
        "CC BY-SA 4.0), put it anywhere and say recognition.weights=FILE"
    )

    def __init__(self, weights: str | Path):
        super().__init__()
        self.network = InceptionResnetV1()
        load_weights(self.network, read_weights(weights, self.remedy), weights, ignore=("logits.",))
        self.freeze()

    def extract(self, image: Image, landmarks: Landmarks):
        crop = warp_to_template(image, landmarks, five_point_template(160, zoom=1.15), 160)
        maps = self.network.stages((255 * crop - 127.5) / 128)
        return self.network.embed(maps[-1]), maps[:2]
