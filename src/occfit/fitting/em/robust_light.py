"""The light of a photograph, found so that occluders can't bend it (Egger et al. 2018, section 3.3).

A random sample consensus: a few pixels of the mean face give a light, the light that explains most pixels wins, and the
pixels that it explains are the first guess of what is face.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from occfit.rendering.illumination import (
    LAMBERT_FACTORS,
    STANDARD_AMBIENT,
    light_coefficients,
    spherical_harmonics,
)
from occfit.rendering.renderer import FaceRenderer
from occfit.runs.build import derive_seed
from occfit.types import FaceBatch, FaceParams, Image, Mask

Design = Float[Tensor, "b 3 9 h w"]
"""What a unit of each harmonic adds to each pixel's R, G and B."""


@dataclass(frozen=True)
class RobustLight:
    """How the light is looked for.

    Attributes:
        samples: lights that are tried.
        pixels: that each of them is computed from.
        tolerance: RGB distance, in [0, sqrt(3)], up to which a light explains a pixel.
        stiffness: how strongly a light computed from few pixels is held at the standard light; in pixels.
        polish: times that the winner is computed anew from all pixels it explains.
    """

    samples: PositiveInt = 60
    pixels: PositiveInt = 30
    tolerance: PositiveFloat = 0.15
    stiffness: PositiveFloat = 0.3
    polish: PositiveInt = 3

    def __call__(
        self, renderer: FaceRenderer, batch: FaceBatch, params: FaceParams, seed: int
    ) -> tuple[Float[Tensor, "b 27"], Mask]:
        """The light, as `FaceParams.illumination`, and 1 at the pixels that it explains.

        Args:
            params: pose, shape and albedo to be lit.
            seed: with each picture's index, of its random pixels; so a picture's light doesn't depend on its batch.
        """
        design, region = light_design(renderer, params)
        chosen = random_pixels(region, batch.index, self.samples, self.pixels, seed)
        best = -torch.ones(len(batch), device=design.device)
        light = design.new_zeros(len(batch), 3, 9)
        for sample in chosen.unbind(1):
            weights = torch.zeros_like(region).flatten(1).scatter(1, sample, 1.0).view_as(region)
            tried = solve_light(design, batch.image, weights, self.stiffness)
            count = self.explained(design, batch.image, region, tried).flatten(1).sum(1)
            light = torch.where((count > best).view(-1, 1, 1), tried, light)
            best = torch.maximum(best, count)
        for _ in range(self.polish):
            weights = self.explained(design, batch.image, region, light)
            light = solve_light(design, batch.image, weights, self.stiffness)
        standard = light_coefficients(light.new_zeros(1, 27))
        return (light - standard).flatten(1), self.explained(design, batch.image, region, light)

    def explained(self, design: Design, image: Image, region: Mask, light: Float[Tensor, "b 3 9"]) -> Mask:
        """1 at the pixels of the region that are no farther than `tolerance` from what the light makes of them."""
        lit = torch.einsum("bckhw,bck->bchw", design, light)
        return region * ((image - lit).square().sum(1, keepdim=True) < self.tolerance**2)


def light_design(renderer: FaceRenderer, params: FaceParams) -> tuple[Design, Mask]:
    """The rendering as a linear function of the light, and the rendered region."""
    rendering = renderer(params)
    harmonics = spherical_harmonics(rendering.normals) * rendering.normals.new_tensor(LAMBERT_FACTORS)
    units = renderer.face_model.albedo(params.albedo).unsqueeze(-1) * harmonics.unsqueeze(2)
    pictures = renderer.draw(rendering.vertices, units.flatten(2))
    return pictures.unflatten(1, (3, 9)), rendering.face_region


def random_pixels(
    region: Mask, index: Int[Tensor, " b"], samples: int, pixels: int, seed: int
) -> Int[Tensor, "b s p"]:
    """Positions in the flattened picture, drawn from the region; of nothing where nothing is rendered."""
    drawn = []
    for mask, name in zip(region.flatten(1).cpu(), index.tolist(), strict=True):
        generator = torch.Generator().manual_seed(derive_seed(seed, "light", str(name)))
        inside = mask.nonzero().flatten()
        inside = inside if len(inside) else torch.zeros(1, dtype=torch.int64)
        drawn.append(inside[torch.randint(len(inside), (samples, pixels), generator=generator)])
    return torch.stack(drawn).to(region.device)


def solve_light(design: Design, image: Image, weights: Mask, stiffness: float) -> Float[Tensor, "b 3 9"]:
    """The light under which the weighted pixels are explained best, with a pull to the standard light."""
    a = design.flatten(3)
    weighted = a * weights.flatten(2).unsqueeze(1)
    standard = a.new_tensor([STANDARD_AMBIENT, *8 * (0.0,)])
    normal = weighted @ a.mT + stiffness * torch.eye(9, device=a.device)
    right = (weighted @ image.flatten(2).unsqueeze(-1)).squeeze(-1) + stiffness * standard
    return torch.linalg.solve(normal, right)
