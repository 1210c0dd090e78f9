"""How the built-in model's faces differ, and that none is broken."""

import numpy as np
import pytest
import torch

from occfit.face_model.builtin.face_mesh import Triangles
from occfit.face_model.builtin.surface import SKIN, Place, SurfacePoints
from occfit.face_model.morphable_model import MorphableModel

pytestmark = pytest.mark.unit


def draw(count: int, size: int, seed: int) -> torch.Tensor:
    """Standard normal parameters within 2.5 standard deviations."""
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)).clamp(-2.5, 2.5)


def gram(basis: torch.Tensor, weights: np.ndarray) -> np.ndarray:
    columns = basis.double().numpy()
    return np.einsum("n,nda,ndb->ab", weights, columns, columns)


def test_identity_modes_are_orthogonal_and_sorted(coarse: MorphableModel, vertex_areas: np.ndarray):
    variances = gram(coarse.shape_basis, vertex_areas)
    scale = np.sqrt(np.outer(np.diag(variances), np.diag(variances)))
    assert np.abs(variances / scale - np.eye(80)).max() < 1e-3
    assert (np.diff(np.diag(variances)) < 1e-12).all()


def test_expression_processes_are_orthogonal(coarse: MorphableModel, vertex_areas: np.ndarray):
    variances = gram(coarse.expression_basis, vertex_areas)[26:, 26:]
    scale = np.sqrt(np.outer(np.diag(variances), np.diag(variances)))
    assert np.abs(variances / scale - np.eye(len(variances))).max() < 1e-3


def test_identity_moves_faces_by_millimetres(coarse: MorphableModel, vertex_areas: np.ndarray):
    deviation = np.sqrt(np.trace(gram(coarse.shape_basis, vertex_areas)))
    assert 4.0 < deviation < 9.0
    assert np.trace(gram(coarse.expression_basis, vertex_areas)) < deviation**2


@pytest.mark.parametrize("kind", ["shape", "expression"])
def test_no_single_mode_turns_the_mesh_inside_out(coarse: MorphableModel, kind: str):
    size = coarse.sizes[kind]
    for sign in (-2.5, 2.5):
        parameters = {other: torch.zeros(size, coarse.sizes[other]) for other in ("shape", "expression")}
        parameters[kind] = sign * torch.eye(size)
        turned = turned_share(coarse, coarse.vertices(parameters["shape"], parameters["expression"]))
        assert turned.max() < 0.005


def turned_share(model: MorphableModel, vertices: torch.Tensor) -> torch.Tensor:
    """The share of triangles that face away from where they face on the mean face, for each sample."""
    triangles = model.triangles.long()

    def normals(points: torch.Tensor) -> torch.Tensor:
        a, b, c = (points[:, triangles[:, corner]] for corner in range(3))
        return torch.linalg.cross(b - a, c - a)

    against = (normals(vertices) * normals(model.mean_shape[None])).sum(dim=-1) < 0
    return against.float().mean(dim=1)


def test_no_random_face_is_turned_inside_out(coarse: MorphableModel):
    shape, expression = draw(60, 80, seed=1), draw(60, 64, seed=2)
    assert turned_share(coarse, coarse.vertices(shape, expression)).max() < 0.01
    assert turned_share(coarse, coarse.vertices(1.5 * shape, expression)).max() < 0.02


def test_lips_never_pass_far_through_each_other(
    coarse: MorphableModel, coarse_mesh: tuple[SurfacePoints, Triangles]
):
    """Where the lower lip rises over the upper lip's edge, it lies behind it, or at most 3 mm in front."""
    expression = torch.zeros(1, 64)
    assert overlap(coarse, coarse_mesh, torch.zeros(1, 80), expression) < 0.1
    expression[0, 0] = -2.5
    assert overlap(coarse, coarse_mesh, torch.zeros(1, 80), expression) < 0.5
    for seed in range(25):
        assert overlap(coarse, coarse_mesh, draw(1, 80, seed), draw(1, 64, 100 + seed)) < 3.0, seed


def overlap(
    model: MorphableModel,
    mesh: tuple[SurfacePoints, Triangles],
    shape: torch.Tensor,
    expression: torch.Tensor,
) -> float:
    """The furthest, in mm, that the lower lip lies in front of the upper where both are seen at one place."""
    points, triangles = mesh
    place = Place.of(points)
    lips = (place.x < 37) & (np.abs(place.y + 47) < 20) & (points.part == SKIN) & (points.roll == 0)
    vertices = model.vertices(shape, expression)[0].double().numpy()
    depths = []
    for side in (1, -1):
        chosen = lips[triangles].all(axis=1) & (points.side[triangles] * side >= 0).all(axis=1)
        chosen &= (points.side[triangles] == side).any(axis=1)
        depths.append(depth_map(vertices, triangles[chosen]))
    both = np.isfinite(depths[0]) & np.isfinite(depths[1])
    return float((depths[1][both] - depths[0][both]).max(initial=0.0))


def depth_map(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The largest z at each point of a 0.5 mm grid over the mouth, seen along the z axis; -inf where nothing is."""
    y, x = np.meshgrid(np.arange(-80, -20, 0.5), np.arange(-40, 40, 0.5), indexing="ij")
    depth = np.full(x.shape, -np.inf)
    for a, b, c in vertices[triangles]:
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
        rows = slice(max(0, int((low[1] + 80) / 0.5)), max(0, int((high[1] + 80) / 0.5) + 2))
        columns = slice(max(0, int((low[0] + 40) / 0.5)), max(0, int((high[0] + 40) / 0.5) + 2))
        px, py = x[rows, columns], y[rows, columns]
        if abs(area) < 1e-9 or px.size == 0:
            continue
        u = ((b[0] - px) * (c[1] - py) - (b[1] - py) * (c[0] - px)) / area
        v = ((c[0] - px) * (a[1] - py) - (c[1] - py) * (a[0] - px)) / area
        z = u * a[2] + v * b[2] + (1 - u - v) * c[2]
        inside = (u >= 0) & (v >= 0) & (u + v <= 1)
        depth[rows, columns] = np.where(inside, np.maximum(depth[rows, columns], z), depth[rows, columns])
    return depth


def test_albedo_stays_in_range(coarse: MorphableModel):
    assert coarse.mean_albedo.min() > 0
    assert coarse.mean_albedo.max() < 1
    random = coarse.albedo(draw(300, 80, seed=0))
    assert ((random < 0) | (random > 1)).float().mean() < 0.01
    assert random.min() > -0.2
    assert random.max() < 1.1
    for sign in (-2.5, 2.5):
        single = coarse.albedo(sign * torch.eye(80))
        assert ((single < 0) | (single > 1)).float().mean() < 1e-3


def test_first_albedo_mode_spans_human_skin(
    coarse: MorphableModel, coarse_mesh: tuple[SurfacePoints, Triangles]
):
    """Linear luminance of the forehead: very dark to very pale, always redder than green and greener than blue."""
    x, y, _ = coarse.mean_shape.T
    forehead = (x.abs() < 25) & (y > 50) & (y < 70)
    tones = torch.stack(
        [coarse.albedo(value * torch.eye(80)[:1])[0, forehead].mean(dim=0) for value in (-2.5, 0, 2.5)]
    )
    luminance = tones @ torch.tensor([0.2126, 0.7152, 0.0722])
    assert luminance[0] < 0.12
    assert 0.3 < luminance[1] < 0.5
    assert luminance[2] > 0.6
    assert (tones[:, 0] > tones[:, 1]).all()
    assert (tones[:, 1] > tones[:, 2]).all()


def test_samples_are_different_people(coarse: MorphableModel):
    tones = coarse.albedo(draw(200, 80, seed=3)).mean(dim=1)
    assert tones[:, 0].std() > 0.08
    shapes = coarse.vertices(draw(50, 80, seed=4), torch.zeros(50, 64))
    apart = (shapes[:25] - shapes[25:]).norm(dim=-1).mean(dim=1)
    assert apart.min() > 2.0


def test_eyes_and_mouth_keep_their_colours_for_every_skin(
    coarse: MorphableModel, coarse_mesh: tuple[SurfacePoints, Triangles]
):
    elsewhere = torch.from_numpy(coarse_mesh[0].part != SKIN)
    dark = coarse.albedo(-2.5 * torch.eye(80)[:1])[0]
    assert torch.equal(dark[elsewhere], coarse.mean_albedo[elsewhere])
