"""Scores of reconstructions against NumPy, SciPy and worked examples."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from occfit.metrics.geometry import GeometryScores, normal_error, rigid_alignment, vertex_error
from occfit.metrics.reconstruction import (
    ReconstructionScores,
    common_rmse,
    coverage,
    landmark_nme,
    masked_rmse,
)

pytestmark = pytest.mark.unit


def test_scores_agree_with_numpy(fits):
    batch, rendering, _, _ = fits
    metric = ReconstructionScores()
    metric.update(batch, rendering)
    scores = metric.compute()
    for position, index in enumerate(batch.index.tolist()):
        image, rendered = (255 * x[position].double().numpy() for x in (batch.image, rendering.image))
        truth, region = (
            batch.visibility[position, 0].numpy() > 0,
            rendering.face_region[position, 0].numpy() > 0,
        )
        difference = (image - np.minimum(rendered, 255))[:, truth & region]
        assert scores["rmse"].values[index] == pytest.approx(np.sqrt(np.mean(difference**2)), rel=1e-12)
        assert scores["coverage"].values[index] == pytest.approx((truth & region).sum() / truth.sum())
        found, true = (x[position].double().numpy() for x in (rendering.landmarks, batch.landmarks))
        eyes = np.hypot(*(true[36] - true[45]))
        distance = np.mean([np.hypot(*offset) for offset in found - true])
        assert scores["landmark_nme"].values[index] == pytest.approx(distance / eyes, rel=1e-12)


def test_rmse_is_on_the_scale_of_bytes():
    image, mask = torch.full((1, 3, 4, 4), 0.5), torch.ones(1, 1, 4, 4)
    assert masked_rmse(image, image + 10 / 255, mask).item() == pytest.approx(10, rel=1e-5)
    assert masked_rmse(image, image, mask).item() == 0
    assert masked_rmse(torch.ones(1, 3, 4, 4), torch.full((1, 3, 4, 4), 7.0), mask).item() == 0


def test_rmse_sees_only_the_masked_pixels_and_is_nan_without_any():
    image, mask = torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4, 4)
    rendered = torch.ones_like(image)
    mask[0, :, :2], rendered[0, :, :2] = 1, 1 / 255
    found = masked_rmse(image, rendered, mask)
    assert found[0].item() == pytest.approx(1)
    assert math.isnan(found[1].item())


def test_coverage_of_nothing_is_nan():
    region = torch.ones(1, 1, 4, 4)
    assert math.isnan(coverage(torch.zeros_like(region), region).item())
    assert coverage(region, torch.zeros_like(region)).item() == 0


def test_on_the_common_region_a_small_region_is_no_advantage(fits):
    batch, rendering, _, _ = fits
    regions = [rendering.face_region, torch.ones_like(rendering.face_region)]
    small, whole = common_rmse(batch.image, [rendering.image] * 2, regions, batch.visibility)
    assert torch.equal(small, whole)
    expected = masked_rmse(batch.image, rendering.image, rendering.face_region * batch.visibility)
    assert torch.equal(small, expected)


def test_landmarks_without_a_distance_between_the_eyes_have_no_error():
    points = torch.ones(1, 68, 2)
    assert math.isnan(landmark_nme(points, points).item())


def turned(points: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The points after a random rigid motion, and its rotation."""
    rotations = Rotation.random(len(points), rng=np.random.default_rng(seed)).as_matrix()
    rotation = torch.from_numpy(rotations).to(points)
    shift = torch.randn(len(points), 1, 3, generator=torch.Generator().manual_seed(seed))
    return points @ rotation.mT + 100 * shift, rotation


def test_where_and_how_the_head_is_turned_does_not_count(fits):
    *_, truth = fits
    moved, rotation = turned(truth.vertices.double(), 3)
    normals = truth.normals.double() @ rotation.mT
    assert vertex_error(moved, truth.vertices.double()).max() < 1e-9
    found, _ = rigid_alignment(moved, truth.vertices.double())
    assert normal_error(normals, truth.normals.double(), found).max() < 1e-5


def test_alignment_agrees_with_scipy(fits):
    _, rendering, _, truth = fits
    rotations, _ = rigid_alignment(rendering.vertices, truth.vertices)
    for found, source, target in zip(rotations, rendering.vertices, truth.vertices, strict=True):
        source, target = source.double().numpy(), target.double().numpy()
        expected = Rotation.align_vectors(target - target.mean(0), source - source.mean(0))[0]
        assert np.abs(found.numpy() - expected.as_matrix()).max() < 1e-6


def test_a_mirrored_head_is_never_aligned_by_a_reflection(fits):
    *_, truth = fits
    mirrored = truth.vertices * torch.tensor([-1.0, 1, 1])
    rotation, _ = rigid_alignment(mirrored, truth.vertices)
    assert torch.allclose(torch.det(rotation), torch.ones(len(rotation), dtype=torch.float64))
    assert vertex_error(mirrored, truth.vertices).min() > 1


def test_size_counts_in_millimetres():
    corners = torch.tensor([[[x, y, z] for x in (-50.0, 50) for y in (-50.0, 50) for z in (-50.0, 50)]])
    expected = 0.1 * 50 * math.sqrt(3)
    assert vertex_error(1.1 * corners, corners).item() == pytest.approx(expected, rel=1e-6)


def test_normal_error_is_an_angle_in_degrees():
    true = torch.tensor([[[0.0, 0, 1], [1, 0, 0]]])
    angle = math.radians(30)
    found = torch.tensor([[[math.sin(angle), 0, math.cos(angle)], [0, 1, 0]]])
    assert normal_error(found, true, torch.eye(3).double()[None]).item() == pytest.approx(60, rel=1e-6)


def test_geometry_scores_agree_with_numpy(fits):
    batch, rendering, _, truth = fits
    metric = GeometryScores()
    metric.update(batch, rendering, truth)
    scores = metric.compute()
    for position, index in enumerate(batch.index.tolist()):
        found, true = (x.vertices[position].double().numpy() for x in (rendering, truth))
        found, true = found - found.mean(0), true - true.mean(0)
        turn = Rotation.align_vectors(true, found)[0].as_matrix()
        expected = np.mean(np.linalg.norm(found @ turn.T - true, axis=1))
        assert scores["vertex_error"].values[index] == pytest.approx(expected, rel=1e-6)
        normals = rendering.normals[position].double().numpy() @ turn.T
        cosines = np.clip((normals * truth.normals[position].double().numpy()).sum(axis=1), -1, 1)
        expected = np.degrees(np.arccos(cosines)).mean()
        assert scores["normal_error"].values[index] == pytest.approx(expected, rel=1e-6)


def test_without_a_true_mask_the_landmarks_are_still_scored(fits):
    batch, rendering, _, _ = fits
    metric = ReconstructionScores()
    metric.update(replace(batch, visibility=None), rendering)
    scores = metric.compute()
    assert (scores["rmse"].n, scores["coverage"].n, scores["landmark_nme"].n) == (0, 0, 11)
