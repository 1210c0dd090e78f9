"""Per-image fitting: from the encoder's estimate to parameters that explain the photograph better.

As in the training's alternation, but of 257 numbers an image instead of a network's weights: the mask is taken as it
is and the parameters are moved, then the mask is taken anew from the better rendering. All images of a batch are
moved side by side, each by its own gradient. An image whose fit didn't get better keeps its first one.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from pydantic import Field, PositiveInt
from torch import Tensor

from occfit.fitting.face_system import FaceSystem
from occfit.method.descent import ParameterDescent
from occfit.method.losses import PerImage, landmark_loss, masked_loss, pixel_residual, prior_loss
from occfit.networks.segmenter import VISIBLE_THRESHOLD
from occfit.rendering.renderer import FaceRenderer
from occfit.types import Explanation, FaceBatch, FaceParams, Mask, Rendering


@dataclass(frozen=True)
class Refinement:
    """How an estimate is refined. Pixel and landmark weigh as in `balanced`'s alternation.

    Attributes:
        rounds: how often there is a new mask, then new parameters.
        steps: Adam's steps in a round.
        learning_rate: in standard deviations, and in the encoder's units for pose and light.
        pixel: weight of the colour distance, each pixel's limited to `tolerance`.
        landmark: weight of the squared landmark distance.
        prior: weight of the prior.
        size: the side of the picture that the rendering is compared with, in pixels; None: the system's own.
        tolerance: colour distance, in [0, sqrt(3)], beyond which a pixel pulls no more.
        least_area: the visible face may not become smaller than this part of its first area.
        landmark_slack: pixels at 224 px by which the landmarks' root mean square error may grow.
    """

    rounds: PositiveInt = 3
    steps: PositiveInt = 25
    learning_rate: float = 0.03
    pixel: float = 20.0
    landmark: float = 0.02
    prior: float = 0.3
    size: PositiveInt | None = None
    tolerance: float = 0.35
    least_area: Annotated[float, Field(ge=0, le=1)] = 0.97
    landmark_slack: float = 0.5


@dataclass(frozen=True)
class Refined:
    """What refinement made of a batch.

    Attributes:
        explanation: the better fit of each image.
        improved: which images have a new fit.
        residual: robust residual before and after, in grey levels (0..255), over the pixels that both fits call visible
            face.
    """

    explanation: Explanation
    improved: Bool[Tensor, " b"]
    residual: Float[Tensor, "b 2"]

    def __getitem__(self, index: slice) -> "Refined":
        return Refined(self.explanation[index], self.improved[index], self.residual[index])


@dataclass(frozen=True)
class RefinedSystem:
    """A system whose estimate of each picture is refined; it explains batches as the system itself does."""

    system: FaceSystem
    settings: Refinement = Refinement()

    def __call__(self, batch: FaceBatch) -> Explanation:
        return refine(self.system, batch, self.system(batch), self.settings).explanation


def unrefined(first: Explanation) -> Refined:
    """The estimate as it is."""
    count, device = len(first.params), first.visibility.device
    nothing = torch.zeros(count, dtype=torch.bool, device=device)
    return Refined(first, nothing, torch.full((count, 2), torch.nan, device=device))


def refine(
    system: FaceSystem,
    batch: FaceBatch,
    first: Explanation,
    settings: Refinement | None = None,
    fine: FaceBatch | None = None,
) -> Refined:
    """Fits the parameters of each image, from the system's own explanation of it.

    A new fit is taken only if it has the lower robust residual on the pixels that both fits call visible face, its
    visible face is no smaller, and its landmarks are no farther off, within the settings' small allowances. So an
    estimate that can't be improved stays as it is, bit for bit.

    Args:
        batch: aligned photographs with landmarks.
        first: the system's explanation of them.
        fine: the same photographs in another size, in which the parameters are moved. Mask and judgement keep the
            system's own size.
    """
    settings = settings or Refinement()
    fine = batch if fine is None else fine
    own = system.renderer
    renderer = FaceRenderer(own.face_model, own.rasterizer, fine.image.shape[-1])
    found = first
    for _ in range(settings.rounds):
        params = move(renderer, system.encoder.scale, fine, found, settings)
        with torch.no_grad():
            rendering = own(params)
            visibility, _ = system.visibility(batch, rendering, system.segmenter)
        found = Explanation(params, rendering, visibility)
    improved, residual = is_better(batch, first, found, settings)
    return Refined(choose(improved, found, first), improved, residual)


def move(
    renderer: FaceRenderer,
    unit: Float[Tensor, " p"],
    batch: FaceBatch,
    start: Explanation,
    settings: Refinement,
) -> FaceParams:
    """One round's parameters, under the mask of `start`.

    Args:
        unit: how far a parameter moves in a step of length 1.
    """
    visible = hard(F.interpolate(start.visibility, batch.image.shape[-2:], mode="bilinear"))
    descent = ParameterDescent(start.params, unit, settings.learning_rate, settings.steps)
    for _ in range(settings.steps):
        descent.step(lambda params: refinement_loss(batch, params, renderer(params), visible, settings))
    return descent.params


def refinement_loss(
    batch: FaceBatch, params: FaceParams, rendering: Rendering, visible: Mask, settings: Refinement
) -> PerImage:
    """Limited colour distance over the visible face, landmarks, prior."""
    pixel = robust_residual(batch, rendering, visible, settings.tolerance)
    landmark = landmark_loss(rendering.landmarks, batch.landmarks, batch.image.shape[-1])
    return (
        settings.pixel * pixel
        + settings.landmark * landmark
        + settings.prior * prior_loss(params, divisor=257)
    )


def robust_residual(batch: FaceBatch, rendering: Rendering, visible: Mask, tolerance: float) -> PerImage:
    """Mean over the visible face of min(|I_T - I_R|, tolerance), the RGB distance."""
    residual = pixel_residual(batch.image, rendering.image, "norm").clamp(max=tolerance)
    return masked_loss(residual, rendering.face_region, visible, 1, "visible_face")


def is_better(
    batch: FaceBatch, first: Explanation, last: Explanation, settings: Refinement
) -> tuple[Bool[Tensor, " b"], Float[Tensor, "b 2"]]:
    """Which images the last explanation explains better, and the robust residuals of both in grey levels."""
    faces = [hard(one.visibility) * one.rendering.face_region for one in (first, last)]
    common = faces[0] * faces[1]
    before, after = (
        robust_residual(batch, one.rendering, common, settings.tolerance) for one in (first, last)
    )
    areas = [face.flatten(1).sum(dim=1) for face in faces]
    size = batch.image.shape[-1]
    points = [landmark_loss(one.rendering.landmarks, batch.landmarks, size).sqrt() for one in (first, last)]
    better = (after < before) & (areas[1] >= settings.least_area * areas[0])
    better &= points[1] <= points[0] + settings.landmark_slack
    return better, 255 / 3**0.5 * torch.stack([before, after], dim=1)


def choose(which: Bool[Tensor, " b"], yes: Explanation, no: Explanation) -> Explanation:
    """Image by image the one or the other."""

    def mix(one: Tensor, other: Tensor) -> Tensor:
        return torch.where(which.view(-1, *[1] * (one.dim() - 1)), one, other)

    params = FaceParams.from_vector(mix(yes.params.to_vector(), no.params.to_vector()))
    parts = {name: mix(value, getattr(no.rendering, name)) for name, value in vars(yes.rendering).items()}
    return Explanation(params, Rendering(**parts), mix(yes.visibility, no.visibility))


def hard(visibility: Mask) -> Mask:
    """1 where the face is visible."""
    return (visibility > VISIBLE_THRESHOLD).float()
