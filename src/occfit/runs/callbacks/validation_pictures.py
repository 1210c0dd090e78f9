"""Pictures of the validation images for loggers that show pictures."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor

from occfit.method.evidence import Evidence
from occfit.method.module import OccFit
from occfit.networks.segmenter import VISIBLE_THRESHOLD

KEY = "val/pictures"
HISTOGRAM = "val/mask"
BINS = 20
GREY = 0.3


class ValidationPictures(Callback):
    """Sends the first validation images to TensorBoard and Weights & Biases, whichever of them logs the run.

    Weights & Biases gets a histogram of the mask as well.

    Args:
        count: how many images; no more than the first batch has.
    """

    def __init__(self, count: int = 8):
        self.count = count

    def on_validation_batch_end(  # type: ignore[override]
        self,
        trainer: Trainer,
        pl_module: OccFit,
        outputs: Evidence,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx > 0 or trainer.sanity_checking or not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                grid = picture_grid(outputs, self.count)
                logger.experiment.add_image(KEY, grid, trainer.global_step, dataformats="HWC")
            elif isinstance(logger, WandbLogger):
                logger.log_image(KEY, [picture_grid(outputs, self.count)], step=trainer.global_step)
                log_histogram(logger, outputs, trainer.global_step)


def log_histogram(logger: WandbLogger, evidence: Evidence, step: int) -> None:
    """How many pixels of the first batch's rendered regions have which value of the mask."""
    import wandb

    values = evidence.visibility[evidence.face_region > 0].float().cpu().numpy()
    histogram = wandb.Histogram(np_histogram=np.histogram(values, BINS, (0, 1)))
    logger.log_metrics({HISTOGRAM: histogram}, step=step)  # type: ignore[dict-item]


def picture_grid(evidence: Evidence, count: int) -> UInt8[np.ndarray, "rows columns 3"]:
    """A row an image: target, reconstruction on the target, mask inside the region, true mask (grey: unknown)."""
    image, rendering = evidence.image[:count], evidence.rendering[:count]
    visible = rendering.face_region * (evidence.visibility[:count] > VISIBLE_THRESHOLD)
    truth, known = evidence.batch.visibility, evidence.batch.known_pixels()[:count]
    columns = [
        image,
        torch.lerp(image, rendering.image, rendering.face_region),
        visible.expand_as(image),
        torch.full_like(image, GREY)
        if truth is None
        else torch.where(known > 0, truth[:count], GREY).expand_as(image),
    ]
    return to_bytes(torch.cat([torch.cat(list(column), dim=1) for column in columns], dim=2))


def to_bytes(image: Float[Tensor, "3 h w"]) -> UInt8[np.ndarray, "h w 3"]:
    return image.detach().float().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
