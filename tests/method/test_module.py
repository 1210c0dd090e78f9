"""The alternation: who learns when, what a bad batch does, what is logged and saved."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor, nn

from occfit.errors import OccfitError
from occfit.method.module import BAD_BATCHES_IN_A_ROW, OccFit
from occfit.method.objectives import ReconstructionObjective
from occfit.method.schedule import ConstantPhase, Learning, Phase
from occfit.method.visibility import LabelledVisibility, WholeFace

pytestmark = pytest.mark.unit


def weights(network: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def have_changed(network: nn.Module, before: list[Tensor]) -> bool:
    return any(not torch.equal(p, b) for p, b in zip(network.parameters(), before, strict=True))


class Recorder(DummyLogger):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__()
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        assert step is not None
        self.rows.append((step, dict(metrics)))


class Spy(OccFit):
    """Notes, per batch, the clock, who was in training mode, and who changed."""

    def training_step(self, batch, batch_index):
        assert self.segmenter is not None
        before = {"encoder": weights(self.encoder), "segmenter": weights(self.segmenter)}
        clock = self.global_step
        original = self.explain

        def explain(batch, phase=None):
            assert self.segmenter is not None
            self.__dict__["modes"] = (self.encoder.training, self.segmenter.training)
            return original(batch, phase)

        self.explain = explain
        super().training_step(batch, batch_index)
        self.explain = original
        changed = {name for name in before if have_changed(getattr(self, name), before[name])}
        self.__dict__.setdefault("seen", []).append((clock, self.global_step, self.modes, changed))


def test_each_phase_trains_one_network_and_every_batch_moves_the_clock_by_one(make_module, fit):
    module = make_module()
    module.__class__ = Spy
    fit(module, steps=11)
    for step, (clock, after, modes, changed) in enumerate(module.seen):
        is_segmentation = step % 5 < 2
        assert (clock, after) == (step, step + 1)
        assert modes == (not is_segmentation, is_segmentation)
        assert changed == {"segmenter" if is_segmentation else "encoder"}


@pytest.mark.parametrize("stage", ["initialise", "warm_up"])
def test_the_other_stages_train_one_network(make_module, fit, stage):
    module = make_module(stage)
    networks = {"encoder": module.encoder} | ({"segmenter": module.segmenter} if module.segmenter else {})
    before = {name: weights(network) for name, network in networks.items()}
    fit(module, steps=3)
    changed = {name for name in before if have_changed(networks[name], before[name])}
    assert changed == {"encoder" if stage == "initialise" else "segmenter"}


def test_training_lowers_the_loss(make_module, fit, faces):
    module = make_module("initialise")
    objective = module.objective(Phase.RECONSTRUCTION)
    before = float(objective(module.explain(faces)).total)
    fit(module, steps=30)
    assert float(objective(module.explain(faces)).total) < 0.9 * before


def test_the_idle_network_keeps_no_graph(make_module, faces):
    module = make_module()
    segmentation = module.explain(faces[:2], Phase.SEGMENTATION)
    assert not segmentation.rendering.image.requires_grad
    assert segmentation.visibility.requires_grad
    reconstruction = module.explain(faces[:2], Phase.RECONSTRUCTION)
    assert reconstruction.rendering.image.requires_grad
    assert not module.explain(faces[:2]).visibility.requires_grad


def test_a_detached_mask_costs_no_graph_of_the_segmenter(make_module, faces):
    objective = ReconstructionObjective({"pixel": 1.0}, mask="detached")
    module = make_module(objectives={Phase.RECONSTRUCTION: objective})
    assert not module.explain(faces[:2], Phase.RECONSTRUCTION).visibility.requires_grad


def test_the_area_terms_gradient_arrives_through_the_segmenter(make_module, faces):
    """`paper` and `focus` rely on it: the area term reaches the encoder in no other way."""
    norms = {}
    for mask in ("soft", "detached", "hard"):
        objective = ReconstructionObjective({"area": 0.5}, mask=mask)
        module = make_module(objectives={Phase.RECONSTRUCTION: objective})
        terms = objective(module.explain(faces[:4], Phase.RECONSTRUCTION))
        if terms.total.requires_grad:
            terms.total.backward()
        gradient = module.encoder.head.weight.grad
        norms[mask] = 0.0 if gradient is None else float(gradient.norm())
    assert norms["soft"] > 1e-6
    assert norms["detached"] == norms["hard"] == 0


@pytest.mark.parametrize("bad", [1, 3])
def test_a_bad_batch_is_as_if_it_had_not_been(make_module, fit, bad):
    """Except for the data's position: neither weights nor statistics nor clock nor rates know of it."""

    def spoil(batch, number):
        if number != bad:
            return batch(number)
        image = batch(number).image.clone()
        image[1, 0, 3, 3] = torch.nan
        return replace(batch(number), image=image)

    def leave_out(batch, number):
        return batch(number if number < bad else number + 1)

    spoilt, clean = make_module(), make_module()
    fit(spoilt, steps=6, choose=spoil)
    fit(clean, steps=6, choose=leave_out)
    assert (spoilt.global_step, spoilt.data_position, spoilt.bad_batches) == (6, 7, 1)
    assert (clean.global_step, clean.data_position, clean.bad_batches) == (6, 6, 0)
    for key, value in clean.state_dict().items():
        assert torch.equal(value, spoilt.state_dict()[key]), key


def test_a_broken_encoder_is_a_bad_batch_too(make_module, fit):
    """Parameters that can't be drawn don't reach the renderer, which would raise."""
    module = make_module()
    with torch.no_grad():
        module.encoder.head.bias[5] = torch.inf
    with pytest.raises(OccfitError, match="20 batches in a row"):
        fit(module, steps=3)
    assert module.global_step == 0
    assert module.bad_batches == BAD_BATCHES_IN_A_ROW


def test_gradients_that_arent_finite_are_skipped(make_module, fit):
    module = make_module()

    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * torch.nan

    original = module.explain

    def explain(batch, phase=None):
        evidence = original(batch, phase)
        is_broken = module.data_position == 1 and torch.is_grad_enabled()
        return replace(evidence, visibility=Broken.apply(evidence.visibility)) if is_broken else evidence

    module.explain = explain
    fit(module, steps=2)
    assert (module.bad_batches, module.global_step, module.data_position) == (1, 2, 3)
    assert all(p.isfinite().all() for p in module.parameters())


def test_backward_runs_outside_of_autocast(make_module, fit):
    """Else the renderer's matrix products, float32 on the way forward, would be rounded to bf16 on the way back."""
    module, seen = make_module("initialise"), []
    weight = next(module.encoder.parameters())
    weight.register_hook(lambda gradient: seen.append(torch.is_autocast_enabled("cpu")))
    fit(module, 2, precision="bf16-mixed")
    assert seen == [False, False]


def test_clipping_bounds_the_gradient(make_module, fit):
    norms = []

    class Watching(torch.optim.SGD):
        def step(self, closure=None):
            parameters = [p for group in self.param_groups for p in group["params"]]
            norms.append(float(nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])))
            return super().step(closure)

    learning = Learning(lambda parameters: Watching(parameters, lr=1e-3), clip=1e-3)
    fit(make_module(learning=dict.fromkeys(Phase, learning)), steps=3)
    assert norms == pytest.approx([1e-3] * 3, rel=1e-2)


def test_training_is_logged_by_phase_over_the_clock(make_module, fit):
    recorder = Recorder()
    fit(make_module(), steps=6, logger=recorder, log_every_n_steps=1)
    steps = [step for step, _ in recorder.rows]
    assert steps == [1, 2, 3, 4, 5, 6]
    row = recorder.rows[0][1]
    for key in ("neighbour", "total", "price", "visibility/mean", "visibility/bin_9"):
        assert math.isfinite(row[f"train/segmentation/{key}"]), key
    assert sum(row[f"train/segmentation/visibility/bin_{i}"] for i in range(10)) == pytest.approx(1)
    assert "train/reconstruction/landmark" in recorder.rows[2][1]
    assert recorder.rows[2][1]["optimizer/bad_batches"] == 0


class CountingScores:
    """Stands in for `FaceScores`."""

    def __init__(self):
        self.faces = 0

    def reset(self) -> None:
        self.faces = 0

    def update(self, batch, rendering, visibility) -> None:
        self.faces += len(batch)

    def compute(self):
        class Mean:
            mean = float(self.faces)

        return {"occlusion_f1": Mean, "f1": Mean, "rmse": Mean}


def test_validation_is_logged_and_changes_nothing(make_module, fit):
    recorder, watched, unwatched = Recorder(), make_module(scores=CountingScores()), make_module()
    options = {"limit_val_batches": None, "val_check_interval": 2, "check_val_every_n_epoch": None}
    fit(watched, steps=4, logger=recorder, log_every_n_steps=1000, **options)
    fit(unwatched, steps=4)
    (_, row), *_ = recorder.rows
    assert [step for step, _ in recorder.rows] == [2, 4]
    assert row["val/occlusion/f1"] == row["val/visible/f1"] == row["val/reconstruction/rmse"] == 10
    assert {"val/segmentation/neighbour", "val/reconstruction/total"} <= row.keys()
    for key, value in unwatched.state_dict().items():
        assert torch.equal(value, watched.state_dict()[key]), key


def test_the_checkpoint_is_plain_and_leaves_the_recognition_network_out(make_module, fit, tmp_path):
    description = {"format": 1, "config": {"seed": 0, "list": [1, "a"]}}
    trainer = fit(make_module(description=description), steps=3)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["occfit"]["config"] == description["config"]
    assert checkpoint["occfit"]["data_position"] == 3
    prefixes = {key.split(".")[0] for key in checkpoint["state_dict"]}
    assert prefixes == {"encoder", "segmenter", "objectives"}


@pytest.mark.parametrize("teacher", [WholeFace(), LabelledVisibility()])
def test_a_system_without_a_segmenter_learns_behind_its_teachers_mask(make_module, fit, faces, teacher):
    module = make_module(
        "initialise",
        objectives={
            Phase.RECONSTRUCTION: ReconstructionObjective({"pixel": 1.0, "landmark": 0.01}, mask="hard")
        },
        schedule=ConstantPhase(Phase.RECONSTRUCTION),
        visibility=teacher,
        teacher=teacher,
    )
    assert module.needs_labels == isinstance(teacher, LabelledVisibility)
    fit(module, steps=2)
    assert module.global_step == 2
    evidence = module.explain(faces[:2])
    assert (evidence.visibility == 1).all()
    expected = faces[:2].visibility if module.needs_labels else torch.ones_like(evidence.visibility)
    assert torch.equal(evidence.behind("hard").visibility, expected)


def test_a_labelled_mask_needs_labels(make_module, faces):
    module = make_module("alternate", teacher=LabelledVisibility())
    with pytest.raises(OccfitError, match="no true masks"):
        module.explain(replace(faces[:2], visibility=None))


def test_the_segmenter_is_judged_by_its_own_mask_whatever_teaches_the_encoder(make_module, faces):
    module = make_module("alternate", teacher=WholeFace())
    evidence = module.explain(faces[:2])
    segmentation, reconstruction = (
        module.objective(phase) for phase in (Phase.SEGMENTATION, Phase.RECONSTRUCTION)
    )
    assert torch.equal(segmentation.seen(evidence).visibility, evidence.visibility)
    assert (reconstruction.seen(evidence).visibility == 1).all()
    assert not (evidence.visibility == 1).all()
