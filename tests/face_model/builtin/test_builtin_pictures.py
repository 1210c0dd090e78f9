"""The built-in model as the renderer shows it: framed, without holes, with open eyes and a dark mouth inside."""

import pytest
import torch
from scipy.ndimage import binary_fill_holes

from occfit.face_model.builtin.face_mesh import Triangles
from occfit.face_model.builtin.surface import EYEBALL, MOUTH, SurfacePoints
from occfit.face_model.morphable_model import MorphableModel
from occfit.rendering.camera import Camera, clip_positions, project, to_camera
from occfit.rendering.rasterize import Fragments, make_rasterizer

pytestmark = pytest.mark.unit


def seen(
    model: MorphableModel, shape: torch.Tensor, expression: torch.Tensor, turn: float = 0.0
) -> Fragments:
    pose = torch.zeros(len(shape), 6)
    pose[:, 1] = turn
    positions = to_camera(model.vertices(shape, expression), pose)
    return make_rasterizer("numba")(clip_positions(positions, Camera(224)), model.triangles, 224, 224)


def share(fragments: Fragments, mesh: tuple[SurfacePoints, Triangles], part: int) -> torch.Tensor:
    """The share of the face's pixels that show a part of the template."""
    parts = torch.from_numpy(mesh[0].part[mesh[1][:, 0]])
    index = fragments.triangle_index.long()
    shown = (index >= 0) & (parts[index.clamp(min=0)] == part)
    return shown.sum(dim=(1, 2)) / (index >= 0).sum(dim=(1, 2))


def one(component: int, value: float) -> torch.Tensor:
    expression = torch.zeros(1, 64)
    expression[0, component] = value
    return expression


def test_mean_face_fills_the_picture(coarse: MorphableModel):
    covered = seen(coarse, torch.zeros(1, 80), torch.zeros(1, 64)).covered[0, 0]
    rows, columns = covered.any(dim=1).nonzero(), covered.any(dim=0).nonzero()
    assert 10 <= int(rows.min()) <= 24
    assert 10 <= 223 - int(rows.max()) <= 24
    assert 130 <= int(columns.max() - columns.min()) <= 160
    assert int(columns.min() + columns.max()) == pytest.approx(223, abs=1)


def test_contour_landmarks_lie_on_the_outline(coarse: MorphableModel):
    """Within 3 px of the background, and not on it."""
    covered = seen(coarse, torch.zeros(1, 80), torch.zeros(1, 64)).covered[0, 0].bool().numpy()
    landmarks = coarse.mean_shape[coarse.landmark_vertices[:17]][None]
    pixels = project(to_camera(landmarks, torch.zeros(1, 6)), Camera(224))[0].numpy()
    for x, y in pixels:
        row, column = int(y), int(x)
        around = covered[row - 3 : row + 4, column - 3 : column + 4]
        assert around.any()
        assert not around.all(), (x, y)


def test_no_face_has_a_hole(coarse: MorphableModel):
    generator = torch.Generator().manual_seed(0)
    shape = torch.randn(12, 80, generator=generator).clamp(-2.5, 2.5)
    expression = torch.randn(12, 64, generator=generator).clamp(-2.5, 2.5)
    for turn in (0.0, 0.6):
        for covered in seen(coarse, shape, expression, turn).covered[:, 0].bool().numpy():
            assert (binary_fill_holes(covered) == covered).all()


def test_closed_mouth_hides_its_inside(coarse: MorphableModel, coarse_mesh: tuple[SurfacePoints, Triangles]):
    closed = seen(coarse, torch.zeros(1, 80), torch.zeros(1, 64))
    assert share(closed, coarse_mesh, MOUTH) == 0


@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_open_mouth_shows_a_dark_inside(
    coarse: MorphableModel, coarse_mesh: tuple[SurfacePoints, Triangles], turn: float
):
    opened = seen(coarse, torch.zeros(1, 80), one(0, 2.5), turn)
    assert share(opened, coarse_mesh, MOUTH) > 0.005
    inside = torch.from_numpy(coarse_mesh[0].part == MOUTH)
    cavity = coarse.mean_albedo[inside & (coarse.mean_shape[:, 1] < -54)]
    assert cavity.max() < 0.15


def test_eyes_are_open_and_can_shut(coarse: MorphableModel, coarse_mesh: tuple[SurfacePoints, Triangles]):
    still = seen(coarse, torch.zeros(1, 80), torch.zeros(1, 64))
    wide = seen(coarse, torch.zeros(1, 80), one(1, -2.0))
    shut = seen(coarse, torch.zeros(1, 80), one(1, 4.2))
    open_share = share(still, coarse_mesh, EYEBALL)
    assert 0.012 < float(open_share) < 0.035
    assert share(wide, coarse_mesh, EYEBALL) > 1.2 * open_share
    assert share(shut, coarse_mesh, EYEBALL) < 0.06 * open_share


def test_eyeballs_never_pierce_the_lids(coarse: MorphableModel, coarse_mesh: tuple[SurfacePoints, Triangles]):
    """No expression shows much more eyeball than wide-open lids do."""
    generator = torch.Generator().manual_seed(1)
    expression = torch.randn(20, 64, generator=generator).clamp(-2.5, 2.5)
    shape = torch.randn(20, 80, generator=generator).clamp(-2.5, 2.5)
    assert share(seen(coarse, shape, expression), coarse_mesh, EYEBALL).max() < 0.06
