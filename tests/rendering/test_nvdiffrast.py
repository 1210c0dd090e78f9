"""nvdiffrast's conventions: against a stand-in on the CPU, against the library itself where there is a GPU."""

import importlib.machinery
import sys
import types

import pytest
import torch

from occfit.errors import OccfitError
from occfit.rendering.normals import vertex_normals
from occfit.rendering.rasterize import choice, interpolate, make_rasterizer, nvdiffrast
from occfit.rendering.renderer import FaceRenderer
from occfit.types import FaceParams


def soup(generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Random triangles in front of the camera, in perspective; some leave the picture."""
    positions = torch.randn(2, 40, 4, generator=generator)
    positions[..., 2] *= 0.2
    positions[..., 3] = 1 + positions[..., 3].abs()
    return positions, torch.randint(0, 40, (30, 3), generator=generator).int()


class RasterizeCudaContext:
    def __init__(self, device=None):
        self.device = device


def rasterize(context, pos, tri, resolution, ranges=None, grad_db=True):
    """As nvdiffrast documents it: (u, v, z/w, triangle + 1), zeros in the background, row 0 at the bottom."""
    assert isinstance(context, RasterizeCudaContext)
    assert pos.dtype == torch.float32
    assert tri.dtype == torch.int32
    assert pos.is_contiguous()
    drawn = make_rasterizer("reference")(pos, tri, *resolution)
    depth = interpolate(pos[..., 2:3] / pos[..., 3:], tri, drawn)
    index = (drawn.triangle_index + 1).unsqueeze(-1).to(pos.dtype)
    output = torch.cat([drawn.barycentric[..., :2], depth.permute(0, 2, 3, 1), index], dim=-1).flip(1)
    return output, output.new_empty(*output.shape[:3], 0)


@pytest.fixture
def stand_in(monkeypatch):
    package, module = types.ModuleType("nvdiffrast"), types.ModuleType("nvdiffrast.torch")
    package.__spec__ = importlib.machinery.ModuleSpec("nvdiffrast", None)
    vars(module).update(RasterizeCudaContext=RasterizeCudaContext, rasterize=rasterize)
    vars(package).update(torch=module)
    monkeypatch.setitem(sys.modules, "nvdiffrast", package)
    monkeypatch.setitem(sys.modules, "nvdiffrast.torch", module)


@pytest.mark.unit
def test_conventions_are_turned_into_ours(stand_in, generator):
    positions, triangles = soup(generator)
    positions.requires_grad_()
    ours = nvdiffrast.NvdiffrastRasterizer()._rasterize(positions, triangles, 20, 27)
    expected = make_rasterizer("numba")(positions, triangles, 20, 27)
    assert torch.equal(ours.triangle_index, expected.triangle_index)
    assert torch.allclose(ours.barycentric, expected.barycentric, atol=1e-5)
    weights = torch.randn_like(ours.barycentric)
    (a,), (b,) = (torch.autograd.grad(f.barycentric, positions, weights) for f in (ours, expected))
    assert torch.allclose(a, b, rtol=1e-3, atol=1e-4 * b.abs().max().item())


@pytest.mark.unit
def test_nothing_to_draw(stand_in):
    rasterizer = nvdiffrast.NvdiffrastRasterizer()
    triangles = torch.zeros(0, 3, dtype=torch.int32)
    assert (rasterizer._rasterize(torch.ones(2, 3, 4), triangles, 4, 5).triangle_index == -1).all()


@pytest.mark.unit
def test_positions_on_the_cpu_raise(stand_in, generator):
    with pytest.raises(OccfitError, match=r"CUDA devices only \[positions on cpu\].*rasterizer=numba"):
        make_rasterizer("nvdiffrast")(*soup(generator), 4, 4)


@pytest.mark.unit
def test_without_the_library_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(nvdiffrast, "is_installed", lambda: False)
    with pytest.raises(
        OccfitError, match=r"nvdiffrast is not installed.*pip install git\+https://github.com/NVlabs"
    ):
        make_rasterizer("nvdiffrast")


@pytest.mark.unit
def test_auto_warns_on_a_cuda_device_without_the_library(monkeypatch):
    monkeypatch.setattr(nvdiffrast, "is_installed", lambda: False)
    with pytest.warns(UserWarning, match=r"on the CPU.*pip install git\+https"):
        chosen = choice.AutoRasterizer()._for_cuda()
    assert type(chosen) is type(make_rasterizer("numba"))


@pytest.mark.unit
def test_auto_uses_the_library_on_a_cuda_device(stand_in):
    assert isinstance(choice.AutoRasterizer()._for_cuda(), nvdiffrast.NvdiffrastRasterizer)


@pytest.mark.unit
def test_auto_draws_on_the_cpu_without_a_word(generator):
    positions, triangles = soup(generator)
    a, b = (make_rasterizer(name)(positions, triangles, 9, 8) for name in ("auto", "numba"))
    assert torch.equal(a.triangle_index, b.triangle_index)


@pytest.mark.gpu
def test_the_library_agrees_with_numba(generator):
    """Corners are rounded differently, so that a few pixels at edges may show another triangle."""
    positions, triangles = soup(generator)
    on_gpu = positions.cuda().requires_grad_()
    ours = make_rasterizer("nvdiffrast")(on_gpu, triangles.cuda(), 64, 96)
    positions.requires_grad_()
    expected = make_rasterizer("numba")(positions, triangles, 64, 96)
    same = ours.triangle_index.cpu() == expected.triangle_index
    assert same.float().mean() > 0.98
    assert torch.allclose(ours.barycentric.cpu()[same], expected.barycentric[same], atol=1e-4)
    weights = torch.randn(expected.barycentric.shape, generator=generator) * same.unsqueeze(-1)
    (a,) = torch.autograd.grad(ours.barycentric, on_gpu, weights.cuda())
    (b,) = torch.autograd.grad(expected.barycentric, positions, weights)
    assert torch.allclose(a.cpu(), b, rtol=1e-2, atol=1e-3 * b.abs().max().item())


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["numba", "nvdiffrast"])
def test_a_face_on_the_gpu_is_the_face_on_the_cpu(model, generator, name):
    vector = 0.3 * torch.randn(2, 257, generator=generator)
    expected = FaceRenderer(model, make_rasterizer("numba"), 64)(FaceParams.from_vector(vector))
    on_gpu = vector.cuda().requires_grad_()
    renderer = FaceRenderer(model, make_rasterizer(name), 64).cuda()
    try:
        drawn = renderer(FaceParams.from_vector(on_gpu))
        (gradient,) = torch.autograd.grad(drawn.image.square().mean(), on_gpu)
        normals = vertex_normals(drawn.vertices, renderer.face_model.triangles)
    finally:
        model.cpu()
    assert (drawn.image.cpu() - expected.image).abs().mean() < 2e-3
    assert torch.allclose(drawn.landmarks.cpu(), expected.landmarks, atol=1e-2)
    assert torch.allclose(normals.cpu(), expected.normals, atol=1e-3)
    assert gradient.isfinite().all()
    assert (gradient != 0).any()
