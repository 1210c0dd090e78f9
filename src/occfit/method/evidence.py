"""What the objectives judge: a batch, how the networks explain it, and what can be computed from both."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from occfit.errors import OccfitError
from occfit.face_model.morphable_model import MorphableModel
from occfit.method.losses import Features
from occfit.networks.recognition import RecognitionFeatures, RecognitionNetwork
from occfit.networks.segmenter import VISIBLE_THRESHOLD
from occfit.types import FaceBatch, FaceParams, Image, Mask, Rendering

Layers = Literal["identity", "maps"]
Background = Literal["black", "target", "occluded_target"]
MaskGradient = Literal["soft", "detached", "hard"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """A batch and its explanation. What only some terms need is computed when it is first asked for.

    Attributes:
        batch: the photographs and what is known of them.
        params: the encoder's answer.
        rendering: its picture.
        visibility: the mask M, a probability, whichever `VisibilitySource` it comes from.
        logits: the segmenter's, where the mask is its.
        recognition: the network F; None where no term needs one.
        face_model: the rendering's model; None where no term needs it.
        teaching: the mask behind which the encoder learns, where that is another one than `visibility`.
    """

    batch: FaceBatch
    params: FaceParams
    rendering: Rendering
    visibility: Mask
    logits: Mask | None = None
    recognition: RecognitionNetwork | None = None
    face_model: MorphableModel | None = None
    teaching: Mask | None = None

    def __getitem__(self, index: slice | Tensor) -> "Evidence":
        """The samples at `index`."""
        own = ("batch", "params", "rendering", "visibility", "logits", "teaching")
        parts = {name: getattr(self, name) for name in own}
        return replace(self, **{name: part if part is None else part[index] for name, part in parts.items()})

    @property
    def image(self) -> Image:
        return self.batch.image

    @property
    def face_region(self) -> Mask:
        return self.rendering.face_region

    @property
    def visible_face(self) -> Mask:
        """The paper's Omega."""
        return self.face_region * self.visibility

    def behind(self, gradient: MaskGradient) -> "Evidence":
        """The same with the mask as the encoder's phase shall see it.

        Args:
            gradient: `soft`: the mask with its gradient, which reaches the encoder through the segmenter.
                `detached`: the mask as a fixed weight. `hard`: 1 where it is above 0.5, else 0; fixed as well.
        """
        mask = self.visibility if self.teaching is None else self.teaching
        if gradient != "soft":
            mask = mask.detach()
        if gradient == "hard":
            mask = (mask > VISIBLE_THRESHOLD).float()
        return replace(self, visibility=mask)

    def rendering_on(self, background: Background) -> Image:
        """I_R of eq. 6: the rendering and what lies behind it.

        Args:
            background: `black`: nothing. `target`: the photograph around the rendered region, so that F sees
                two photographs that differ in the face alone. `occluded_target`: the photograph wherever the
                visible face isn't, so that F doesn't ask for the occluder's features either. No gradient
                reaches the mask through this choice.
        """
        if background == "black":
            return self.rendering.image
        mask = self.face_region if background == "target" else self.visible_face.detach()
        return torch.lerp(self.image, self.rendering.image, mask)

    @cached_property
    def target_features(self) -> RecognitionFeatures:
        """F(I_T)."""
        with torch.no_grad():
            return self.recognise(self.image)

    @cached_property
    def visible_target_features(self) -> RecognitionFeatures:
        """F(I_T in Omega): black outside."""
        return self.recognise(self.image * self.visible_face)

    @cached_property
    def visible_rendering_features(self) -> RecognitionFeatures:
        """F(I_R in Omega): black outside."""
        return self.recognise(self.rendering.image * self.visible_face)

    def recognise(self, image: Image) -> RecognitionFeatures:
        """F(image), under the photograph's landmarks, as two pictures have to be to be comparable.

        Raises:
            OccfitError: there is no recognition network.
        """
        if self.recognition is None:
            raise OccfitError(
                "A perceptual term needs a recognition network",
                remedy="Choose one, recognition=synthetic for instance, or leave the perceptual terms out",
            )
        return self.recognition(image, self.batch.landmarks)


def layers_of(features: RecognitionFeatures, layers: Layers) -> Features:
    """The features that a perceptual term compares: the identity vector, or the early feature maps."""
    return (features.identity,) if layers == "identity" else tuple(m.float() for m in features.maps)
