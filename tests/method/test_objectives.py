"""Weights, terms and their sum; and whether a mask collapses."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
import yaml
from calls import watch_calls
from tiny_world import TinyRecognition, plain_evidence
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from occfit.errors import OccfitError
from occfit.face_model import builtin_face_model
from occfit.face_model.regions import skin_vertices
from occfit.method import losses
from occfit.method.evidence import Evidence
from occfit.method.objectives import (
    PerceptualTerm,
    PixelTerm,
    ReconstructionObjective,
    RobustInitialisationObjective,
    SegmentationObjective,
    SegmentationWeights,
    WarmUpObjective,
)
from occfit.method.prices import GREY_LEVEL, ResidualPrice, typical_residual
from occfit.method.schedule import Phase
from occfit.runs.config import compose, conf_dir, instantiate
from occfit.types import FaceParams

pytestmark = pytest.mark.unit

PROPOSED = ["neighbour", "perceptual_exclusion", "area", "perceptual_inclusion", "binary"]


def shipped(name: str) -> dict[str, Any]:
    return yaml.safe_load((conf_dir() / "objective" / f"{name}.yaml").read_text())


def test_papers_ten_weights_and_terms():
    config = shipped("paper")
    segmentation, reconstruction = (instantiate(config[part]) for part in ("segmentation", "reconstruction"))
    assert {term: segmentation.weights[term] for term in segmentation.terms} == {
        "neighbour": 15,  # a
        "perceptual_exclusion": 3,  # b
        "area": 0.5,  # c
        "perceptual_inclusion": 2.5,  # d
        "binary": 10,  # e
    }
    assert {term: reconstruction.weights[term] for term in reconstruction.terms} == {
        "pixel": 4,  # f
        "perceptual": 0.5,  # g
        "area": 0.5,  # h
        "landmark": 0.01,  # i
        "prior": 0.067,  # j
    }
    assert config["initialisation"]["threshold"] == 0.17
    assert reconstruction.mask == "soft"


def test_focus_has_the_published_codes_weights():
    config = shipped("focus")
    reconstruction = config["reconstruction"]
    assert {term: reconstruction["weights"][term] for term in reconstruction["terms"]} == {
        "pixel": 0.5,
        "perceptual": 0.25,
        "area": 0.06,
        "landmark": 5e-4,
        "prior": 0.1,
    }
    assert [config["segmentation"]["weights"][term] for term in PROPOSED] == [15, 3, 0.5, 0.25, 10]
    assert config["initialisation"]["weights"] == {
        "robust": 0.5,
        "perceptual": 0.25,
        "landmark": 5e-4,
        "prior": 0.1,
    }
    assert config["initialisation"]["sigma"] == 0.043
    assert config["initialisation"]["threshold"] == pytest.approx((3 * 0.043) ** 2)
    assert config["reconstruction"]["mask"] == "soft"


def test_one_option_of_a_term_can_be_overridden():
    overrides = ["preset=photo", "output=/nowhere", "objective.segmentation.pixel.normalisation=image"]
    found = instantiate(compose(overrides).objective.segmentation)
    assert found.pixel_term == PixelTerm(distance="norm", mask_power=1, normalisation="image")
    assert found.perceptual_term == PerceptualTerm(layers="maps", distance="cosine")
    assert found.window == 5


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("objective.reconstruction.prior.over=faces", "'objective.reconstruction.prior.over' is 'faces'"),
        ("+objective.segmentation.perceptual.background=black", "Unknown key.*perceptual.background"),
        (
            "objective.segmentation.pixel.mask_power=half",
            "'objective.segmentation.pixel.mask_power' is 'half'",
        ),
    ],
)
def test_a_wrong_option_of_a_term_is_refused(override, message):
    with pytest.raises(OccfitError, match=message):
        compose(["preset=smoke", "output=/nowhere", override])


@pytest.mark.parametrize("name", ["paper", "focus", "balanced"])
def test_every_shipped_objective_judges(make_module, faces, name):
    """All their terms are finite, and their gradients reach what they shall teach."""
    config = shipped(name)
    module = make_module(objectives={phase: instantiate(config[str(phase)]) for phase in Phase})
    for phase in Phase:
        terms = module.objective(phase)(module.explain(faces[:4], phase))
        assert set(terms.named) == set(module.objective(phase).terms)
        terms.total.backward()
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in module.network(phase).parameters())
    initialisation = instantiate(config["initialisation"])
    assert initialisation(module.explain(faces[:4], Phase.RECONSTRUCTION)).total.isfinite()


@pytest.fixture
def evidence(generator) -> Evidence:
    image, rendered = torch.rand(2, 3, 3, 16, 16, generator=generator)
    region = torch.zeros(3, 1, 16, 16)
    region[..., 2:14, 3:13] = 1
    visibility = torch.rand(3, 1, 16, 16, generator=generator)
    return plain_evidence(image, rendered * region, region, visibility, torch.logit(visibility))


def test_the_total_is_the_weighted_sum_of_the_batch_means(evidence):
    objective = SegmentationObjective({"pixel": 15.0, "area": 0.5, "binary": 10.0})
    terms = objective(evidence)
    pictures = (evidence.image, evidence.rendering.image, evidence.face_region, evidence.visibility)
    expected = {
        "pixel": losses.pixel_loss(*pictures).mean(),
        "area": losses.area_loss(*pictures[2:]).mean(),
        "binary": losses.binary_loss(*pictures[2:]).mean(),
    }
    torch.testing.assert_close(terms.named, expected)
    weighted = 15 * expected["pixel"] + 0.5 * expected["area"] + 10 * expected["binary"]
    torch.testing.assert_close(terms.total, weighted)


def test_a_term_that_isnt_listed_isnt_computed(evidence):
    """Without a recognition network, a perceptual term would raise."""
    weights = SegmentationWeights(pixel=1.0, perceptual_exclusion=3.0, perceptual_inclusion=2.5, area=0.5)
    terms = SegmentationObjective(weights, terms=["pixel", "area"])(evidence)
    assert list(terms.named) == ["pixel", "area"]
    with pytest.raises(OccfitError, match="recognition network"):
        SegmentationObjective(weights)(evidence)


def test_the_supervised_term_is_the_cross_entropy_against_the_truth(evidence):
    truth = (torch.arange(16.0) < 8).float().expand(3, 1, 16, 16)
    seen = replace(evidence, batch=replace(evidence.batch, visibility=truth))
    entropy = -torch.where(truth > 0, evidence.visibility.log(), (1 - evidence.visibility).log())
    region = evidence.face_region
    expected = ((entropy * region).sum((1, 2, 3)) / region.sum((1, 2, 3))).mean()
    objective = SegmentationObjective({"supervised": 1.0})
    torch.testing.assert_close(objective(seen).total, expected)
    with pytest.raises(OccfitError, match="true masks"):
        objective(replace(evidence, batch=replace(evidence.batch, visibility=None)))


def test_a_models_skin_is_found_once(evidence):
    """And not confused with another model's."""
    models = [copy.deepcopy(builtin_face_model("coarse")) for _ in range(2)]
    models[1].mean_shape *= 0.5
    objective = ReconstructionObjective({"albedo_variance": 1.0})
    params = FaceParams.from_vector(torch.linspace(-1, 1, 257).expand(3, -1))
    with watch_calls(skin_vertices) as calls:
        for model in (*models, *models):
            albedo = model.albedo(params.albedo)
            found = objective(replace(evidence, params=params, face_model=model)).total
            expected = losses.albedo_variance_loss(albedo, skin_vertices(model)).mean()
            torch.testing.assert_close(found, expected)
    assert len(calls) == 4 + len(models)


def test_wrong_terms_are_refused():
    with pytest.raises(OccfitError, match="no term 'neighbor'"):
        SegmentationObjective({"neighbor": 1.0})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(OccfitError, match="'area' has no weight"):
        SegmentationObjective({"pixel": 1.0}, terms=["pixel", "area"])
    with pytest.raises(OccfitError, match="comes from elsewhere"):
        WarmUpObjective()(plain_evidence(*torch.zeros(2, 1, 3, 8, 8), *torch.ones(2, 1, 1, 8, 8)))


def test_warm_up_learns_equation_9s_mask(evidence):
    objective = WarmUpObjective(0.3)
    labels = losses.robust_mask(evidence.image, evidence.rendering.image, evidence.face_region, 0.3)
    sure = plain_evidence(
        evidence.image, evidence.rendering.image, evidence.face_region, labels, 40 * (labels - 0.5)
    )
    assert objective(sure).total < 1e-6 < objective(evidence).total


def test_backgrounds_of_the_rendering(evidence):
    inside = evidence.face_region.expand_as(evidence.image) > 0
    black, target = evidence.rendering_on("black"), evidence.rendering_on("target")
    assert torch.equal(black, evidence.rendering.image)
    assert torch.equal(target[~inside], evidence.image[~inside])
    assert torch.equal(target[inside], evidence.rendering.image[inside])
    blocked = evidence.behind("hard").rendering_on("occluded_target")
    hidden = (evidence.visibility <= 0.5).expand_as(evidence.image)
    assert torch.equal(blocked[hidden], evidence.image[hidden])
    assert torch.equal(blocked[~hidden & inside], evidence.rendering.image[~hidden & inside])


def test_equation_4s_variants_compare_with_different_pictures(evidence):
    recognition = TinyRecognition()
    seen = Evidence(
        evidence.batch, evidence.params, evidence.rendering, evidence.visibility, None, recognition
    )
    prose, printed = (
        SegmentationObjective({"perceptual_inclusion": 1.0}, inclusion=variant)(seen).total
        for variant in ("prose", "printed")
    )
    visible = recognition(evidence.image * evidence.visible_face, evidence.batch.landmarks).identity
    target = recognition(evidence.image, evidence.batch.landmarks).identity
    torch.testing.assert_close(prose, (target - visible).square().sum(1).mean())
    assert not torch.isclose(prose, printed)


# Collapse. A toy segmenter: one free logit a pixel, trained by gradient descent on an objective's image terms,
# for a face (60 % of the region's width) beside an occluder, from a mask that knows nothing.


def toy(residual: float, spread: float = 0.5, occluder: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Target, rendering, region and true mask: the face's squared residual is `residual` on average."""
    generator = torch.Generator().manual_seed(0)
    region = torch.zeros(2, 1, 24, 24)
    region[..., 2:22, 2:22] = 1
    visible = region.clone()
    visible[..., 14:] = 0
    sizes = (residual / 3) ** 0.5 * (1 + spread * torch.randn(2, 1, 24, 24, generator=generator))
    rendered = 0.2 * torch.ones(2, 3, 24, 24)
    image = rendered + torch.where(visible > 0, sizes, (occluder / 3) ** 0.5)
    return image, rendered, region, visible


def learn_mask(objective: SegmentationObjective, image, rendered, region, steps: int = 150) -> Tensor:
    """The mask that the objective teaches, and no more than that: no data, no network, no prior."""
    objective.train()
    logits = torch.zeros_like(region, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.2)
    for _ in range(steps):
        optimizer.zero_grad()
        evidence = plain_evidence(image, rendered, region, logits.sigmoid(), logits)
        objective(evidence).total.backward()
        optimizer.step()
    return logits.detach().sigmoid()


def image_terms(name: str, residual_term: str = "pixel") -> SegmentationObjective:
    """A shipped objective without its perceptual terms: the literal `baseline` or `neighbour`."""
    node = shipped(name)["segmentation"] | {"terms": [residual_term, "area", "binary"]}
    return instantiate(node)


def share(mask: Tensor, region: Tensor) -> float:
    return float((mask * region).sum() / region.sum())


POOR, GOOD, PERFECT = 0.2, 0.003, 1e-7


@pytest.mark.parametrize("term", ["pixel", "neighbour"])
@pytest.mark.parametrize("residual", [POOR, GOOD, PERFECT])
def test_balanced_finds_the_face_whatever_the_reconstruction(residual, term):
    """A poor fit doesn't turn the mask black, a perfect one turns neither black nor white."""
    image, rendered, region, visible = toy(residual, occluder=max(1.0, 15 * residual))
    mask = learn_mask(image_terms("balanced", term), image, rendered, region)
    assert share(mask, visible) > 0.8
    assert share(mask, region - visible) < 0.1


@pytest.mark.parametrize("residual", [POOR, GOOD, PERFECT])
def test_balanced_calls_everything_visible_where_nothing_is_hidden(residual):
    image, rendered, region, _ = toy(residual, spread=0.2, occluder=residual)
    mask = learn_mask(image_terms("balanced"), image, rendered, region)
    assert share(mask, region) > 0.95


def test_balanced_recovers_from_a_mask_that_is_almost_black():
    """A bad moment isn't the end: the price doesn't follow a shrinking mask down."""
    image, rendered, region, visible = toy(GOOD)
    objective = image_terms("balanced").train()
    dark = torch.full_like(region, 0.01)
    best = losses.pixel_residual(image, rendered).flatten(1).argmin(1)
    dark.flatten(1)[torch.arange(2), best] = 1.0
    for _ in range(200):
        objective(plain_evidence(image, rendered, region, dark))
    mask = learn_mask(objective, image, rendered, region)
    assert share(mask, visible) > 0.8


def test_the_papers_weights_collapse_on_a_poor_reconstruction():
    """What `balanced` is for: a squared residual above c / a = 1 / 30 makes every pixel not worth including."""
    image, rendered, region, visible = toy(POOR)
    mask = learn_mask(image_terms("paper"), image, rendered, region)
    assert share(mask, visible) < 0.2


def test_the_papers_weights_work_on_a_good_reconstruction():
    image, rendered, region, visible = toy(GOOD)
    mask = learn_mask(image_terms("paper"), image, rendered, region)
    assert share(mask, visible) > 0.8
    assert share(mask, region - visible) < 0.1


def test_printed_sums_collapse_even_on_a_good_reconstruction():
    """Why the paper's sums are read as means."""
    image, rendered, region, visible = toy(GOOD)
    node = shipped("paper")["segmentation"] | {"terms": ["pixel", "area", "binary"]}
    node["pixel"]["normalisation"] = "sum"
    mask = learn_mask(instantiate(node), image, rendered, region)
    assert share(mask, visible) < 0.2


def test_balanced_means_the_same_at_every_size():
    """The price of a pixel and the total don't know how large the picture is."""
    totals = []
    for scale in (1, 4):
        image, rendered, region, visible = (
            p.repeat_interleave(scale, 2).repeat_interleave(scale, 3) for p in toy(GOOD)
        )
        totals.append(image_terms("balanced").train()(plain_evidence(image, rendered, region, visible)).total)
    torch.testing.assert_close(totals[0], totals[1])


def test_the_price_is_a_running_median_of_the_visible_faces_residual():
    price = ResidualPrice(factor=2.5, decay=0.5, floor=0.0).train()
    region = visible = torch.ones(1, 1, 1, 5)
    first = torch.tensor([1.0, 2, 3, 4, 100]).view(1, 1, 1, 5)
    price.observe(first, region, visible)
    assert price() == 7.5
    price.observe(first + 2, region, visible)
    assert price() == 2.5 * (3 + 5) / 2
    price.observe(first * torch.nan, region, visible)
    price.observe(first, torch.zeros_like(region), visible)
    price.eval()
    price.observe(100 * first, region, visible)
    assert price() == 2.5 * (3 + 5) / 2
    assert price.count == 2


def test_the_prices_estimate_has_a_floor_that_the_mask_cant_move():
    residual = torch.arange(1.0, 101.0).view(1, 1, 10, 10)
    region = torch.ones_like(residual)
    only_the_best = (residual <= 3).float()
    assert typical_residual(residual, region, only_the_best, floor=0.25) == pytest.approx(25.75)
    assert typical_residual(residual, region, region, floor=0.25) == 50
    assert typical_residual(residual, region, 0 * region, floor=0.25) == pytest.approx(25.75)


def test_an_odd_image_has_no_vote():
    residual = torch.ones(3, 1, 4, 4)
    residual[0] = 50
    region = torch.ones_like(residual)
    assert typical_residual(residual, region, region, 0.25) == 1


def image_by_image(residual: Tensor, region: Tensor, visibility: Tensor, floor: float) -> Tensor:
    """The price's estimate as its words have it, with torch's own quantile and median of each image's pixels."""
    estimates = []
    for values, inside, mask in zip(residual, region == 1, visibility, strict=True):
        if inside.any():
            estimates.append(values[inside].quantile(floor))
            visible = values[inside & (mask > 0.5)]
            if visible.numel():
                estimates[-1] = torch.maximum(estimates[-1], visible.median())
    return torch.stack(estimates).median() if estimates else torch.tensor(torch.nan)


def is_same(found: Tensor, expected: Tensor) -> bool:
    """To the last bit; NaN is NaN."""
    return found.shape == expected.shape and torch.equal(found.nan_to_num(-1), expected.nan_to_num(-1))


@pytest.mark.parametrize("images", [1, 2, 7, 16, 33])
@pytest.mark.parametrize("floor", [0.0, 0.25, 0.4, 1.0])
def test_the_prices_estimate_is_to_the_bit_that_of_one_image_after_another(generator, images, floor):
    """Regions and visible parts of every size, from none to all, with and without ties."""
    for levels in (4, 2**20):
        residual = (torch.rand(images, 1, 8, 9, generator=generator) ** 3 * levels).round() / levels
        region, visible = torch.rand(2, images, 1, 8, 9, generator=generator)
        shares = torch.linspace(-0.2, 1.2, images).view(-1, 1, 1, 1)
        region = (region < shares.roll(images // 2, dims=0)).float()
        mask = (visible < shares.flip(0)).float()
        found = typical_residual(residual, region, mask, floor)
        assert is_same(found, image_by_image(residual, region, mask, floor))


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_the_estimate_of_a_few_pixels(generator, pixels):
    residual = torch.rand(4, 1, 5, 5, generator=generator)
    region, nowhere = torch.zeros(2, 4, 1, 5, 5)
    region[:3].flatten(1)[:, 7 : 7 + pixels] = 1
    for mask in (region, nowhere):
        found = typical_residual(residual, region, mask, 0.4)
        assert found.isfinite()
        assert is_same(found, image_by_image(residual, region, mask, 0.4))
    assert typical_residual(residual, nowhere, region, 0.4).isnan()


def test_a_residual_that_is_nan_counts_where_something_is_rendered():
    residual, region = torch.ones(3, 1, 4, 4), torch.ones(3, 1, 4, 4)
    residual[1, 0, 0, 0] = torch.nan
    assert typical_residual(residual, region, region, 0.4).isnan()
    assert typical_residual(residual, region, 0 * region, 0.4).isnan()
    region[1, 0, 0, 0] = 0
    assert typical_residual(residual, region, region, 0.4) == 1


def test_the_estimate_reads_no_value_on_the_way(generator):
    """On a GPU each value that Python reads, and each tensor as long as a mask is wide, is a wait for the device."""

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            assert func.name() not in ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select")
            return func(*args, **(kwargs or {}))

    residual, mask = torch.rand(2, 5, 1, 8, 8, generator=generator)
    with Watch():
        typical_residual(residual, torch.ones_like(residual), mask, 0.4)


def test_the_price_has_a_smallest_value():
    price = ResidualPrice(factor=2.0).train()
    region = torch.ones(1, 1, 4, 4)
    price.observe(torch.zeros_like(region), region, region)
    assert price() == pytest.approx(2 * GREY_LEVEL)


def test_initialisation_and_reconstruction_dont_share_options_by_accident():
    first = RobustInitialisationObjective({"robust": 1.0}, threshold=0.09)
    assert first.sigma == pytest.approx(0.1)
    assert ReconstructionObjective({"pixel": 1.0}, mask="hard").mask == "hard"
    assert not first.learns_through_mask
