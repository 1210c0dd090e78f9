import pytest
import torch

from occfit.rendering.normals import vertex_normals, vertex_normals_torch

pytestmark = pytest.mark.unit

IMPLEMENTATIONS = pytest.mark.parametrize("normals", [vertex_normals, vertex_normals_torch])


@pytest.fixture
def wrinkled(mesh, generator):
    """Two dented half ellipsoids."""
    vertices, triangles = mesh
    noise = torch.randn(2, *vertices.shape, generator=generator, dtype=torch.float64)
    return vertices + 3 * noise, triangles


@IMPLEMENTATIONS
def test_flat_surface_faces_the_viewer(normals):
    square = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]])
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]])
    assert torch.equal(normals(square, triangles), torch.tensor([0.0, 0.0, 1.0]).expand(1, 4, 3))


@IMPLEMENTATIONS
def test_triangles_count_by_their_area(normals):
    corner = torch.tensor([[[0.0, 0, 0], [3, 0, 0], [0, 1, 0], [0, 0, 1]]])
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1]])  # areas 1.5, 0.5, 1.5 facing +z, +x, +y
    expected = torch.tensor([0.5, 1.5, 1.5])
    assert torch.allclose(normals(corner, triangles)[0, 0], expected / expected.norm())


@IMPLEMENTATIONS
def test_normals_of_a_sphere_are_its_radii(normals, mesh):
    vertices, triangles = mesh
    sphere = torch.nn.functional.normalize(vertices, dim=-1).unsqueeze(0)
    inside = sphere[0, :, 2] > 0.5
    assert ((normals(sphere, triangles) * sphere).sum(-1)[0, inside] > 0.98).all()


@IMPLEMENTATIONS
def test_vertices_without_area_have_no_normal_and_no_gradient(normals):
    vertices = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [5, 5, 5]]], requires_grad=True)
    result = normals(vertices, torch.tensor([[0, 1, 2], [0, 0, 0]]))
    (gradient,) = torch.autograd.grad(result.sum(), vertices)
    assert torch.equal(result, torch.zeros(1, 4, 3))
    assert torch.equal(gradient, torch.zeros(1, 4, 3))


def test_kernel_and_torch_agree(wrinkled):
    vertices, triangles = wrinkled
    vertices.requires_grad_()
    ours, theirs = vertex_normals(vertices, triangles), vertex_normals_torch(vertices, triangles)
    assert torch.allclose(ours, theirs, atol=1e-12)
    weights = torch.rand_like(ours)
    (a,), (b,) = torch.autograd.grad(ours, vertices, weights), torch.autograd.grad(theirs, vertices, weights)
    assert torch.allclose(a, b, atol=1e-12)


@IMPLEMENTATIONS
def test_gradients(normals, wrinkled):
    vertices, triangles = wrinkled
    assert torch.autograd.gradcheck(
        lambda v: normals(v, triangles), vertices[:1].clone().requires_grad_(), fast_mode=True
    )


def test_float32_is_close_to_float64(wrinkled):
    vertices, triangles = wrinkled
    single = vertex_normals(vertices.float(), triangles)
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), vertex_normals(vertices, triangles), atol=1e-5)


def test_strided_vertices(wrinkled):
    vertices, triangles = wrinkled
    strided = vertices.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(vertex_normals(strided, triangles), vertex_normals(vertices, triangles))


def test_nothing_to_do(mesh):
    vertices, triangles = mesh
    assert vertex_normals(vertices.new_empty(0, len(vertices), 3), triangles).shape == (0, len(vertices), 3)
    none = vertex_normals(vertices.unsqueeze(0), triangles[:0])
    assert torch.equal(none, torch.zeros(1, len(vertices), 3, dtype=torch.float64))
