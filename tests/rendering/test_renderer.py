import copy
import pickle

import pytest
import torch

from occfit.errors import OccfitError
from occfit.rendering.camera import clip_positions, project
from occfit.rendering.rasterize import make_rasterizer
from occfit.rendering.renderer import FaceRenderer
from occfit.types import FaceParams

pytestmark = pytest.mark.unit


@pytest.fixture
def renderer(model) -> FaceRenderer:
    return FaceRenderer(model, make_rasterizer("numba"), 48)


def random_params(generator, batch: int = 3) -> FaceParams:
    vector = 0.5 * torch.randn(batch, 257, generator=generator)
    vector[:, 224:227] *= 0.4
    vector[:, 227:230] *= 4
    return FaceParams.from_vector(vector)


def with_value(kind: str, column: int, value: float) -> FaceParams:
    params = FaceParams.zeros(1)
    getattr(params, kind)[:, column] = value
    return params


def test_zero_parameters_draw_the_mean_face_in_the_middle(renderer):
    rendering = renderer(FaceParams.zeros(2))
    assert rendering.image.shape == (2, 3, 48, 48)
    region = rendering.face_region
    assert set(region.unique().tolist()) == {0, 1}
    assert torch.equal(region, region.flip(2))
    assert torch.equal(region, region.flip(3))
    colour = rendering.image[:, :, 24, 24]
    assert torch.allclose(colour, 1.2407 * torch.tensor([0.7, 0.5, 0.4]).expand(2, 3), atol=1e-4)
    assert (rendering.image[(region == 0).expand_as(rendering.image)] == 0).all()


def test_region_has_the_faces_size(renderer):
    """The half ellipsoid, 160 x 200 mm at 1000 mm and a little more because its silhouette is nearer."""
    region = renderer(FaceParams.zeros(1)).face_region[0, 0]
    pixels_per_mm = renderer.camera.focal / 1000
    assert region.any(0).sum().item() == pytest.approx(160 * pixels_per_mm, abs=2)
    assert region.any(1).sum().item() == pytest.approx(200 * pixels_per_mm, abs=2)


def test_values_of_vertices_are_drawn_where_the_picture_shows_them(renderer, generator, model):
    rendering = renderer(random_params(generator))
    ones = torch.ones(1, len(model.mean_shape), 1)
    assert torch.equal(renderer.draw(rendering.vertices, ones).round(decimals=5), rendering.face_region)
    across = renderer.draw(
        rendering.vertices, rendering.vertices[..., :1] / rendering.vertices[..., 2:].abs()
    )
    inside = rendering.face_region[0, 0] > 0
    columns = torch.arange(48.0).expand(48, 48)
    place = torch.corrcoef(torch.stack([across[0, 0][inside], columns[inside]]))
    assert place[0, 1] > 0.999


def test_landmarks_are_the_projected_vertices(renderer, generator):
    rendering = renderer(random_params(generator))
    points = project(rendering.vertices, renderer.camera)
    assert torch.equal(rendering.landmarks, points[:, renderer.face_model.landmark_vertices])


def test_landmarks_lie_where_the_picture_shows_them(renderer, model):
    """The apex is landmark 0; a spot of colour on it appears at its pixel coordinates."""
    spotted = copy.deepcopy(model)
    spotted.mean_albedo.zero_()
    spotted.mean_albedo[0] = 1
    params = FaceParams.zeros(1)
    params.pose[:] = torch.tensor([0.3, -0.4, 0.2, 12.0, 25.0, -50.0])
    rendering = FaceRenderer(spotted, make_rasterizer("numba"), 48)(params)
    weights = rendering.image[0, 0]
    y, x = torch.meshgrid(torch.arange(48) + 0.5, torch.arange(48) + 0.5, indexing="ij")
    centroid = torch.stack([(x * weights).sum(), (y * weights).sum()]) / weights.sum()
    assert torch.allclose(centroid, rendering.landmarks[0, 0], atol=0.5)


@pytest.mark.parametrize(
    ("column", "axis", "sign"), [(3, 3, 1), (4, 2, -1)], ids=["x moves right", "y moves up"]
)
def test_translation_moves_the_region(renderer, column, axis, sign):
    moved = renderer(with_value("pose", column, 8.0)).face_region
    there = moved.sum(dim=5 - axis).flatten().nonzero().float().mean() + 0.5
    shift = sign * 8 * renderer.camera.focal / 1000
    assert there.item() == pytest.approx(24 + shift, abs=0.6)


@pytest.mark.parametrize(
    ("harmonic", "bright"), [(3, "right"), (1, "top")], ids=["light from the right", "light from above"]
)
def test_light_brightens_its_side(renderer, harmonic, bright):
    params = FaceParams.zeros(1)
    params.illumination[:, harmonic::9] = 2.0
    image = renderer(params).image[0].mean(0)
    halves = {"right": (image[:, 24:], image[:, :24]), "top": (image[:24], image[24:])}[bright]
    assert halves[0].sum() > 1.3 * halves[1].sum()


def test_light_stays_when_the_head_turns(renderer):
    params = with_value("pose", 2, torch.pi)
    params.illumination[:, 3::9] = 2.0
    image = renderer(params).image[0].mean(0)
    assert image[:, 24:].sum() > 1.3 * image[:, :24].sum()


def test_nothing_is_clamped(renderer):
    params = with_value("illumination", 0, 20.0)
    assert renderer(params).image.max() > 1
    assert renderer(with_value("illumination", 0, -20.0)).image.min() < 0


def test_gradients_match_finite_differences(model, generator):
    """Of the image and the landmarks by all kinds of parameters, where no silhouette or depth order changes."""
    renderer = FaceRenderer(copy.deepcopy(model).double(), make_rasterizer("numba"), 12)
    params = random_params(generator, batch=1).to_vector().double()
    drawn = renderer(FaceParams.from_vector(params))
    assert drawn.face_region.sum() > 30
    inside = -torch.nn.functional.max_pool2d(-drawn.face_region, 3, stride=1, padding=1)

    def observed(vector):
        rendering = renderer(FaceParams.from_vector(vector))
        return rendering.image * inside, rendering.landmarks

    columns = torch.tensor([0, 9, 80, 100, 144, 180, *range(224, 230), 230, 233, 240, 250])
    probe = torch.zeros(len(columns), requires_grad=True, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda p: observed(params.index_add(1, columns, p.unsqueeze(0))),
        probe,
        eps=1e-7,
        atol=2e-3,
        rtol=1e-3,
    )


def test_every_kind_of_parameter_gets_a_gradient(renderer, generator):
    vector = random_params(generator).to_vector().requires_grad_()
    rendering = renderer(FaceParams.from_vector(vector))
    (gradient,) = torch.autograd.grad(rendering.image.square().sum(), vector)
    assert (gradient != 0).all()
    assert not rendering.face_region.requires_grad


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_not_used(renderer, generator, dtype):
    params = random_params(generator).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rendering = renderer(params)
    plain = renderer(params.to(torch.float32))
    for name in ("image", "face_region", "landmarks", "vertices", "normals"):
        assert getattr(rendering, name).dtype == torch.float32
        assert torch.equal(getattr(rendering, name), getattr(plain, name))


def test_gradients_of_a_forward_under_autocast_are_those_without(renderer, generator):
    vector = random_params(generator).to_vector().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = renderer(FaceParams.from_vector(vector)).image
    plain = renderer(FaceParams.from_vector(vector)).image
    a, b = (torch.autograd.grad(image.square().sum(), vector)[0] for image in (under_autocast, plain))
    assert torch.equal(a, b)


def test_parameters_that_are_not_finite_raise(renderer):
    params = FaceParams.zeros(2)
    params.shape[1, 3] = float("nan")
    with pytest.raises(OccfitError, match="sample 1"):
        renderer(params)


def test_a_face_behind_the_camera_is_not_drawn(renderer):
    rendering = renderer(with_value("pose", 5, 1500.0))
    assert not rendering.face_region.any()
    assert not rendering.image.any()


def test_an_empty_batch(renderer):
    assert renderer(FaceParams.zeros(0)).image.shape == (0, 3, 48, 48)


def test_samples_do_not_influence_each_other(renderer, generator):
    params = random_params(generator, batch=4)
    together, alone = renderer(params), renderer(params[2:3])
    assert torch.allclose(together.image[2:3], alone.image, atol=1e-5)


def test_it_agrees_with_the_reference_rasterizer(renderer, generator):
    params = random_params(generator, batch=1)
    slow = FaceRenderer(renderer.face_model, make_rasterizer("reference"), 48)
    a, b = renderer(params), slow(params)
    assert torch.equal(a.face_region, b.face_region)
    assert torch.allclose(a.image, b.image, atol=1e-5)


@pytest.mark.parametrize("name", ["auto", "numba"])
def test_it_can_be_sent_to_a_worker(model, name):
    renderer = FaceRenderer(model, make_rasterizer(name), 16)
    copied = pickle.loads(pickle.dumps(renderer))
    assert torch.equal(copied(FaceParams.zeros(1)).image, renderer(FaceParams.zeros(1)).image)


def test_it_has_no_weights(renderer):
    assert list(renderer.parameters()) == []
    assert renderer.state_dict() == {}
    vertices = renderer(FaceParams.zeros(1)).vertices
    assert torch.equal(clip_positions(vertices, renderer.camera)[..., 3], -vertices[..., 2])
