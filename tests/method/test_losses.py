"""Every equation against a loop over pixels, written from the paper."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from occfit.method import losses
from occfit.types import FaceParams

pytestmark = pytest.mark.unit

SIZE = 9


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Target, rendering, region with an odd border, soft mask; float64."""
    generator = torch.Generator().manual_seed(3)
    image, rendered = torch.rand(2, 2, 3, SIZE, SIZE, generator=generator, dtype=torch.float64)
    region = (torch.rand(2, 1, SIZE, SIZE, generator=generator) < 0.6).double()
    mask = torch.rand(2, 1, SIZE, SIZE, generator=generator, dtype=torch.float64)
    return image, rendered * region, region, mask


def pixels():
    return itertools.product(range(SIZE), range(SIZE))


def best_match(
    image: np.ndarray, rendered: np.ndarray, region: np.ndarray, y: int, x: int, reach: int
) -> float:
    """The smallest squared distance between pixel (y, x) of a target and a rendered pixel near it."""
    return min(
        float(((image[:, y, x] - rendered[:, m, n]) ** 2).sum())
        for m, n in pixels()
        if abs(m - y) <= reach and abs(n - x) <= reach and region[0, m, n]
    )


def best_between(
    image: np.ndarray, rendered: np.ndarray, region: np.ndarray, y: int, x: int, reach: float
) -> float:
    """The same with half pixels: means of the two or four around them, all of which have to be rendered."""
    found = []
    for m, n in itertools.product(np.arange(0, SIZE - 0.5, 0.5), repeat=2):
        rows, columns = ({math.floor(at), math.ceil(at)} for at in (m, n))
        around = list(itertools.product(rows, columns))
        if abs(m - y) <= reach and abs(n - x) <= reach and all(region[0, i, j] for i, j in around):
            mean = np.mean([rendered[:, i, j] for i, j in around], axis=0)
            found.append(float(((image[:, y, x] - mean) ** 2).sum()))
    return min(found)


@pytest.mark.parametrize("power", [1, 2])
def test_pixel_loss_is_equation_5(pictures, power):
    image, rendered, region, mask = (p.numpy() for p in pictures)
    for b, value in enumerate(losses.pixel_loss(*pictures, mask_power=power)):
        total = sum(
            mask[b, 0, y, x] ** power * ((image[b, :, y, x] - rendered[b, :, y, x]) ** 2).sum()
            for y, x in pixels()
            if region[b, 0, y, x]
        )
        assert value == pytest.approx(total / region[b].sum())


@pytest.mark.parametrize("window", [1, 3, 5])
def test_neighbour_loss_is_equation_1(pictures, window):
    image, rendered, region, mask = (p.numpy() for p in pictures)
    for b, value in enumerate(losses.neighbour_loss(*pictures, window=window, distance="norm", mask_power=1)):
        total = sum(
            mask[b, 0, y, x] * best_match(image[b], rendered[b], region[b], y, x, window // 2) ** 0.5
            for y, x in pixels()
            if region[b, 0, y, x]
        )
        assert value == pytest.approx(total / region[b].sum())


@pytest.mark.parametrize("window", [2, 4])
def test_an_even_window_is_searched_at_half_pixels(pictures, window):
    image, rendered, region, _ = (p.numpy() for p in pictures)
    found = losses.neighbour_residual(*pictures[:3], window=window).numpy()
    for b in range(2):
        for y, x in pixels():
            expected = 0.0
            if region[b, 0, y, x]:
                expected = best_between(image[b], rendered[b], region[b], y, x, (window - 1) / 2)
            assert found[b, 0, y, x] == pytest.approx(expected)


def by_upsampling(image: Tensor, rendered: Tensor, region: Tensor, window: int, distance: str) -> Tensor:
    """The neighbour residual from one large picture with all half pixels, and a stack of all the window's distances."""
    stride = 2 - window % 2
    reach = (window - 1) * stride // 2
    sides = [stride * (side - 1) + 1 for side in image.shape[-2:]]
    candidates, usable = (
        F.interpolate(picture, sides, mode="bilinear", align_corners=True) for picture in (rendered, region)
    )
    candidates, usable = (F.pad(picture, [reach] * 4) for picture in (candidates, usable))
    places = torch.arange(usable[0].numel()).view_as(usable[:1]).expand_as(usable)
    distances, sources = [], []
    for y, x in itertools.product(range(2 * reach + 1), repeat=2):
        window_at = (..., slice(y, y + sides[0], stride), slice(x, x + sides[1], stride))
        squared = (image - candidates[window_at]).square().sum(1, keepdim=True)
        distances.append(squared.where(usable[window_at] == 1, torch.inf))
        sources.append(places[window_at])
    first = torch.from_numpy(torch.stack(distances).detach().numpy().argmin(axis=0))
    winner = torch.stack(sources).gather(0, first.unsqueeze(0)).flatten(2).squeeze(0)
    matched = candidates.flatten(2).gather(2, winner.view(len(image), 1, -1).expand(-1, 3, -1)).view_as(image)
    return losses.pixel_residual(image, matched, "norm" if distance == "norm" else "squared") * region


@pytest.mark.parametrize("window", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("distance", ["squared", "norm"])
@pytest.mark.parametrize("levels", [3, 2**20])
def test_neighbours_and_ties_are_to_the_bit_those_of_an_upsampled_picture(
    generator, window, distance, levels
):
    """Few levels make ties, where the first in reading order wins; the gradient says which it was."""
    image, rendered = (torch.rand(2, 2, 3, 13, 18, generator=generator) * levels).round() / levels
    region = (torch.rand(2, 1, 13, 18, generator=generator) < 0.7).float()
    found, expected = ((rendered * region).requires_grad_() for _ in range(2))
    residual = losses.neighbour_residual(image, found, region, window, distance)
    reference = by_upsampling(image, expected, region, window, distance)
    assert torch.equal(residual, reference)
    weights = torch.rand(residual.shape, generator=generator)
    (residual * weights).sum().backward()
    (reference * weights).sum().backward()
    assert found.grad is not None
    assert expected.grad is not None
    assert torch.equal(found.grad, expected.grad)


def test_neighbour_of_window_1_is_the_pixel(pictures):
    torch.testing.assert_close(losses.neighbour_loss(*pictures, window=1), losses.pixel_loss(*pictures))


def test_neighbour_loss_forgives_a_shift_of_two_pixels_but_not_of_three():
    rendered = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    region = torch.ones(1, 1, 20, 20)
    inner = torch.zeros(1, 1, 20, 20)
    inner[..., 4:16, 4:16] = 1
    two, three = (rendered.roll(shift, dims=-1) for shift in (2, 3))
    assert losses.neighbour_loss(two, rendered, region, inner) == 0
    assert losses.neighbour_loss(three, rendered, region, inner) > 0.01


def test_black_around_the_rendering_matches_nothing():
    """A black occluder at the region's border lies beside black background, which isn't a rendered pixel."""
    region = torch.zeros(1, 1, 9, 9)
    region[..., 3:] = 1
    rendered, image = 0.8 * region.expand(-1, 3, -1, -1), torch.zeros(1, 3, 9, 9)
    residual = losses.neighbour_residual(image, rendered, region)
    torch.testing.assert_close(residual, 3 * 0.64 * region)


@pytest.mark.parametrize("loss", [losses.pixel_loss, losses.neighbour_loss])
@pytest.mark.parametrize("distance", ["squared", "norm"])
def test_image_losses_gradcheck(pictures, loss, distance):
    image, rendered, region, mask = pictures
    rendered = rendered.requires_grad_()
    mask = mask.requires_grad_()

    def function(rendered, mask):
        return loss(image, rendered, region, mask, distance=distance)

    assert torch.autograd.gradcheck(function, (rendered, mask))


def test_the_norm_has_no_infinite_gradient_where_the_fit_is_perfect(pictures):
    image, _, region, mask = pictures
    rendered = image.clone().requires_grad_()
    losses.pixel_loss(image, rendered, region, mask, distance="norm").sum().backward()
    assert rendered.grad is not None
    assert (rendered.grad == 0).all()


def test_normalisations_differ_by_their_areas(pictures):
    _, _, region, mask = pictures
    printed = losses.pixel_loss(*pictures, normalisation="sum")
    areas: dict[losses.Normalisation, Tensor] = {
        "face_region": region.sum((1, 2, 3)),
        "visible_face": (region * mask).sum((1, 2, 3)),
        "image": torch.tensor(SIZE * SIZE),
    }
    for normalisation, area in areas.items():
        torch.testing.assert_close(losses.pixel_loss(*pictures, normalisation=normalisation), printed / area)


def test_an_image_is_normalised_by_itself(pictures):
    """Not over the batch, as in the published code, where a large face outvotes a small one."""
    together = losses.pixel_loss(*pictures, normalisation="visible_face")
    alone = torch.cat(
        [losses.pixel_loss(*(p[b : b + 1] for p in pictures), normalisation="visible_face") for b in (0, 1)]
    )
    torch.testing.assert_close(together, alone)


def test_face_region_means_dont_depend_on_the_pictures_size():
    """The same weights mean the same at 32 px and at 224 px, with the face twice as large in one."""
    values = []
    for size, share in ((32, 0.5), (224, 1.0)):
        region = torch.zeros(1, 1, size, size)
        region[..., : int(size * share), :] = 1
        values.append(
            losses.pixel_loss(torch.ones(1, 3, size, size), torch.zeros(1, 3, size, size), region, region)
        )
    torch.testing.assert_close(values[0], values[1])


@pytest.mark.parametrize("power", [1, 2])
def test_area_loss_is_equation_3(pictures, power):
    _, _, region, mask = pictures
    for b, value in enumerate(losses.area_loss(region, mask, power)):
        total = sum(mask[b, 0, y, x] ** power for y, x in pixels() if region[b, 0, y, x])
        assert value == pytest.approx(float(-total / region[b].sum()))


def test_binary_loss(pictures):
    _, _, region, mask = pictures
    for b, value in enumerate(losses.binary_loss(region, mask)):
        total = sum((mask[b, 0, y, x] - 0.5) ** 2 for y, x in pixels() if region[b, 0, y, x])
        assert value == pytest.approx(float(-total / region[b].sum()))
    printed = losses.binary_loss(region, mask, "sum")
    torch.testing.assert_close(printed, -((mask - 0.5) ** 2 * region).sum((1, 2, 3)))
    assert losses.binary_loss(region, region) == pytest.approx([-0.25, -0.25])


def test_nothing_rendered_costs_nothing(pictures):
    image, rendered, region, mask = pictures
    nowhere = torch.zeros_like(region)
    for loss in (losses.pixel_loss, losses.neighbour_loss):
        assert loss(image, rendered, nowhere, mask).tolist() == [0, 0]
    assert losses.area_loss(nowhere, mask).tolist() == [0, 0]


def test_feature_distances():
    a, b = torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    cosine = 1 / math.sqrt(2)
    assert losses.perceptual_loss((a,), (b,)) == pytest.approx(2 - 2 * cosine)
    assert losses.perceptual_exclusion_loss((a,), (b,), "cosine") == pytest.approx(1 - cosine)
    assert losses.perceptual_inclusion_loss((a, a), (a, b), "cosine") == pytest.approx((1 - cosine) / 2)
    maps = torch.rand(4, 3, 5, 5)
    assert losses.feature_distance((maps,), (maps,)) == pytest.approx([0] * 4, abs=1e-6)


def test_landmark_loss_is_equation_7():
    generator = torch.Generator().manual_seed(0)
    first, second = 64 * torch.rand(2, 2, 68, 2, generator=generator)
    weights = [0.2] * 17 + [0.1] * 10 + [1.0] * 41
    for b, value in enumerate(losses.landmark_loss(first, second, 64)):
        squares = [float(((first[b, i] - second[b, i]) * 224 / 64).square().sum()) for i in range(68)]
        assert value == pytest.approx(np.mean([w * s for w, s in zip(weights, squares, strict=True)]))


def test_prior_loss():
    params = FaceParams.from_vector(torch.arange(257.0).unsqueeze(0))
    theta = np.arange(257.0)
    assert losses.prior_loss(params, "face_model", 224) == pytest.approx((theta[:224] ** 2).sum() / 224)
    theta[227:230] /= 100
    assert losses.prior_loss(params) == pytest.approx((theta**2).sum())


def test_robust_log_likelihood_is_equation_8(pictures):
    """The density of three independent Gaussians."""
    image, rendered, _, _ = pictures
    gaussian = torch.distributions.Normal(rendered, 0.2).log_prob(image).sum(1, keepdim=True)
    torch.testing.assert_close(losses.robust_log_likelihood(image, rendered, 0.2), gaussian)


def test_robust_mask_is_equation_9(pictures):
    image, rendered, region, _ = pictures
    mask = losses.robust_mask(image, rendered, region, 0.17)
    for b, (y, x) in itertools.product((0, 1), pixels()):
        squared = float((image[b, :, y, x] - rendered[b, :, y, x]).square().sum())
        assert mask[b, 0, y, x] == (squared < 0.17 and region[b, 0, y, x] == 1)


def test_smooth_robust_loss_is_geman_mcclures(pictures):
    image, rendered, region, _ = pictures
    sigma, threshold = 0.1, 0.03
    residual = ((image - rendered) ** 2).sum(1, keepdim=True)
    rho = 1 / (1 / threshold + 1 / residual.clamp(min=1e-12)) / (2 * sigma**2)
    expected = torch.stack([values[inside > 0].mean() for values, inside in zip(rho, region, strict=True)])
    loss = losses.robust_loss(image, rendered, region, sigma, threshold, "smooth")
    torch.testing.assert_close(loss, expected)


def test_smooth_robust_loss_pulls_every_pixel_of_the_region(pictures):
    image, rendered, region, _ = pictures
    rendered = rendered.clone().requires_grad_()
    losses.robust_loss(image, rendered, region, 0.1, 0.03, "smooth").sum().backward()
    assert rendered.grad is not None
    assert torch.equal(rendered.grad.abs().sum(1, keepdim=True) > 0, region > 0)


def test_robust_loss_is_the_truncated_log_likelihood(pictures):
    image, rendered, region, _ = pictures
    sigma, threshold = 0.2, 0.17
    likelihood = losses.robust_log_likelihood(image, rendered, sigma)
    at_the_threshold = threshold / (-2 * sigma**2)
    constant = losses.robust_log_likelihood(image, image, sigma)
    truncated = torch.where(
        losses.robust_mask(image, rendered, region, threshold) > 0, likelihood, constant + at_the_threshold
    )
    expected = ((constant - truncated) * region).sum((1, 2, 3)) / region.sum((1, 2, 3))
    torch.testing.assert_close(losses.robust_loss(image, rendered, region, sigma, threshold), expected)


def test_a_pixel_beyond_the_threshold_doesnt_pull(pictures):
    image, rendered, region, _ = pictures
    rendered = rendered.clone().requires_grad_()
    losses.robust_loss(image, rendered, region, 0.2, 0.17).sum().backward()
    assert rendered.grad is not None
    pulled = rendered.grad.abs().sum(1, keepdim=True) > 0
    assert torch.equal(pulled, losses.robust_mask(image, rendered, region, 0.17) > 0)


def test_cross_entropy_loss_counts_the_rendered_region_alone():
    logits, labels = torch.tensor([[[[0.0, 50.0]]]]), torch.zeros(1, 1, 1, 2)
    region = torch.tensor([[[[1.0, 0.0]]]])
    assert losses.cross_entropy_loss(logits, labels, region) == pytest.approx(math.log(2))


def test_cross_entropy_loss_leaves_unknown_pixels_out_and_weighs_the_others_alike():
    logits, labels = torch.tensor([[[[0.0, 50.0, 0.0]]]]), torch.zeros(1, 1, 1, 3)
    region, known = torch.ones(1, 1, 1, 3), torch.tensor([[[[1.0, 0.0, 0.0]]]])
    assert losses.cross_entropy_loss(logits, labels, region, known) == pytest.approx(math.log(2) / 3)


def test_neighbour_residual_needs_little_memory():
    """At 224 px its largest tensors are pictures, not 25 pictures."""
    sizes = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, Tensor):
                sizes.append(result.numel())
            return result

    image = torch.rand(1, 3, 224, 224)
    with Watch():
        losses.neighbour_residual(image, image.flip(-1), torch.ones(1, 1, 224, 224), window=5)
    assert max(sizes) == 3 * 224 * 224


def test_albedo_variance_is_that_of_the_skin_alone(generator):
    albedo = torch.rand(3, 10, 3, generator=generator)
    skin = torch.tensor([True] * 6 + [False] * 4)
    expected = [np.var(face[:6].numpy(), axis=0).sum() for face in albedo]
    assert losses.albedo_variance_loss(albedo, skin).numpy() == pytest.approx(np.array(expected), rel=1e-5)
    albedo[:, :6] = 0.5
    assert losses.albedo_variance_loss(albedo, skin).tolist() == [0, 0, 0]
