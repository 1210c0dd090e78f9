"""What each phase minimises: weights -> named terms -> total.

An objective is told its terms by name and computes no others. An ablation is another list of terms or other
weights; `conf/objective` holds the three balances, paper, focus and balanced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypedDict
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from occfit.errors import OccfitError
from occfit.face_model.morphable_model import MorphableModel
from occfit.face_model.regions import skin_vertices
from occfit.method import losses
from occfit.method.evidence import Background, Evidence, Layers, MaskGradient, layers_of
from occfit.method.losses import ColourDistance, FeatureDistance, Normalisation, PerImage, RobustTail
from occfit.method.prices import ResidualPrice
from occfit.types import Mask

Scalar = Float[Tensor, ""]


@dataclass(frozen=True, eq=False)
class Terms:
    """An objective's value on a batch.

    Attributes:
        total: the weighted sum, to be differentiated.
        named: each term's batch mean, before its weight; constants.
    """

    total: Scalar
    named: dict[str, Scalar]


@dataclass(frozen=True)
class PixelTerm:
    """How colours are compared, and how the pixels of an image become one number.

    Attributes:
        distance: see `losses.pixel_residual`.
        mask_power: see `losses.masked_loss`; of the area term too.
        normalisation: see `losses.masked_loss`; in the segmenter's objective of the binary term too.
    """

    distance: ColourDistance = "squared"
    mask_power: int = 2
    normalisation: Normalisation = "face_region"


@dataclass(frozen=True)
class PerceptualTerm:
    """Which of the recognition network's responses are compared, and how.

    Attributes:
        layers: the `identity` or the early `maps`.
        distance: see `losses.feature_distance`.
    """

    layers: Layers = "identity"
    distance: FeatureDistance = "squared_l2"


@dataclass(frozen=True)
class PriorTerm:
    """How the parameters are held near the mean face.

    Attributes:
        over: see `losses.prior_loss`.
        divisor: see `losses.prior_loss`.
    """

    over: Literal["all", "face_model"] = "all"
    divisor: float = 1.0


_PIXEL, _PERCEPTUAL, _PRIOR = PixelTerm(), PerceptualTerm(), PriorTerm()


class Objective(nn.Module):
    """A weighted sum of terms. A subclass has a method for each term of `TERMS`: `Evidence` -> one number an
    image.

    Args:
        weights: term -> weight; may have more than the ones in use.
        terms: those in use; by default all that have a weight.

    Raises:
        OccfitError: a term doesn't exist, or has no weight.
    """

    TERMS: ClassVar[tuple[str, ...]]
    price: ResidualPrice | None

    def __init__(self, weights: Mapping[str, Any], terms: Sequence[str] | None = None):
        super().__init__()
        self.price = None
        self.weights: dict[str, float] = dict(weights)
        self.terms = tuple(self.weights if terms is None else terms)
        options = f"Choose from {', '.join(self.TERMS)}"
        for term in (*self.weights, *self.terms):
            if term not in self.TERMS:
                raise OccfitError(f"{type(self).__name__} has no term '{term}'", remedy=options)
        if missing := [term for term in self.terms if term not in self.weights]:
            raise OccfitError(f"The term '{missing[0]}' has no weight", type(self).__name__)

    def forward(self, evidence: Evidence) -> Terms:
        evidence = self.seen(evidence)
        values = {term: getattr(self, term)(evidence).mean() for term in self.terms}
        total = torch.stack([self.weights[term] * value for term, value in values.items()]).sum()
        return Terms(total, {term: value.detach() for term, value in values.items()})

    def seen(self, evidence: Evidence) -> Evidence:
        """The evidence as its terms shall see it."""
        return evidence

    @property
    def learns_through_mask(self) -> bool:
        """Whether the encoder's gradient goes through the mask."""
        return False

    @property
    def needs_labels(self) -> bool:
        """Whether a term looks at true masks. The paper's unsupervised systems have none that does."""
        return "supervised" in self.terms

    def quantities(self) -> dict[str, Scalar]:
        """What else to log: the price of a pixel, where it isn't fixed."""
        return {} if self.price is None else {"price": self.price()}


class _EncoderObjective(Objective):
    """The terms that both of the encoder's objectives have."""

    def __init__(
        self,
        weights: Mapping[str, Any],
        *,
        terms: Sequence[str] | None,
        perceptual: PerceptualTerm,
        background: Background,
        prior: PriorTerm,
    ):
        super().__init__(weights, terms=terms)
        self.perceptual_term = perceptual
        self.background: Background = background
        self.prior_term = prior

    def perceptual(self, evidence: Evidence) -> PerImage:
        reconstruction = evidence.recognise(evidence.rendering_on(self.background))
        return losses.perceptual_loss(
            layers_of(evidence.target_features, self.perceptual_term.layers),
            layers_of(reconstruction, self.perceptual_term.layers),
            self.perceptual_term.distance,
        )

    def landmark(self, evidence: Evidence) -> PerImage:
        size = evidence.image.shape[-1]
        return losses.landmark_loss(evidence.rendering.landmarks, evidence.batch.landmarks, size)

    def prior(self, evidence: Evidence) -> PerImage:
        return losses.prior_loss(evidence.params, self.prior_term.over, self.prior_term.divisor)


class RobustWeights(TypedDict, total=False):
    robust: float
    perceptual: float
    landmark: float
    prior: float


class RobustInitialisationObjective(_EncoderObjective):
    """Section 3.3: the encoder before there is a segmenter; a pixel that fits badly doesn't pull.

    Args:
        weights: how much each term counts.
        threshold: xi of eq. 9, a squared RGB distance. The paper's is 0.17, the published code's (3 sigma)^2
            = 0.0166.
        sigma: eq. 8's standard deviation; by default sqrt(threshold) / 3, as in the published code.
        tail: see `losses.robust_loss`.
        perceptual: how the perceptual term compares features.
        background: what lies behind I_R in eq. 6; see `Evidence.rendering_on`.
        prior: which parameters the prior holds.
        terms: see `Objective`.
    """

    TERMS = ("robust", "perceptual", "landmark", "prior")

    def __init__(
        self,
        weights: RobustWeights,
        *,
        threshold: float = 0.17,
        sigma: float | None = None,
        tail: RobustTail = "truncated",
        perceptual: PerceptualTerm = _PERCEPTUAL,
        background: Background = "target",
        prior: PriorTerm = _PRIOR,
        terms: Sequence[str] | None = None,
    ):
        super().__init__(weights, terms=terms, perceptual=perceptual, background=background, prior=prior)
        self.threshold = threshold
        self.sigma = threshold**0.5 / 3 if sigma is None else sigma
        self.tail: RobustTail = tail

    def robust(self, evidence: Evidence) -> PerImage:
        image, rendered = evidence.image, evidence.rendering.image
        return losses.robust_loss(
            image, rendered, evidence.face_region, self.sigma, self.threshold, self.tail
        )


_SKIN: WeakKeyDictionary[MorphableModel, Bool[Tensor, " v"]] = WeakKeyDictionary()


def _skin_of(model: MorphableModel) -> Bool[Tensor, " v"]:
    """`skin_vertices`, which are found once for each model."""
    if model not in _SKIN:
        _SKIN[model] = skin_vertices(model)
    return _SKIN[model]


class ReconstructionWeights(TypedDict, total=False):
    pixel: float
    perceptual: float
    area: float
    landmark: float
    prior: float
    albedo_variance: float


class ReconstructionObjective(_EncoderObjective):
    """L_R = f pixel + g perceptual + h area + i landmark + j prior: the encoder, given a mask.

    Args:
        weights: how much each term counts. `albedo_variance` is Deep3D's, see `losses.albedo_variance_loss`.
        mask: whether the encoder learns through the mask; see `Evidence.behind`. The area term acts only through
            the `soft` mask's gradient. Which mask it is says the config group `visibility`.
        pixel: how the pixel term compares colours.
        perceptual: how the perceptual term compares features.
        background: what lies behind I_R in eq. 6; see `Evidence.rendering_on`.
        prior: which parameters the prior holds.
        terms: see `Objective`.
    """

    TERMS = ("pixel", "perceptual", "area", "landmark", "prior", "albedo_variance")

    def __init__(
        self,
        weights: ReconstructionWeights,
        *,
        mask: MaskGradient = "soft",
        pixel: PixelTerm = _PIXEL,
        perceptual: PerceptualTerm = _PERCEPTUAL,
        background: Background = "target",
        prior: PriorTerm = _PRIOR,
        terms: Sequence[str] | None = None,
    ):
        super().__init__(weights, terms=terms, perceptual=perceptual, background=background, prior=prior)
        self.mask: MaskGradient = mask
        self.pixel_term = pixel

    def seen(self, evidence: Evidence) -> Evidence:
        return evidence.behind(self.mask)

    @property
    def learns_through_mask(self) -> bool:
        return self.mask == "soft"

    def pixel(self, evidence: Evidence) -> PerImage:
        return losses.pixel_loss(
            evidence.image,
            evidence.rendering.image,
            evidence.face_region,
            evidence.visibility,
            self.pixel_term.distance,
            self.pixel_term.mask_power,
            self.pixel_term.normalisation,
        )

    def area(self, evidence: Evidence) -> PerImage:
        return losses.area_loss(evidence.face_region, evidence.visibility, self.pixel_term.mask_power)

    def albedo_variance(self, evidence: Evidence) -> PerImage:
        model = evidence.face_model
        if model is None:
            raise OccfitError("The term 'albedo_variance' needs a face model")
        return losses.albedo_variance_loss(model.albedo(evidence.params.albedo), _skin_of(model))


class SegmentationWeights(TypedDict, total=False):
    pixel: float
    neighbour: float
    perceptual_exclusion: float
    area: float
    perceptual_inclusion: float
    binary: float
    supervised: float


class SegmentationObjective(Objective):
    """L_S = a neighbour + b perceptual_exclusion + c area + d perceptual_inclusion + e binary: the segmenter.

    Args:
        weights: how much each term counts. `pixel` is eq. 5's residual in the neighbour term's place, for ablations.
            `supervised` is the cross-entropy against true masks, which the paper's systems never see: what a
            segmenter reaches at best, and what a world with known masks allows. A pixel counts as much in a picture
            whose mask is known in part as in one whose mask is known everywhere; unknown pixels count nothing.
        price: what excluding a pixel costs, as a residual. With one, the neighbour and the pixel term measure
            residuals in prices: with weights equal to the area term's, a pixel is worth including as long as
            its residual is below the price, at any picture size, and whatever the quality of the
            reconstruction.
            Null: residuals as they are, so that weight of area / weight of neighbour is a fixed price.
        ceiling: no residual counts for more than so many prices (without a price: for more than this), so that
            an occluder's pixels, hundreds of prices away once the reconstruction is good, don't drown the rest;
            null for no ceiling.
        window: side of the neighbour term's window in pixels; see `losses.neighbour_residual`.
        pixel: how the neighbour and the pixel term compare colours.
        perceptual: how the perceptual terms compare features.
        inclusion: the variant of eq. 4; see `losses.perceptual_inclusion_loss`.
        terms: see `Objective`.
    """

    TERMS = (
        "pixel",
        "neighbour",
        "perceptual_exclusion",
        "area",
        "perceptual_inclusion",
        "binary",
        "supervised",
    )

    def __init__(
        self,
        weights: SegmentationWeights,
        *,
        price: ResidualPrice | None = None,
        ceiling: float | None = None,
        window: int = 5,
        pixel: PixelTerm = _PIXEL,
        perceptual: PerceptualTerm = _PERCEPTUAL,
        inclusion: Literal["prose", "printed"] = "prose",
        terms: Sequence[str] | None = None,
    ):
        super().__init__(weights, terms=terms)
        self.price, self.ceiling = price, ceiling
        self.window = window
        self.pixel_term, self.perceptual_term = pixel, perceptual
        self.inclusion: Literal["prose", "printed"] = inclusion

    def pixel(self, evidence: Evidence) -> PerImage:
        residual = losses.pixel_residual(evidence.image, evidence.rendering.image, self.pixel_term.distance)
        return self._masked(residual, evidence)

    def neighbour(self, evidence: Evidence) -> PerImage:
        image, rendered = evidence.image, evidence.rendering.image
        residual = losses.neighbour_residual(
            image, rendered, evidence.face_region, self.window, self.pixel_term.distance
        )
        return self._masked(residual, evidence)

    def _masked(self, residual: Mask, evidence: Evidence) -> PerImage:
        region, visibility = evidence.face_region, evidence.visibility
        if self.price is not None:
            self.price.observe(residual, region, visibility)
            residual = residual / self.price()
        if self.ceiling is not None:
            residual = residual.clamp(max=self.ceiling)
        how = self.pixel_term
        return losses.masked_loss(residual, region, visibility, how.mask_power, how.normalisation)

    def perceptual_exclusion(self, evidence: Evidence) -> PerImage:
        return losses.perceptual_exclusion_loss(
            layers_of(evidence.visible_target_features, self.perceptual_term.layers),
            layers_of(evidence.visible_rendering_features, self.perceptual_term.layers),
            self.perceptual_term.distance,
        )

    def area(self, evidence: Evidence) -> PerImage:
        return losses.area_loss(evidence.face_region, evidence.visibility, self.pixel_term.mask_power)

    def perceptual_inclusion(self, evidence: Evidence) -> PerImage:
        prose = self.inclusion == "prose"
        visible = evidence.visible_target_features if prose else evidence.visible_rendering_features
        return losses.perceptual_inclusion_loss(
            layers_of(evidence.target_features, self.perceptual_term.layers),
            layers_of(visible, self.perceptual_term.layers),
            self.perceptual_term.distance,
        )

    def binary(self, evidence: Evidence) -> PerImage:
        return losses.binary_loss(evidence.face_region, evidence.visibility, self.pixel_term.normalisation)

    def supervised(self, evidence: Evidence) -> PerImage:
        truth = evidence.batch.visibility
        if evidence.logits is None or truth is None:
            raise OccfitError(
                "The supervised term needs true masks and a segmenter to learn them",
                remedy="data=synthetic has true masks; choose other terms for data without",
            )
        known, labels = evidence.batch.known_pixels(), (truth > 0.5).float()
        return losses.cross_entropy_loss(evidence.logits, labels, evidence.face_region, known)


class WarmUpObjective(Objective):
    """Section 3.3's second step: the segmenter learns eq. 9's masks, by cross-entropy over the rendered
    region.

    Args:
        threshold: xi of eq. 9, the initialisation's.
    """

    TERMS = ("cross_entropy",)

    def __init__(self, threshold: float = 0.17):
        super().__init__({"cross_entropy": 1.0})
        self.threshold = threshold

    def cross_entropy(self, evidence: Evidence) -> PerImage:
        if evidence.logits is None:
            raise OccfitError("The warm-up trains a segmenter, but the mask comes from elsewhere")
        image, rendered = evidence.image, evidence.rendering.image
        labels = losses.robust_mask(image, rendered, evidence.face_region, self.threshold)
        return losses.cross_entropy_loss(evidence.logits, labels, evidence.face_region)
