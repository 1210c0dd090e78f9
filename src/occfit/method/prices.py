"""What it costs to exclude a pixel from the visible face.

The segmenter weighs two things per pixel: a residual if it calls the pixel visible, a price if it doesn't.
With a fixed price, as the paper's and the published code's weights have it, every mask turns black once the
typical residual exceeds the price, because of a hard data set, a coarse face model or a small picture; and
it turns white once even occluders cost less than it. So `balanced` takes the price from the residual itself.
"""

import torch
import torch.distributed
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from occfit.types import Mask

GREY_LEVEL = 3**0.5 / 255
"""An RGB distance of one grey level in each channel: below it there is nothing but the camera's noise."""


class ResidualPrice(nn.Module):
    """`factor` times a running median of the residual of a visible face's pixels.

    The median alone would be a loop: a mask that shrinks keeps the pixels that fit best, whose median is
    lower, which shrinks the mask further. So it counts for no less than the quantile `floor` of the whole
    rendered region, which the mask can't influence: at least that share of the region always costs less than the
    price.

    A batch's estimate is the median over its images, so one odd image has no vote; over batches it is an
    exponential average. The state is two buffers, so it lies in the checkpoint. Where several processes share a batch,
    the images of all of them count, so each has the same price. An estimate that isn't finite is ignored.

    Args:
        factor: the price in medians. Residuals have long tails (eyes, brows, wrinkles that the model doesn't
            have): measured behind a robust initialisation on the synthetic world, a tenth of the visible face
            was beyond 3 medians of the RGB distance, or 10 of its square.
        decay: the exponential average's factor, per training step.
        floor: a quantile of the region's residual; the share of a face that is always taken to be visible.
        smallest: value of the median, in the residual's unit; by default of an RGB distance.
    """

    median: Tensor
    count: Tensor

    def __init__(
        self, factor: float = 3.0, decay: float = 0.95, floor: float = 0.4, smallest: float = GREY_LEVEL
    ):
        super().__init__()
        self.factor, self.decay, self.floor, self.smallest = factor, decay, floor, smallest
        self.register_buffer("median", torch.tensor(smallest))
        self.register_buffer("count", torch.tensor(0))

    @torch.no_grad()
    def observe(self, residual: Mask, face_region: Mask, visibility: Mask) -> None:
        """Takes a batch's residuals into the running median, in training mode only."""
        if not self.training:
            return
        estimate = median_of_drawn(
            of_all_processes(image_residuals(residual, face_region, visibility, self.floor))
        )
        is_usable = estimate.isfinite()
        decay = torch.where(self.count > 0, self.decay, 0.0)
        average = decay * self.median + (1 - decay) * estimate.clamp(min=self.smallest)
        self.median.copy_(torch.where(is_usable, average, self.median))
        self.count += is_usable

    def forward(self) -> Float[Tensor, ""]:
        """The residual at which excluding a pixel costs as much as including it."""
        return self.factor * self.median


def typical_residual(residual: Mask, face_region: Mask, visibility: Mask, floor: float) -> Float[Tensor, ""]:
    """Median over images of: median over the visible face, but no less than the region's quantile `floor`.

    NaN where no image has a rendered pixel, or where a rendered pixel's residual is NaN. All images are looked at in
    one go, and no value is read on the way, so a GPU isn't waited for.
    """
    return median_of_drawn(image_residuals(residual, face_region, visibility, floor))


def image_residuals(
    residual: Mask, face_region: Mask, visibility: Mask, floor: float
) -> Float[Tensor, "b 2"]:
    """Each image's part in `typical_residual`, and whether it has one: 0 where it has no rendered pixel, else 1."""
    region = (face_region > 0).flatten(1)
    values, places = residual.float().flatten(1).masked_fill(~region, torch.inf).sort(dim=1)
    seen = (region & (visibility.flatten(1) > 0.5)).gather(1, places)
    estimate = _quantile(values, region.sum(1, keepdim=True), floor)
    estimate = torch.where(
        seen.any(1, keepdim=True), torch.maximum(estimate, _lower_median(values, seen)), estimate
    )
    is_drawn = region.any(1, keepdim=True)
    return torch.cat([estimate.masked_fill(~is_drawn, torch.inf), is_drawn.to(estimate)], dim=1)


def median_of_drawn(images: Float[Tensor, "b 2"]) -> Float[Tensor, ""]:
    """The median of what `image_residuals` found, over the images that have a rendered pixel."""
    estimates, order = images[:, :1].sort(dim=0)
    is_drawn = images[:, 1:].gather(0, order) > 0
    return _lower_median(estimates.mT, is_drawn.mT).squeeze()


def of_all_processes(rows: Float[Tensor, "b n"]) -> Float[Tensor, "c n"]:
    """The rows of all processes, which have as many each."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return rows
    parts = [torch.empty_like(rows) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def _quantile(values: Float[Tensor, "b n"], count: Int[Tensor, "b 1"], q: float) -> Float[Tensor, "b 1"]:
    """`Tensor.quantile` of each row's first `count` values; the row is sorted. NaN where it has a NaN."""
    rank = (count - 1).clamp(min=0).float() * q
    below, above = (values.gather(1, place.long()) for place in (rank, rank.ceil()))
    return below.lerp(above, rank - rank.floor()).masked_fill(values[:, -1:].isnan(), torch.nan)


def _lower_median(values: Float[Tensor, "b n"], chosen: Bool[Tensor, "b n"]) -> Float[Tensor, "b 1"]:
    """`Tensor.median` of each row's chosen values, which is the lower of two in the middle; the row is sorted.

    NaN where it has a NaN, or where nothing is chosen.
    """
    counted = chosen.cumsum(dim=1)
    middle = (counted[:, -1:] + 1) // 2
    median = values.gather(1, (counted < middle).sum(1, keepdim=True))
    return median.masked_fill(values[:, -1:].isnan() | (middle == 0), torch.nan)
