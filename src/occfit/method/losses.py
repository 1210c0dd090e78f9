"""The paper's losses, equations 1 to 9, and its regularisers, as pure functions that return one number an
image.

What the paper leaves open is an argument here:

- Its image terms are printed as sums over pixels. A sum grows with the picture and the face's share of it, so
  the same weights mean something else at every size. `normalisation="sum"` is the print; `"face_region"`, the
  default, is the same divided by the area of the rendered region, S_Phi, which eq. 3 does already.
- With a soft mask M, the printed norms of masked pictures weigh a pixel by M^2, as eq. 3 does:
  `mask_power=2`. The published code weighs by M: `mask_power=1`.
- Its residual is the squared RGB distance; the published code's is the distance: `distance`.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from types import EllipsisType
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from occfit.face_model.ibug_landmarks import paper_weights
from occfit.types import FaceParams, Image, Landmarks, Mask

PerImage = Float[Tensor, " b"]
Features = tuple[Float[Tensor, "b ..."], ...]
"""One or several layers' responses to a batch of pictures."""
Pictures = Sequence[Float[Tensor, "b 3 _ _"]]
"""Pictures that aren't all of one size."""
Place = tuple[EllipsisType, slice, slice]
"""Some of a picture's rows and columns."""

ColourDistance = Literal["squared", "norm"]
Normalisation = Literal["face_region", "visible_face", "image", "sum"]
FeatureDistance = Literal["squared_l2", "cosine"]
RobustTail = Literal["truncated", "smooth"]

LANDMARK_SIZE = 224
"""Landmark distances are pixels of a picture of this side, whatever the picture's."""


def pixel_residual(image: Image, rendered: Image, distance: ColourDistance = "squared") -> Mask:
    """The RGB distance between each pixel and the rendering: its square in [0, 3], or the distance itself."""
    squared = (image - rendered).square().sum(1, keepdim=True)
    return squared if distance == "squared" else _root(squared)


def neighbour_residual(
    image: Image, rendered: Image, face_region: Mask, window: int = 5, distance: ColourDistance = "squared"
) -> Mask:
    """The RGB distance between each pixel and the most similar rendered one in a window around it (in eq. 1).

    Only rendered pixels inside `face_region` are candidates, so the black around the face matches nothing;
    outside `face_region` the result is 0. The window is searched offset by offset and only the winner is
    differentiated, so memory doesn't grow with the window. Of equals the first in reading order wins.

    Args:
        window: the side of the window in pixels. An even one reaches half a pixel less than the next odd one, and the
            rendering is searched at whole and at half pixels, where it is the mean of the nearest two or four. So a
            small picture can have a small window: the paper's 5 px of 224 are 1.4 px of 64.
    """
    with torch.no_grad():
        pictures = _candidates(rendered.masked_fill(face_region <= 0, torch.inf), window)
        places = _number(pictures)
        best = torch.full_like(face_region, torch.inf)
        winner = places[0].expand_as(face_region).clone()
        for chosen, target, source in _offsets(pictures, window):
            squared = (image[target] - pictures[chosen][source]).square().sum(1, keepdim=True)
            better = squared < best[target]
            best[target] = torch.where(better, squared, best[target])
            winner[target] = torch.where(better, places[chosen][source], winner[target])
    flat = torch.cat([picture.flatten(2) for picture in _candidates(rendered, window)], dim=2)
    matched = flat.gather(2, winner.long().flatten(2).expand(-1, 3, -1)).view_as(rendered)
    return torch.where(face_region > 0, pixel_residual(image, matched, distance), 0)


def _candidates(picture: Image, window: int) -> Pictures:
    """What a window is searched for: the picture; for an even one also the means of its pixels two by two.

    The means are three more pictures: halfway to the right, a column narrower; halfway down, a row lower; and halfway
    both ways, where a mean is of four. So the neighbours at one offset lie side by side in memory.
    """
    if window % 2:
        return [picture]
    # In reading order, because autograd then adds up a pixel's gradients in the order in which `F.interpolate` does.
    parts = product((slice(None, -1), slice(None), slice(1, None)), repeat=2)
    top_left, top, top_right, left, whole, right, bottom_left, bottom, bottom_right = (
        picture[..., y, x] for y, x in parts
    )
    both = (top_left + top_right + bottom_left + bottom_right) * 0.25
    return [whole, (left + right) * 0.5, (top + bottom) * 0.5, both]


def _number(pictures: Pictures) -> list[Int[Tensor, "1 1 _ _"]]:
    """Each pixel's place among the pixels of all pictures, one picture after the other."""
    sizes = [picture[0, 0].numel() for picture in pictures]
    places = torch.arange(sum(sizes), dtype=torch.int32, device=pictures[0].device).split(sizes)
    return [place.view(1, 1, *picture.shape[-2:]) for place, picture in zip(places, pictures, strict=True)]


def _offsets(pictures: Pictures, window: int) -> Iterator[tuple[int, Place, Place]]:
    """For each offset of the window in reading order: which picture it leads to, and the slices of the pixels that it
    leads from and to.

    Offsets are whole pixels in an odd window. In an even one they are half pixels, and their parities say which of the
    four pictures it is.
    """
    stride = 2 - window % 2
    reach = (window - 1) * stride // 2
    for offset in product(range(-reach, reach + 1), repeat=2):
        (down, half_down), (right, half_right) = (divmod(shift, stride) for shift in offset)
        chosen = 2 * half_down + half_right
        sides = zip((down, right), pictures[0].shape[-2:], pictures[chosen].shape[-2:], strict=True)
        (y, from_y), (x, from_x) = (_overlap(*side) for side in sides)
        if y.start < y.stop and x.start < x.stop:
            yield chosen, (..., y, x), (..., from_y, from_x)


def _overlap(shift: int, length: int, other_length: int) -> tuple[slice, slice]:
    first, end = max(0, -shift), min(length, other_length - shift)
    return slice(first, end), slice(first + shift, end + shift)


def _root(squared: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The square root, with gradient 0 instead of infinity at 0."""
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1).sqrt(), 0)


def masked_loss(
    residual: Mask,
    face_region: Mask,
    visibility: Mask,
    mask_power: int = 2,
    normalisation: Normalisation = "face_region",
) -> PerImage:
    """sum_Phi M^p r / S: what eqs. 1 and 5 are of their residuals r, with a soft mask M.

    Args:
        normalisation: S. `face_region`: the area of Phi. `visible_face`: sum_Phi M, differentiated (the
            published code's for eq. 5, there over the whole batch). `image`: the picture's area (the code's
            for eq. 1). `sum`: 1, as printed.
    """
    total = _sum(face_region * visibility**mask_power * residual)
    if normalisation == "sum":
        return total
    if normalisation == "image":
        return total / residual[0].numel()
    area = face_region if normalisation == "face_region" else face_region * visibility
    return total / _sum(area).clamp(min=1)


def pixel_loss(
    image: Image,
    rendered: Image,
    face_region: Mask,
    visibility: Mask,
    distance: ColourDistance = "squared",
    mask_power: int = 2,
    normalisation: Normalisation = "face_region",
) -> PerImage:
    """Eq. 5: |I_T - I_R|^2 over the visible face Omega, Phi weighted by the mask."""
    residual = pixel_residual(image, rendered, distance)
    return masked_loss(residual, face_region, visibility, mask_power, normalisation)


def neighbour_loss(
    image: Image,
    rendered: Image,
    face_region: Mask,
    visibility: Mask,
    window: int = 5,
    distance: ColourDistance = "squared",
    mask_power: int = 2,
    normalisation: Normalisation = "face_region",
) -> PerImage:
    """Eq. 1: as eq. 5, but every target pixel chooses its best match in a window of the rendering.

    The target's pixel is fixed, as in the paper; the published code fixes the rendering's and searches the
    target.
    """
    residual = neighbour_residual(image, rendered, face_region, window, distance)
    return masked_loss(residual, face_region, visibility, mask_power, normalisation)


def area_loss(face_region: Mask, visibility: Mask, mask_power: int = 2) -> PerImage:
    """Eq. 3: -sum_Phi M^2 / S_Phi, in [-1, 0]. The published code's is 1 more, with M instead of M^2."""
    return -masked_loss(torch.ones_like(visibility), face_region, visibility, mask_power)


def binary_loss(
    face_region: Mask, visibility: Mask, normalisation: Normalisation = "face_region"
) -> PerImage:
    """L_bi: -sum_Phi (M - 0.5)^2 / S, in [-0.25, 0] where S is the area of Phi; printed as a sum over all
    pixels."""
    return -masked_loss(
        (visibility - 0.5).square(), face_region, torch.ones_like(visibility), 1, normalisation
    )


def feature_distance(
    features: Features, others: Features, distance: FeatureDistance = "squared_l2"
) -> PerImage:
    """How different a network finds two pictures: per layer, of the responses scaled to unit length, then
    the mean.

    Args:
        distance: `squared_l2` is |a - b|^2 in [0, 4]; `cosine` is 1 - a.b, half of it.
    """
    cosines = [F.cosine_similarity(a.flatten(1), b.flatten(1)) for a, b in zip(features, others, strict=True)]
    dissimilarity = 1 - torch.stack(cosines).mean(0)
    return 2 * dissimilarity if distance == "squared_l2" else dissimilarity


def perceptual_loss(
    target: Features, reconstruction: Features, distance: FeatureDistance = "squared_l2"
) -> PerImage:
    """Eq. 6: |F(I_T) - F(I_R)|^2. What of I_R lies behind the face is the caller's choice."""
    return feature_distance(target, reconstruction, distance)


def perceptual_exclusion_loss(
    visible_target: Features, visible_rendering: Features, distance: FeatureDistance = "squared_l2"
) -> PerImage:
    """Eq. 2: |F(I_T in Omega) - F(I_R in Omega)|^2; falls when pixels that differ are excluded."""
    return feature_distance(visible_target, visible_rendering, distance)


def perceptual_inclusion_loss(
    target: Features, visible: Features, distance: FeatureDistance = "squared_l2"
) -> PerImage:
    """Eq. 4: |F(I_T) - F(I in Omega)|^2: what of the face is lost by seeing Omega alone; falls as Omega
    grows.

    Two variants of I: the target, as the paper's prose and the published code have it ("the semantic face
    features remain the same as the target after the occlusions are masked out"); or the rendering, as
    printed.
    """
    return feature_distance(target, visible, distance)


def landmark_loss(landmarks: Landmarks, target: Landmarks, size: int) -> PerImage:
    """Eq. 7: mean over the 68 points of w |lm_T - lm_R|^2, in squared pixels at 224 px.

    w is 0.2 on the contour, 0.1 on the brows, 1 elsewhere. The published code squares w too, by accident.

    Args:
        size: the side of the picture that the landmarks are pixels of.
    """
    squared = (landmarks - target).square().sum(-1) * (LANDMARK_SIZE / size) ** 2
    return (squared * paper_weights().to(squared)).mean(1)


def prior_loss(
    params: FaceParams,
    over: Literal["all", "face_model"] = "all",
    divisor: float = 1.0,
    translation_unit: float = 100.0,
) -> PerImage:
    """L_reg: |theta|^2 / divisor.

    Args:
        over: `all` 257 parameters, as printed; or `face_model`'s (shape, expression, albedo), as in the
            published code, whose `divisor` is 224.
        translation_unit: mm that count as 1. The paper doesn't say; with millimetres themselves the prior
            would hold the face in the middle of the picture.
    """
    parts = [params.shape, params.expression, params.albedo]
    if over == "all":
        parts += [params.pose[:, :3], params.pose[:, 3:] / translation_unit, params.illumination]
    return torch.cat(parts, dim=1).square().sum(1) / divisor


def albedo_variance_loss(albedo: Float[Tensor, "b v 3"], skin: Bool[Tensor, " v"]) -> PerImage:
    """Sum over R, G, B of the variance of the skin vertices' reflectance: Deng et al. 2019, section 3.2 (L_tex)."""
    return albedo[:, skin].var(dim=1, correction=0).sum(1)


def robust_log_likelihood(image: Image, rendered: Image, sigma: float) -> Mask:
    """Eq. 8: log-density of each pixel's colour if it is face: a Gaussian around the rendering, in RGB.

    Args:
        sigma: standard deviation of each channel. N_c is the Gaussian's own constant, -1.5 log(2 pi sigma^2).
    """
    normaliser = -1.5 * math.log(2 * math.pi * sigma**2)
    return pixel_residual(image, rendered) / (-2 * sigma**2) + normaliser


def robust_mask(image: Image, rendered: Image, face_region: Mask, threshold: float) -> Mask:
    """Eq. 9: 1 in the rendered region where the squared RGB distance is below xi, the `threshold`."""
    return face_region * (pixel_residual(image, rendered) < threshold)


def robust_loss(
    image: Image,
    rendered: Image,
    face_region: Mask,
    sigma: float,
    threshold: float,
    tail: RobustTail = "truncated",
) -> PerImage:
    """Mean over the rendered region of rho(|I_T - I_R|^2) / (2 sigma^2), where rho grows to xi at most.

    Args:
        tail: `truncated`: rho(r) = min(r, xi). That is N_c minus eq. 8's log-likelihood, which ends where eq. 9
            says that a pixel isn't face: such a pixel costs the same whatever its colour, and doesn't pull.
            `smooth`: rho(r) = xi r / (xi + r), Geman and McClure's, with the same slope at 0 and the same limit. A
            pixel pulls less the worse it fits, but always a little: with a small xi the truncated one has hardly a
            pixel to start from.
    """
    residual = pixel_residual(image, rendered)
    limited = (
        residual.clamp(max=threshold)
        if tail == "truncated"
        else threshold * residual / (threshold + residual)
    )
    return masked_loss(limited / (2 * sigma**2), face_region, torch.ones_like(face_region))


def cross_entropy_loss(logits: Mask, labels: Mask, face_region: Mask, known: Mask | None = None) -> PerImage:
    """Binary cross-entropy against labels in {0, 1}, summed over the rendered region and divided by its area.

    Args:
        known: the pixels that have a label, 1 = known; the others add nothing. None: all have one.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return masked_loss(entropy, face_region, torch.ones_like(face_region) if known is None else known)


def _sum(values: Mask) -> PerImage:
    return values.flatten(1).sum(1)
