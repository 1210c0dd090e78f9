"""What a fitted photograph gives back."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from occfit.data.alignment import Alignment
from occfit.fitting.mesh import Mesh
from occfit.fitting.pictures import Picture, overlay
from occfit.fitting.visible_regions import visible_fractions
from occfit.networks.segmenter import VISIBLE_THRESHOLD
from occfit.types import FaceParams, Rendering

TELLING = ("eyes", "nose", "mouth", "cheeks")
"""The parts of which something hides at least one if the face is occluded."""

OCCLUDED_BELOW = 0.8
"""Mean visible share of the telling parts below which a face is called occluded."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The face found in one photograph, in the photograph's pixels and in the aligned picture's.

    Attributes:
        params: the 257 parameters, a batch of one. Pose and light belong to the aligned picture.
        rendering: what the model explains, a batch of one, in the aligned picture's pixels.
        image: the aligned picture, a batch of one.
        aligned_visibility: probability that a pixel of the aligned picture shows the face; 0 beyond the
            photograph's border.
        alignment: the way from the photograph's pixels to the aligned picture's, and back.
        photo: the photograph, upright.
        visibility: probability that a pixel of the photograph shows the face; 0 outside the aligned picture.
        face_region: where the model projects onto the photograph.
        reconstruction: the rendered face on the photograph's pixels, black elsewhere.
        mesh: the face in the model's frame.
        regions: where eyes, nose, mouth, cheeks and forehead are in the aligned picture (`regions.REGIONS`).
        is_refined: whether the parameters are the refinement's; else they are the encoder's.
    """

    params: FaceParams
    rendering: Rendering
    image: Float[Tensor, "1 3 s s"]
    aligned_visibility: Float[Tensor, "1 1 s s"]
    alignment: Alignment
    photo: UInt8[np.ndarray, "h w 3"]
    visibility: Float[np.ndarray, "h w"]
    face_region: Bool[np.ndarray, "h w"]
    reconstruction: UInt8[np.ndarray, "h w 3"]
    mesh: Mesh
    regions: Bool[Tensor, "1 r s s"]
    is_refined: bool = False

    @property
    def landmarks(self) -> Float[np.ndarray, "68 2"]:
        """The fitted model's landmarks on the photograph, iBUG order, the first pixel's centre at (0.5, 0.5)."""
        return self.alignment.to_photo(self.rendering.landmarks[0].cpu().numpy())

    @property
    def visible_face(self) -> Bool[np.ndarray, "h w"]:
        """The photograph's pixels where the model projects and the face is visible: the paper's Omega."""
        return self.face_region & (self.visibility > VISIBLE_THRESHOLD)

    @property
    def visible_fraction(self) -> float:
        """Visible pixels of the rendered region over all its pixels, counted in the aligned picture.

        A pixel is visible above probability 0.5. The region's part beyond the photograph's border counts as
        hidden, its part beyond the aligned picture's border isn't counted. NaN if the region is empty.
        """
        region = self.rendering.face_region > 0.5
        visible = region & (self.aligned_visibility > VISIBLE_THRESHOLD)
        count = int(region.sum())
        return int(visible.sum()) / count if count else float("nan")

    @property
    def visible_fractions(self) -> dict[str, float]:
        """The same of the face's parts: eyes, nose, mouth, cheeks, forehead; NaN for one that is turned away."""
        return visible_fractions(self.aligned_visibility > VISIBLE_THRESHOLD, self.regions)

    @property
    def is_occluded(self) -> bool:
        """Whether something hides the face: eyes, nose, mouth and cheeks are visible by less than `OCCLUDED_BELOW` on
        average.

        The forehead doesn't count, since a fringe isn't what the question is about; nor does a part that is turned
        away. True if no part is in the picture. The package's model card says how often that is right on photographs.
        """
        shares = [share for name, share in self.visible_fractions.items() if name in TELLING]
        seen = [share for share in shares if not math.isnan(share)]
        return not seen or sum(seen) / len(seen) < OCCLUDED_BELOW

    def overlay(self) -> Picture:
        """The reconstruction over the visible face; what hides the face under a pink veil."""
        return overlay(self.photo, self.reconstruction, self.face_region, self.visible_face)
