"""What every rasterizer must do, whichever it is."""

import pytest
import torch

from occfit.errors import OccfitError
from occfit.rendering.camera import Camera, clip_positions, project
from occfit.rendering.rasterize import Fragments, interpolate, make_rasterizer
from occfit.rendering.rasterize.interpolation import interpolate_torch

pytestmark = pytest.mark.unit


@pytest.fixture(params=["numba", "reference"])
def rasterizer(request):
    return make_rasterizer(request.param)


def corners(*pixels: tuple[float, ...], size: int, depth: float = 0.0) -> torch.Tensor:
    """Clip positions (w = 1) of points given as pixels (x, y) or (x, y, depth) in a square picture."""
    rows = [(*pixel, depth)[:3] for pixel in pixels]
    return torch.tensor(
        [[(2 * x / size - 1, 1 - 2 * y / size, z, 1.0) for x, y, z in rows]], dtype=torch.float64
    )


def triangles(*rows: tuple[int, int, int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.int32).reshape(-1, 3)


def soup(generator, batch: int = 2, vertices: int = 40, count: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """Random triangles in perspective, some off the picture, some behind the camera."""
    positions = torch.randn(batch, vertices, 4, generator=generator, dtype=torch.float64)
    positions[..., 2] *= 0.2
    positions[..., 3] = 0.5 + positions[..., 3]
    return positions, torch.randint(0, vertices, (count, 3), generator=generator).int()


def test_a_square_of_pixels_is_drawn_where_it_is(rasterizer):
    positions = corners((2, 1), (4, 1), (4, 2), (2, 2), size=6)
    index = rasterizer(positions, triangles((0, 1, 2), (0, 2, 3)), 6, 6).triangle_index
    covered = {(int(x), int(y)) for _, y, x in (index >= 0).nonzero()}
    assert covered == {(2, 1), (3, 1)}


def test_pixel_centres_are_at_a_half(rasterizer):
    positions = corners((0.5, 0.5), (3.5, 0.5), (0.5, 3.5), size=4)
    fragments = rasterizer(positions, triangles((0, 1, 2)), 4, 4)
    assert fragments.barycentric[0, 0, 0].tolist() == pytest.approx([1, 0, 0])
    assert fragments.barycentric[0, 0, 1].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert fragments.barycentric[0, 1, 0].tolist() == pytest.approx([2 / 3, 0, 1 / 3])


def test_pictures_need_not_be_square(rasterizer):
    positions = torch.tensor([[[-1.0, 1, 0, 1], [1, 1, 0, 1], [1, -1, 0, 1], [-1, -1, 0, 1]]])
    fragments = rasterizer(positions, triangles((0, 1, 2), (0, 2, 3)), 3, 7)
    where = interpolate(positions[..., :2].contiguous(), triangles((0, 1, 2), (0, 2, 3)), fragments)
    assert torch.allclose(where[0, 0], ((2 * torch.arange(7) + 1) / 7 - 1).expand(3, 7), atol=1e-6)
    assert torch.allclose(
        where[0, 1], (1 - (2 * torch.arange(3) + 1) / 3).unsqueeze(1).expand(3, 7), atol=1e-6
    )


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)])
def test_both_sides_are_drawn(rasterizer, order):
    fragments = rasterizer(corners((0, 0), (9, 0), (0, 9), size=4), triangles(order), 4, 4)
    assert fragments.covered.all()
    assert (fragments.barycentric >= 0).all()


def test_the_nearest_triangle_wins(rasterizer):
    far, near = ([(0.0, 0.0, z), (9.0, 0.0, z), (0.0, 9.0, z)] for z in (0.5, -0.5))
    positions = corners(*far, *near, size=4)
    assert (rasterizer(positions, triangles((0, 1, 2), (3, 4, 5)), 4, 4).triangle_index == 1).all()
    assert (rasterizer(positions, triangles((3, 4, 5), (0, 1, 2)), 4, 4).triangle_index == 0).all()


def test_equal_depths_go_to_the_first(rasterizer):
    positions = corners((0, 0), (9, 0), (0, 9), size=4)
    assert (rasterizer(positions, triangles((0, 1, 2), (1, 2, 0)), 4, 4).triangle_index == 0).all()


def test_crossing_triangles_are_cut_at_their_line(rasterizer):
    positions = corners(
        (0, 0, -0.5), (8, 0, 0.5), (0, 99, -0.5), (8, 0, 0.0), (-8, 0, 0.0), (4, 99, 0.0), size=8
    )
    index = rasterizer(positions, triangles((0, 1, 2), (3, 4, 5)), 8, 8).triangle_index
    assert index[0, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("offset", [0.0, 0.5, 0.25, 1 / 3, 1e-4, 0.123456])
def test_every_pixel_of_a_tessellation_is_drawn_once(rasterizer, offset, generator):
    """A jittered grid and a fan that fill the picture: each triangle drawn alone, the pictures added up."""
    size, cells = 12, 6
    ticks = torch.linspace(-3, size + 3, cells + 1, dtype=torch.float64) + offset
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    points = torch.stack([x, y], dim=-1).flatten(0, 1)
    points[8::3] += torch.rand(points[8::3].shape, generator=generator, dtype=torch.float64)
    a = torch.arange(points.shape[0]).view(cells + 1, -1)
    quads = [t.flatten() for t in (a[:-1, :-1], a[:-1, 1:], a[1:, 1:], a[1:, :-1])]
    grid = torch.cat(
        [torch.stack([quads[0], quads[1], quads[2]], 1), torch.stack([quads[0], quads[2], quads[3]], 1)]
    )
    rim = [(-30.0, -30.0), (6.0, -40.0), (40.0, -30.0), (50.0, 6.0), (40.0, 40.0), (-30.0, 40.0)]
    fan = [(0, k, k % 6 + 1) for k in range(1, 7)]
    meshes = [(points.tolist(), grid.int()), ([(offset + 6, offset + 6), *rim], triangles(*fan))]
    for pixels, mesh in meshes:
        positions = corners(*map(tuple, pixels), size=size)
        drawn = [rasterizer(positions, mesh[k : k + 1], size, size).covered for k in range(len(mesh))]
        times = torch.cat(drawn).sum(0)
        assert torch.equal(times, torch.ones_like(times))


def test_triangles_outside_the_picture_are_cut_at_its_border(rasterizer):
    positions = corners((-100, -100), (104, -100), (2, 3), (50, 50), (60, 50), (50, 60), size=4)
    fragments = rasterizer(positions, triangles((0, 1, 2), (3, 4, 5)), 4, 4)
    assert fragments.triangle_index[0, :3].tolist() == [[0, 0, 0, 0], [-1, 0, 0, -1], [-1] * 4]
    assert (fragments.triangle_index[0, 3] == -1).all()


@pytest.mark.parametrize("reach", [1e3, 1e6, 1e9, 1e20])
def test_huge_triangles(rasterizer, reach):
    positions = corners((-reach, -reach), (reach, -reach), (0, reach), size=8)
    fragments = rasterizer(positions, triangles((0, 1, 2)), 8, 8)
    assert fragments.covered.all()
    assert fragments.barycentric.sum(-1) == pytest.approx(1)
    assert fragments.barycentric[0, 4, 4].tolist() == pytest.approx([0.25, 0.25, 0.5], abs=0.01)


@pytest.mark.parametrize(
    "z_and_w",
    [(-1.01, 1.0), (1.01, 1.0), (0.0, -1.0), (0.0, 0.0)],
    ids=["near", "far", "behind", "at the eye"],
)
def test_triangles_beyond_near_or_far_are_dropped(rasterizer, z_and_w):
    positions = corners((0, 0), (9, 0), (0, 9), size=4)
    assert rasterizer(positions, triangles((0, 1, 2)), 4, 4).covered.all()
    positions[0, 1, 2:] = torch.tensor(z_and_w)
    assert not rasterizer(positions, triangles((0, 1, 2)), 4, 4).covered.any()


@pytest.mark.parametrize("order", [(0, 0, 0), (0, 1, 1), (0, 1, 3)], ids=["point", "twice", "line"])
def test_triangles_without_area_draw_nothing(rasterizer, order):
    positions = corners((0.5, 0.5), (2.5, 2.5), (0.5, 2.5), (3.5, 3.5), size=4).requires_grad_()
    fragments = rasterizer(positions, triangles(order), 4, 4)
    assert not fragments.covered.any()
    assert (fragments.barycentric == 0).all()


def test_slivers_have_barycentrics_in_range(rasterizer, generator):
    """Triangles thinner than the rounding of their corners, laid over pixel centres, tilted either way."""
    start = torch.randint(0, 8, (200, 2), generator=generator) + 0.5
    along = torch.randn(200, 2, generator=generator, dtype=torch.float64) * 4
    points = torch.stack([start - along, start + along, start + along * 0.3], dim=1)
    points += 2e-4 * torch.randn(points.shape, generator=generator, dtype=torch.float64)
    positions = corners(*map(tuple, points.flatten(0, 1).tolist()), size=8).requires_grad_()
    fragments = rasterizer(positions, torch.arange(600).view(200, 3).int(), 8, 8)
    assert fragments.covered.sum() > 10
    assert (fragments.barycentric >= 0).all()
    assert torch.allclose(fragments.barycentric.sum(-1), fragments.covered[:, 0])
    (gradient,) = torch.autograd.grad(fragments.barycentric.square().sum(), positions)
    assert gradient.isfinite().all()


def test_nothing_to_draw(rasterizer):
    positions = corners((0, 0), (9, 0), (0, 9), size=4)
    no_triangles = rasterizer(positions, triangles(), 4, 5)
    assert no_triangles.triangle_index.shape == (1, 4, 5)
    assert not no_triangles.covered.any()
    assert interpolate(positions, triangles(), no_triangles).shape == (1, 4, 4, 5)
    assert rasterizer(positions[:0], triangles((0, 1, 2)), 4, 5).barycentric.shape == (0, 4, 5, 3)
    assert rasterizer(positions, triangles((0, 1, 2)), 0, 5).barycentric.shape == (1, 0, 5, 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("coordinate", range(4))
def test_positions_that_are_not_finite_raise(rasterizer, value, coordinate):
    positions = corners((0, 0), (9, 0), (0, 9), (7, 7), size=4).repeat(3, 1, 1)
    positions[1, 3, coordinate] = value
    with pytest.raises(OccfitError, match=r"not finite.*sample 1"):
        rasterizer(positions, triangles((0, 1, 2)), 4, 4)


@pytest.mark.parametrize("order", [(0, 1, 3), (-1, 1, 2)])
def test_triangles_of_missing_vertices_raise(rasterizer, order):
    positions = corners((0, 0), (9, 0), (0, 9), size=4)
    with pytest.raises(OccfitError, match="does not exist"):
        rasterizer(positions, triangles(order), 4, 4)
    fragments = rasterizer(positions, triangles((0, 1, 2)), 4, 4)
    with pytest.raises(OccfitError, match="does not exist"):
        interpolate(positions, triangles(order), fragments)


@pytest.mark.parametrize("seed", range(8))
def test_numba_agrees_with_the_reference(seed):
    positions, mesh = soup(torch.Generator().manual_seed(seed))
    positions.requires_grad_()
    ours, theirs = (make_rasterizer(name)(positions, mesh, 20, 27) for name in ("numba", "reference"))
    assert (theirs.triangle_index >= 0).float().mean() > 0.2
    assert torch.equal(ours.triangle_index, theirs.triangle_index)
    assert torch.allclose(ours.barycentric, theirs.barycentric, atol=1e-12)
    weights = torch.randn_like(ours.barycentric)
    (a,) = torch.autograd.grad(ours.barycentric, positions, weights)
    (b,) = torch.autograd.grad(theirs.barycentric, positions, weights)
    assert torch.allclose(a, b, rtol=1e-6, atol=1e-9 * b.abs().max().item())


def test_numba_in_float32_agrees_with_the_reference(generator):
    positions, mesh = soup(generator)
    positions = positions.float()
    ours, theirs = (make_rasterizer(name)(positions, mesh, 20, 27) for name in ("numba", "reference"))
    assert ours.barycentric.dtype == torch.float32
    assert torch.equal(ours.triangle_index, theirs.triangle_index)
    assert torch.allclose(ours.barycentric, theirs.barycentric, atol=1e-6)


def test_gradient_of_the_barycentrics(generator):
    positions, mesh = soup(generator, batch=1, vertices=30, count=12)
    drawn = make_rasterizer("numba")(positions, mesh, 6, 7)
    assert (drawn.triangle_index >= 0).sum() > 10
    assert torch.autograd.gradcheck(
        lambda p: make_rasterizer("numba")(p, mesh, 6, 7).barycentric, positions.requires_grad_(), atol=1e-4
    )


def test_gradient_of_the_interpolation(generator):
    positions, mesh = soup(generator, vertices=12, count=5)
    drawn = make_rasterizer("numba")(positions, mesh, 5, 4)
    attributes = torch.randn(2, 12, 2, generator=generator, dtype=torch.float64).requires_grad_()

    def picture(attributes, barycentric):
        return interpolate(attributes, mesh, Fragments(drawn.triangle_index, barycentric))

    barycentric = torch.rand(
        drawn.barycentric.shape, generator=generator, dtype=torch.float64
    ).requires_grad_()
    assert torch.autograd.gradcheck(picture, (attributes, barycentric))


def test_interpolation_in_torch_agrees(generator):
    positions, mesh = soup(generator)
    positions.requires_grad_()
    drawn = make_rasterizer("numba")(positions, mesh, 13, 9)
    attributes = torch.randn(2, 40, 5, generator=generator, dtype=torch.float64).requires_grad_()
    ours, theirs = interpolate(attributes, mesh, drawn), interpolate_torch(attributes, mesh, drawn)
    assert torch.allclose(ours, theirs, atol=1e-12)
    weights, inputs = torch.randn_like(ours), (attributes, positions)
    gradients = [torch.autograd.grad(o, inputs, weights, retain_graph=True) for o in (ours, theirs)]
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, rtol=1e-6)


def test_background_is_zero(rasterizer, generator):
    positions, mesh = soup(generator)
    drawn = rasterizer(positions, mesh, 9, 9)
    picture = interpolate(torch.full((2, 40, 3), 5.0, dtype=torch.float64), mesh, drawn)
    assert torch.allclose(picture, 5 * drawn.covered.expand(-1, 3, -1, -1))


def test_pixels_show_the_point_that_projects_there(rasterizer, mesh):
    """Perspective-correct: the interpolated point in space lies on the ray of the pixel's centre."""
    vertices, faces = mesh
    camera = Camera(24)
    points = (vertices - torch.tensor([0.0, 0.0, 400.0])).unsqueeze(0)
    drawn = rasterizer(clip_positions(points, camera), faces, 24, 24)
    seen = interpolate(points, faces, drawn).flatten(2).mT[drawn.covered.flatten(1) > 0]
    rows, columns = (drawn.covered[0, 0] > 0).nonzero().T
    assert torch.allclose(
        project(seen.unsqueeze(0), camera)[0], torch.stack([columns, rows], 1).double() + 0.5, atol=1e-9
    )


def test_strided_positions_and_64_bit_triangles(generator):
    positions, mesh = soup(generator)
    strided = positions.transpose(0, 1).contiguous().transpose(0, 1)
    plain, other = (
        make_rasterizer("numba")(positions, mesh, 9, 9),
        make_rasterizer("numba")(strided, mesh.long(), 9, 9),
    )
    assert torch.equal(plain.triangle_index, other.triangle_index)
    assert torch.equal(plain.barycentric, other.barycentric)


def test_fragments_of_other_triangles_raise(generator):
    positions, mesh = soup(generator)
    drawn = make_rasterizer("numba")(positions, mesh, 9, 9)
    with pytest.raises(OccfitError, match=r"a triangle that does not exist \[triangle \d+ of 1\]"):
        interpolate(positions, mesh[:1], drawn)


def test_unknown_rasterizer():
    with pytest.raises(OccfitError, match=r"no such rasterizer \[rasterizer=opengl\].*auto, numba"):
        make_rasterizer("opengl")
