"""OccFit: an encoder and a segmenter that teach each other, as a LightningModule."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from occfit.data.order import is_given_again
from occfit.errors import OccfitError
from occfit.method.evidence import Evidence
from occfit.method.generators import generator_states, restore_generators, states_of_all
from occfit.method.log_keys import count_pixels, describe_mask, mask_sums, score_key
from occfit.method.objectives import Objective, Terms
from occfit.method.schedule import Learning, Phase, Schedule
from occfit.method.visibility import PredictedVisibility, VisibilitySource
from occfit.networks.encoder import Encoder
from occfit.networks.recognition import RecognitionNetwork
from occfit.networks.segmenter import UNet
from occfit.rendering.renderer import FaceRenderer
from occfit.types import FaceBatch, FaceParams, Mask, Rendering

LARGEST_PARAMETER = 1e4
"""An encoder's output beyond this (standard deviations, radians or mm) is as broken as NaN."""

BAD_BATCHES_IN_A_ROW = 20

FROZEN = "recognition."
"""The prefix of what never changes and so isn't in a checkpoint."""


@runtime_checkable
class Scores(Protocol):
    """What `occfit.metrics.collection.FaceScores` is to the module."""

    def update(self, batch: FaceBatch, rendering: Rendering, visibility: Mask) -> None: ...

    def compute(self) -> Mapping[str, Any]: ...

    def reset(self) -> None: ...


class OccFit(LightningModule):
    """Trains the networks of one stage. The stages (`occfit.runs.stage`) are sets of arguments:

    | stage       | segmenter | objectives                       | schedule            | visibility          |
    |-------------|-----------|----------------------------------|---------------------|---------------------|
    | initialise  | None      | {RECONSTRUCTION: initialisation} | ConstantPhase       | RobustVisibility    |
    | warm_up     | UNet      | {SEGMENTATION: WarmUpObjective}  | ConstantPhase       | PredictedVisibility |
    | alternate   | UNet      | one for each phase               | AlternatingSchedule | PredictedVisibility |
    | reconstruct | None      | {RECONSTRUCTION: reconstruction} | ConstantPhase       | WholeFace and such  |

    A phase trains one network and leaves the other in evaluation mode. Exactly one optimizer steps per batch,
    so Lightning's `global_step` counts successful steps of either network: it is the clock of the schedule and
    of the learning rates. After a bad batch (a loss or gradient that isn't finite, on any process) no optimizer
    steps, statistics that the networks gathered in it are put back, and the clock stands still; only
    `data_position` moves on.

    The Trainer needs an endless loader that starts at batch `data_position` (which a checkpoint sets before
    loaders are made) and `max_steps`. Several processes need a `DDPStrategy` that finds unused parameters, since one
    network idles. They log what one process with the whole batch would, which only the first one has loggers for.

    Args:
        face_renderer: draws what the encoder says.
        encoder: photograph -> face parameters.
        segmenter: photograph and rendering -> logits of visibility; None where the mask comes from elsewhere.
        recognition: F of the perceptual terms; None where no objective has one. Not in the checkpoint.
        objectives: what is minimised in each phase that the schedule has.
        schedule: which phase it is, by the clock.
        learning: optimizer, learning rate and clipping of the network of each phase.
        visibility: where the system's mask comes from; the segmenter by default.
        teacher: where the mask comes from behind which the encoder learns; None: it is the system's.
        scores: what is measured on the validation images; None for nothing.
        description: a checkpoint's entry `occfit`: `describe_system`'s plain containers.
    """

    def __init__(
        self,
        face_renderer: FaceRenderer,
        encoder: Encoder,
        segmenter: UNet | None,
        recognition: RecognitionNetwork | None,
        objectives: Mapping[Phase, Objective],
        schedule: Schedule,
        learning: Mapping[Phase, Learning],
        visibility: VisibilitySource | None = None,
        teacher: VisibilitySource | None = None,
        scores: Scores | None = None,
        description: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.automatic_optimization = False
        self.face_renderer = face_renderer
        self.encoder = encoder
        self.segmenter = segmenter
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.recognition = recognition
        self.objectives = nn.ModuleDict({str(phase): how for phase, how in objectives.items()})
        self.schedule = schedule
        self.learning = {Phase(phase): how for phase, how in learning.items()}
        self.visibility = visibility or PredictedVisibility()
        self.teacher = teacher
        self.scores = scores
        self.description = dict(description or {})
        self.data_position = 0
        self.bad_batches = 0
        self._bad_in_a_row = 0
        self._generators: dict[str, Tensor] | None = None

    def training_step(self, batch: FaceBatch, batch_index: int) -> dict[str, Tensor] | None:
        """Returns, for callbacks, what `count_pixels` counts; nothing of a bad batch."""
        phase = self.schedule.phase_at(self.global_step)
        statistics = self._begin(phase)
        evidence = self.explain(batch, phase)
        terms = self.objective(phase)(evidence)
        norm = self._step(phase, evidence, terms)
        self._end(phase, statistics, is_bad=norm is None)
        if norm is None:
            return None
        self._log_training(phase, evidence, terms, norm)
        return count_pixels(evidence.visibility, evidence.face_region)

    def explain(self, batch: FaceBatch, phase: Phase | None = None) -> Evidence:
        """Encoder, renderer and mask, with gradients only where the network of `phase` learns from them."""
        encoder_learns = phase is Phase.RECONSTRUCTION
        mask_learns = phase is Phase.SEGMENTATION
        mask_teaches = encoder_learns and self.objective(phase).learns_through_mask
        with torch.set_grad_enabled(encoder_learns):
            params = self.encoder(batch.image)
            rendering = self.face_renderer(_drawable(params))
        with torch.set_grad_enabled(mask_learns or mask_teaches):
            visibility, logits = self.visibility(batch, rendering, self.segmenter)
            teaching = None if self.teacher is None else self.teacher.teach(batch, rendering, visibility)
        model = self.face_renderer.face_model
        return Evidence(batch, params, rendering, visibility, logits, self.recognition, model, teaching)

    def network(self, phase: Phase) -> nn.Module:
        """The network that learns in a phase."""
        network = self.encoder if phase is Phase.RECONSTRUCTION else self.segmenter
        assert network is not None, f"no network learns in {phase}"
        return network

    @property
    def has_idle_network(self) -> bool:
        """Whether there are steps in which a network has no gradient."""
        return self.segmenter is not None

    def objective(self, phase: Phase) -> Objective:
        return self.objectives[phase]  # type: ignore[return-value]

    @property
    def needs_labels(self) -> bool:
        """Whether training looks at true masks."""
        is_labelled = self.teacher is not None and self.teacher.needs_labels
        return is_labelled or any(self.objective(phase).needs_labels for phase in self.learning)

    def configure_optimizers(self) -> list[Optimizer]:
        return [how.optimizer(self.network(phase).parameters()) for phase, how in self.learning.items()]

    def optimizer(self, phase: Phase) -> LightningOptimizer:
        optimizers = self.optimizers()
        every = optimizers if isinstance(optimizers, list) else [optimizers]
        return every[list(self.learning).index(phase)]  # type: ignore[return-value]

    def _begin(self, phase: Phase) -> list[Tensor]:
        """Sets the phase's network and objective to learn, the rest to evaluate; returns copies of their
        buffers.

        Torch's generators go on where the last step left them, whatever validation, loaders or a resume did.
        """
        self.eval()
        self.network(phase).train()
        self.objective(phase).train()
        self.toggle_optimizer(self.optimizer(phase))
        if self._generators is not None:
            restore_generators(self._generators)
        return [buffer.clone() for buffer in self._statistics(phase)]

    def _statistics(self, phase: Phase) -> list[Tensor]:
        return [*self.network(phase).buffers(), *self.objective(phase).buffers()]

    def _step(self, phase: Phase, evidence: Evidence, terms: Terms) -> float | None:
        """Backward, clip, step. Returns the gradient's norm; None for a bad batch, which moves no weight.

        Backward runs outside of autocast, in the types of the forward pass: the renderer's stays float32.
        """
        optimizer, how = self.optimizer(phase), self.learning[phase]
        if not self._all_agree(_is_drawable(evidence.params).all() & terms.total.isfinite()):
            return None
        with torch.autocast(self.device.type, enabled=False):
            self.manual_backward(terms.total)
        limit = torch.inf if how.clip is None else how.clip
        norm = nn.utils.clip_grad_norm_(self.network(phase).parameters(), limit)
        if not self._all_agree(norm.isfinite()):
            return None
        how.set_rate(optimizer.optimizer, self.global_step)
        optimizer.step()
        return float(norm)

    def _all_agree(self, decision: Bool[Tensor, ""]) -> bool:
        return self.trainer.strategy.reduce_boolean_decision(bool(decision), all=True)

    def _end(self, phase: Phase, statistics: list[Tensor], is_bad: bool) -> None:
        """Moves on in the data, whatever became of the batch.

        Raises:
            OccfitError: too many bad batches in a row.
        """
        optimizer = self.optimizer(phase)
        optimizer.zero_grad()
        self.untoggle_optimizer(optimizer)
        self._generators = generator_states()
        self.data_position += 1
        self._bad_in_a_row = self._bad_in_a_row + 1 if is_bad else 0
        if not is_bad:
            return
        self.bad_batches += 1
        for buffer, before in zip(self._statistics(phase), statistics, strict=True):
            buffer.copy_(before)
        if self._bad_in_a_row >= BAD_BATCHES_IN_A_ROW:
            raise OccfitError(
                f"{self._bad_in_a_row} batches in a row gave a loss or a gradient that isn't finite",
                f"step {self.global_step}",
                "Lower the learning rate or clip the gradient (optimizer.*.*.clip)",
            )

    def _log_training(self, phase: Phase, evidence: Evidence, terms: Terms, norm: float) -> None:
        """Every `log_every_n_steps` of the clock: each term's batch mean before its weight, mask and rate."""
        if self.global_step % self.trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        values = {**terms.named, "total": terms.total.detach(), **self.objective(phase).quantities()}
        means = self._reduce(torch.stack([value.float() for value in values.values()]), "mean")
        sums = self._reduce(mask_sums(evidence.visibility, evidence.face_region), "sum")
        values = dict(zip(values, means, strict=True)) | describe_mask(sums)
        metrics = {f"train/{phase}/{name}": float(value) for name, value in values.items()}
        metrics[f"optimizer/{phase}/rate"] = self.optimizer(phase).optimizer.param_groups[0]["lr"]
        metrics[f"optimizer/{phase}/gradient"] = norm
        metrics["optimizer/bad_batches"] = self.bad_batches
        self._log(metrics)

    def _reduce(self, values: Float[Tensor, " n"], how: Literal["mean", "sum"]) -> Float[Tensor, " n"]:
        """Over the processes, which all have to ask."""
        return self.trainer.strategy.reduce(values, reduce_op=how)  # type: ignore[return-value]

    def _log(self, metrics: Mapping[str, float]) -> None:
        for logger in self.loggers:
            logger.log_metrics(dict(metrics), step=self.global_step)

    def on_validation_epoch_start(self) -> None:
        self._validation = defaultdict(list)
        if self.scores is not None:
            self.scores.reset()

    def validation_step(self, batch: FaceBatch, batch_index: int) -> Evidence:
        """Scores and objectives of a batch; returns what was seen, for callbacks to draw."""
        evidence = self.explain(batch)
        if self.scores is not None:
            self.scores.update(batch, evidence.rendering, evidence.visibility)
        own = ~is_given_again(batch.index, self.trainer.global_rank, self.trainer.world_size)
        count = int(own.sum())
        judged = evidence if count in (0, len(batch)) else evidence[own]
        for phase, objective in self.objectives.items():
            terms = objective(judged)
            for name, value in {**terms.named, "total": terms.total}.items():
                self._validation[f"val/{phase}/{name}"].append((value, count))
        return evidence

    def on_validation_epoch_end(self) -> None:
        """Logs the scores, `val/occlusion/f1`, and each objective's terms, `val/segmentation/neighbour`."""
        if self.trainer.sanity_checking:
            return
        scores = {} if self.scores is None else self.scores.compute()
        metrics = {score_key(name): float(score.mean) for name, score in scores.items()}
        for name, parts in self._validation.items():
            total = torch.stack([value * count for value, count in parts]).sum().float()
            total, count = self._reduce(
                torch.stack([total, total.new_tensor(sum(n for _, n in parts))]), "sum"
            )
            metrics[name] = float(total / count)
        self._log(metrics)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the description and what an exact resume needs; leaves out the frozen recognition network."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {k: v for k, v in state.items() if not k.startswith(FROZEN)}
        generators, *others = states_of_all(self._generators or generator_states())
        checkpoint["occfit"] = self.description | {
            "data_position": self.data_position,
            "bad_batches": self.bad_batches,
            "generators": generators,
            "generators_of_others": others,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        frozen = {key: value for key, value in self.state_dict().items() if key.startswith(FROZEN)}
        checkpoint["state_dict"] = checkpoint["state_dict"] | frozen
        saved = checkpoint["occfit"]
        self.data_position = saved["data_position"]
        self.bad_batches = saved["bad_batches"]
        states = [saved["generators"], *saved.get("generators_of_others", [])]
        self._generators = states[self.trainer.global_rank]


def _is_drawable(params: FaceParams) -> Bool[Tensor, " b"]:
    """Which samples have finite and imaginable parameters."""
    return params.to_vector().detach().abs().amax(dim=1) < LARGEST_PARAMETER


def _drawable(params: FaceParams) -> FaceParams:
    """The parameters, with the mean face's in place of those that can't be drawn.

    So a bad batch goes the same way as those of other processes, up to the decision that all take together.
    """
    good = _is_drawable(params).unsqueeze(1)
    return params if good.all() else params._map(lambda values: torch.where(good, values, 0))
