"""Stops a training whose masks have turned all black or all white."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from occfit.errors import OccfitError
from occfit.training.module import OccFit

REMEDY = (
    "objective=balanced sets the price of excluding a pixel from the residual; with other objectives "
    "{change} objective.segmentation.weights.area"
)


class CollapseGuard(Callback):
    """Watches the share of the rendered region that the segmenter calls visible.

    Stages without a segmenter aren't watched: eq. 9's mask may well be black until the encoder has learnt.

    Args:
        window: batches whose mean share is looked at, again and again. Over all processes.
        black: a mean share below this is a collapse.
        white: one above this is.

    Raises:
        OccfitError: in training, when the masks have collapsed.
    """

    def __init__(self, window: int = 200, black: float = 0.01, white: float = 0.9999):
        self.window, self.black, self.white = window, black, white
        self._visible = self._region = torch.tensor(0.0)
        self._batches = 0

    def on_train_start(self, trainer: Trainer, pl_module: OccFit) -> None:  # type: ignore[override]
        self._forget(pl_module)

    def _forget(self, module: OccFit) -> None:
        self._visible = torch.zeros((), device=module.device)
        self._region = torch.zeros((), device=module.device)
        self._batches = 0

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: OccFit, outputs: Mapping[str, Tensor], batch: Any, batch_idx: int
    ) -> None:
        if pl_module.segmenter is None:
            return
        self._batches += 1
        if outputs:
            self._visible += outputs["visible"]
            self._region += outputs["region"]
        if self._batches < self.window:
            return
        visible, region = (
            float(trainer.strategy.reduce(part, reduce_op="sum")) for part in (self._visible, self._region)
        )
        self._forget(pl_module)
        if region:
            self._judge(visible / region, trainer.global_step)

    def _judge(self, share: float, step: int) -> None:
        if self.black <= share <= self.white:
            return
        is_black = share < self.black
        outcome = "black: nothing is taken for visible" if is_black else "white: nothing is taken for hidden"
        raise OccfitError(
            f"The masks have turned {outcome} (a share of {share:.4f} over {self.window} batches)",
            f"step {step}",
            REMEDY.format(change="raise" if is_black else "lower"),
        )
