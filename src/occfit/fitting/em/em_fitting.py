"""Egger et al. 2018: a face model fitted to each photograph alone, together with a label for each pixel.

Nothing is trained. Pose and shape start from the landmarks, the light from a random sample consensus over the spherical
harmonics, which occluders can't bend. Then expectation and maximisation alternate: each pixel is face, beard or
something else, as the current rendering, colour histograms and its neighbours say; and the parameters are moved by
gradient under these labels. The published method samples parameters where this one descends.
"""

from functools import partial

import torch
from jaxtyping import Float
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from occfit.face_model.morphable_model import MorphableModel
from occfit.fitting.em.pixel_labels import (
    BEARD,
    FACE,
    LabelModel,
    LabelProbabilities,
    draw_lower_face,
    start_labels,
)
from occfit.fitting.em.robust_light import RobustLight
from occfit.method.descent import ParameterDescent
from occfit.method.losses import PerImage, landmark_loss, masked_loss, pixel_residual, prior_loss
from occfit.rendering.camera import project, to_camera
from occfit.rendering.renderer import FaceRenderer
from occfit.types import PARAMETER_SIZES, Explanation, FaceBatch, FaceParams, Landmarks, Mask

PARTS = tuple(PARAMETER_SIZES)
ROTATION, TRANSLATION_XY, TRANSLATION_Z = 0.1, 5.0, 30.0
"""How far a step of length 1 turns (radians) and moves (mm) a face; all else moves by a standard deviation."""


class EMFitting(nn.Module):
    """Explains batches of aligned photographs; all of them are fitted side by side, each by its own gradient.

    Args:
        renderer: what draws the face model.
        seed: a number that decides the light's random samples.
        landmark_steps: Adam's steps on landmarks alone.
        rounds: how often there is a maximisation, then an expectation.
        steps: Adam's steps in a round.
        learning_rate: Adam's rate in both, in the units above; it falls to zero over all steps.
        landmark: weight of the squared landmark distance.
        prior: weight of the prior.
        light: how the first light is found.
        labels: how pixels are labelled.
    """

    def __init__(
        self,
        renderer: FaceRenderer,
        seed: int = 0,
        landmark_steps: NonNegativeInt = 60,
        rounds: PositiveInt = 5,
        steps: PositiveInt = 16,
        learning_rate: PositiveFloat = 0.1,
        landmark: NonNegativeFloat = 0.05,
        prior: NonNegativeFloat = 5.0,
        light: RobustLight | None = None,
        labels: LabelModel | None = None,
    ):
        super().__init__()
        self.renderer = renderer
        self.landmark_model = landmarks_only(renderer.face_model)
        self.seed = seed
        self.landmark_steps, self.rounds, self.steps = landmark_steps, rounds, steps
        self.learning_rate, self.landmark, self.prior = learning_rate, landmark, prior
        self.light, self.labels = light or RobustLight(), labels or LabelModel()

    @torch.no_grad()
    def forward(self, batch: FaceBatch) -> Explanation:
        """Parameters, rendering, and the probability that a pixel is face or beard."""
        params, labels = self.begin(batch)
        descent = ParameterDescent(params, units(batch.image), self.learning_rate, self.rounds * self.steps)
        for _ in range(self.rounds):
            face = labels[:, FACE : FACE + 1]
            for _ in range(self.steps):
                descent.step(partial(self.loss, batch, face))
            params = descent.params
            rendering = self.renderer(params)
            labels = self.labels(batch.image, rendering, draw_lower_face(self.renderer, rendering), labels)
        visible = labels[:, FACE : FACE + 1] + labels[:, BEARD : BEARD + 1]
        return Explanation(params, rendering, visible * rendering.face_region)

    def begin(self, batch: FaceBatch) -> tuple[FaceParams, LabelProbabilities]:
        """Pose and shape from landmarks, light from the consensus, which is also the first face label."""
        params = self.fit_landmarks(batch)
        illumination, face = self.light(self.renderer, batch, params, self.seed)
        params = FaceParams(params.shape, params.expression, params.albedo, params.pose, illumination)
        rendering = self.renderer(params)
        region = rendering.face_region
        return params, start_labels(face, region, draw_lower_face(self.renderer, rendering))

    def fit_landmarks(self, batch: FaceBatch) -> FaceParams:
        """Adam on pose, shape and expression, with nothing drawn."""
        start = FaceParams.zeros(len(batch), device=batch.image.device)
        descent = ParameterDescent(start, units(batch.image), self.learning_rate, self.landmark_steps)
        for _ in range(self.landmark_steps):
            descent.step(partial(self.landmark_loss, batch))
        return descent.params

    def landmark_loss(self, batch: FaceBatch, params: FaceParams) -> PerImage:
        """Landmarks; prior."""
        found = self.project_landmarks(params)
        distance = landmark_loss(found, batch.landmarks, self.renderer.camera.size)
        return self.landmark * distance + self.prior * prior_loss(params, divisor=257)

    def project_landmarks(self, params: FaceParams) -> Landmarks:
        vertices = self.landmark_model.vertices(params.shape, params.expression)
        return project(to_camera(vertices, params.pose), self.renderer.camera)

    def loss(self, batch: FaceBatch, face: Mask, params: FaceParams) -> PerImage:
        """Minus the log-likelihood of the face's pixels, a mean, under the probability that each is `face`; landmarks;
        prior."""
        rendering = self.renderer(params)
        residual = pixel_residual(batch.image, rendering.image) / (2 * self.labels.sigma**2)
        pixel = masked_loss(residual, rendering.face_region, face, 1, "visible_face")
        landmark = landmark_loss(rendering.landmarks, batch.landmarks, batch.image.shape[-1])
        return pixel + self.landmark * landmark + self.prior * prior_loss(params, divisor=257)


def units(like: Tensor) -> Float[Tensor, " 257"]:
    """How far each parameter moves in a step of length 1, of the type and on the device of `like`."""
    sizes = {name: [1.0] * size for name, size in PARAMETER_SIZES.items()}
    sizes["pose"] = [*3 * (ROTATION,), *2 * (TRANSLATION_XY,), TRANSLATION_Z]
    return like.new_tensor([value for name in PARTS for value in sizes[name]])


def landmarks_only(model: MorphableModel) -> MorphableModel:
    """The model's 68 landmarks, without what lies between them."""
    chosen = model.landmark_vertices
    return MorphableModel(
        f"{model.name}, landmarks",
        model.mean_shape[chosen],
        model.shape_basis[chosen],
        model.expression_basis[chosen],
        model.mean_albedo[chosen],
        model.albedo_basis[chosen],
        model.triangles[:0],
        torch.arange(len(chosen), device=chosen.device),
    )
