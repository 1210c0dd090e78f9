import numpy as np
import pytest
import torch
from skimage.transform import SimilarityTransform

from occfit.networks.warp import (
    apply_similarity,
    five_point_template,
    five_points,
    invert_similarity,
    similarity_transform,
    warp,
    warp_to_template,
)

pytestmark = pytest.mark.unit


def landmarks_with(points: torch.Tensor) -> torch.Tensor:
    """68 points whose five points are `points`: the eyes' six surround their centre evenly."""
    landmarks = torch.zeros(len(points), 68, 2, dtype=points.dtype)
    angles = torch.arange(6, dtype=points.dtype) * torch.pi / 3
    ring = 4 * torch.stack([angles.cos(), angles.sin()], dim=1)
    landmarks[:, 36:42] = points[:, :1] + ring
    landmarks[:, 42:48] = points[:, 1:2] + ring
    landmarks[:, [30, 48, 54]] = points[:, 2:]
    return landmarks


def similar(points: torch.Tensor, angle: float, scale: float, shift: tuple[float, float]) -> torch.Tensor:
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    matrix = torch.tensor([[cosine, -sine], [sine, cosine]], dtype=points.dtype)
    return points @ matrix.T + torch.tensor(shift, dtype=points.dtype)


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (0.4, 1.7), (-2.5, 0.6)])
def test_five_points_land_on_the_template(angle, scale):
    template = five_point_template(112)
    points = similar(template[None], angle, scale, (31.0, -12.0))
    landmarks = landmarks_with(points)
    matrix = similarity_transform(five_points(landmarks), template)
    landed = apply_similarity(matrix, five_points(landmarks))
    assert (landed[0] - template).norm(dim=1).max() < 0.01


def test_published_points_are_in_the_integer_centre_convention():
    """insightface's constants for 112 px, half a pixel further here."""
    published = [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
    torch.testing.assert_close(five_point_template(112), torch.tensor(published) + 0.5, atol=1e-4, rtol=0)
    doubled = five_point_template(224)
    torch.testing.assert_close(doubled, 2 * five_point_template(112), atol=1e-4, rtol=0)
    zoomed = five_point_template(224, zoom=1.5)
    torch.testing.assert_close(zoomed - 112, 1.5 * (doubled - 112), atol=1e-4, rtol=0)


def test_similarity_agrees_with_scikit_image(generator):
    source, target = torch.rand(2, 5, 2, generator=generator, dtype=torch.float64) * 50
    ours = similarity_transform(source[None], target)[0].numpy()
    theirs = SimilarityTransform.from_estimate(source.numpy(), target.numpy())
    assert isinstance(theirs, SimilarityTransform)
    np.testing.assert_allclose(ours, theirs.params[:2], atol=1e-9)


def test_inverse_undoes_the_similarity(generator):
    source, target = torch.rand(2, 3, 5, 2, generator=generator, dtype=torch.float64) * 50
    matrix = similarity_transform(source, target[0])
    there_and_back = apply_similarity(invert_similarity(matrix), apply_similarity(matrix, source))
    torch.testing.assert_close(there_and_back, source)


def spots(points: torch.Tensor, size: int, sigma: float) -> torch.Tensor:
    """One channel a point, with a Gaussian spot at it."""
    centres = torch.arange(size, dtype=points.dtype) + 0.5
    distance = (centres[None, :] - points[:, 0, None, None]) ** 2 + (
        centres[:, None] - points[:, 1, None, None]
    ) ** 2
    return torch.exp(-distance / (2 * sigma**2))


def test_spots_in_the_picture_arrive_on_the_template():
    template = five_point_template(112).double()
    points = similar(template, 0.3, 1.4, (20.0, 5.0))
    crop = warp_to_template(spots(points, 224, 4.0)[None], landmarks_with(points[None]), template, 112)[0]
    centres = torch.arange(112, dtype=torch.float64) + 0.5
    mass = crop.sum(dim=(1, 2))
    found = torch.stack([(crop.sum(dim=1) * centres).sum(1), (crop.sum(dim=2) * centres).sum(1)], dim=1)
    torch.testing.assert_close(found / mass[:, None], template, atol=0.01, rtol=0)


def test_identity_keeps_every_pixel_and_outside_is_black(generator):
    image = torch.rand(1, 3, 9, 9, generator=generator)
    identity = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    torch.testing.assert_close(warp(image, identity, 9), image)
    away = torch.tensor([[[1.0, 0, 100], [0, 1, 0]]])
    assert warp(image, away, 9).eq(0).all()


def test_gradient_to_image_and_landmarks():
    image = torch.rand(1, 1, 12, 12, dtype=torch.float64, requires_grad=True)
    points = similar(five_point_template(8).double()[None], 0.2, 1.1, (1.3, 0.7)).requires_grad_()

    def crop(image, points):
        return warp(image, similarity_transform(points, five_point_template(8).double()), 8)

    assert torch.autograd.gradcheck(crop, (image, points))


def test_coordinates_stay_exact_under_bf16_autocast(generator):
    image = torch.rand(1, 3, 64, 64, generator=generator)
    landmarks = landmarks_with(similar(five_point_template(64)[None], 0.2, 0.8, (3.0, 4.0)))
    exact = warp_to_template(image, landmarks, five_point_template(112), 112)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(warp_to_template(image, landmarks, five_point_template(112), 112), exact)
