"""Stops a training whose masks have turned all black or all white."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from occfit.errors import OccfitError
from occfit.method.log_keys import PIXELS
from occfit.method.module import OccFit

REMEDY = (
    "objective=balanced sets the price of excluding a pixel from the residual; with other objectives "
    "{change} objective.segmentation.weights.area"
)


class CollapseGuard(Callback):
    """Watches the share of the rendered region that the segmenter calls visible.

    Black is judged by the pixels that it calls visible, with a probability above one half; white by the mean
    probability, since a mask may well hide nothing yet and still be learning. Stages without a segmenter aren't
    watched: eq. 9's mask may be black until the encoder has learnt.

    Args:
        window: batches whose mean share is looked at, again and again. Over all processes.
        black: a mean share below this is a collapse.
        white: one above this is.

    Raises:
        OccfitError: in training, when the masks have collapsed.
    """

    def __init__(self, window: int = 200, black: float = 0.01, white: float = 0.9999):
        self.window, self.black, self.white = window, black, white
        self._counts = dict.fromkeys(PIXELS, torch.tensor(0.0))
        self._batches = 0

    def on_train_start(self, trainer: Trainer, pl_module: OccFit) -> None:  # type: ignore[override]
        self._forget(pl_module)

    def _forget(self, module: OccFit) -> None:
        self._counts = dict.fromkeys(PIXELS, torch.zeros((), device=module.device))
        self._batches = 0

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: OccFit, outputs: Mapping[str, Tensor], batch: Any, batch_idx: int
    ) -> None:
        if pl_module.segmenter is None:
            return
        self._batches += 1
        if outputs:
            self._counts = {name: count + outputs[name] for name, count in self._counts.items()}
        if self._batches < self.window:
            return
        region, visible, called = (
            float(trainer.strategy.reduce(self._counts[name], reduce_op="sum")) for name in PIXELS
        )
        self._forget(pl_module)
        if region:
            self._judge(called / region, visible / region, trainer.global_step)

    def _judge(self, called: float, visible: float, step: int) -> None:
        is_black = called < self.black
        if not is_black and visible <= self.white:
            return
        share = called if is_black else visible
        outcome = "black: nothing is taken for visible" if is_black else "white: nothing is taken for hidden"
        raise OccfitError(
            f"The masks have turned {outcome} (a share of {share:.4f} over {self.window} batches)",
            f"step {step}",
            REMEDY.format(change="raise" if is_black else "lower"),
        )
