import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from occfit.rendering.camera import Camera, clip_positions, project, rotation_matrix, to_camera

pytestmark = pytest.mark.unit


@pytest.fixture
def points(generator) -> torch.Tensor:
    spread = torch.tensor([100.0, 100.0, 100.0], dtype=torch.float64)
    centre = torch.tensor([0.0, 0.0, -1000.0], dtype=torch.float64)
    return spread * torch.randn(2, 7, 3, generator=generator, dtype=torch.float64) + centre


def test_focal_length_is_the_papers():
    assert Camera(224).focal == pytest.approx(1014.72)
    assert Camera(224).centre == 112


def test_focal_length_scales_with_the_picture(points):
    assert torch.allclose(project(points, Camera(64)) * 3.5, project(points, Camera(224)))


def test_rotation_is_x_after_y_after_z(generator):
    angles = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    expected = Rotation.from_euler("XYZ", angles.numpy()).as_matrix()
    assert np.allclose(rotation_matrix(angles).numpy(), expected)


@pytest.mark.parametrize(
    ("angles", "nose"),
    [((0.1, 0, 0), "down"), ((0, 0.1, 0), "right"), ((0, 0, 0.1), "middle")],
)
def test_positive_angles_turn_the_nose(angles, nose):
    tip = to_camera(torch.tensor([[[0.0, 0.0, 100.0]]]), torch.tensor([[*angles, 0.0, 0.0, 0.0]]))
    x, y = (project(tip, Camera(224)) - 112)[0, 0].tolist()
    assert {"down": x == 0 and y > 1, "right": x > 1 and y == 0, "middle": x == y == 0}[nose]


def test_zero_pose_puts_the_model_a_metre_away():
    vertices = torch.tensor([[[1.0, 2.0, 3.0]]])
    assert to_camera(vertices, torch.zeros(1, 6)).tolist() == [[[1.0, 2.0, -997.0]]]


def test_translation_is_added_in_the_cameras_frame():
    pose = torch.tensor([[0.3, -0.2, 0.5, 10.0, 20.0, 30.0]])
    moved = to_camera(torch.zeros(1, 1, 3), pose)
    assert torch.allclose(moved, torch.tensor([[[10.0, 20.0, -970.0]]]))


def test_pixels_run_right_and_down():
    vertices = torch.tensor([[[0.0, 0.0, -1000.0], [10.0, 0.0, -1000.0], [0.0, 10.0, -1000.0]]])
    expected = [[112.0, 112.0], [112 + 10.1472, 112.0], [112.0, 112 - 10.1472]]
    assert torch.allclose(project(vertices, Camera(224))[0], torch.tensor(expected))


def test_clip_positions_and_pixels_agree(points):
    camera = Camera(100)
    x, y, _, w = clip_positions(points, camera).unbind(-1)
    pixels = torch.stack([(x / w + 1) / 2 * 100, (1 - y / w) / 2 * 100], dim=-1)
    assert torch.allclose(pixels, project(points, camera))
    assert torch.allclose(w, -points[..., 2])


def test_depth_runs_from_near_to_far():
    camera = Camera(64, near=50.0, far=2000.0)
    points = torch.tensor([[[5.0, 5.0, -50.0], [5.0, 5.0, -2000.0]]], dtype=torch.float64)
    _, _, z, w = clip_positions(points, camera).unbind(-1)
    assert torch.allclose(z / w, torch.tensor([[-1.0, 1.0]], dtype=torch.float64))


def test_gradients(points):
    pose = torch.tensor([[0.1, 0.2, -0.3, 5.0, 6.0, 7.0]] * 2, dtype=torch.float64)
    model_points = points + torch.tensor([0.0, 0.0, 1000.0])
    for function in (project, clip_positions):
        assert torch.autograd.gradcheck(
            lambda v, p, function=function: function(to_camera(v, p), Camera(10)),
            (model_points.requires_grad_(), pose.requires_grad_()),
        )
