"""Faces are found where they are, each once, and nowhere else."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from occfit.data.alignment import align
from occfit.data.detection import DetectedFace
from occfit.data.detection.builtin import (
    BOX_ABOVE,
    BOX_PER_FACE,
    BuiltinDetector,
    box_to_crop,
    boxes_everywhere,
    builtin_detector,
    varied,
)
from occfit.data.detection.cascade import cascade_boxes
from occfit.data.detection.detected_faces import distinct
from occfit.data.detection.detectors import make_detector
from occfit.data.images import read_landmarks
from occfit.data.similarity import apply
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit

ASTRONAUT = Path(__file__).parents[2] / "apps" / "astronaut.csv"


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return read_landmarks(ASTRONAUT)


def eye_distance(points: np.ndarray) -> float:
    return float(np.linalg.norm(points[36] - points[45]))


def test_the_cascade_finds_the_astronaut(truth):
    boxes = cascade_boxes(data.astronaut())
    off = np.linalg.norm(boxes[:, :2] - truth.mean(axis=0), axis=1) / boxes[:, 2]
    assert (off < 0.4).sum() == 1


def test_a_large_photograph_gives_the_same_box(truth):
    large = np.kron(data.astronaut(), np.ones((2, 2, 1), np.uint8))
    np.testing.assert_allclose(cascade_boxes(large)[0] / 2, cascade_boxes(data.astronaut())[0], atol=8)


def test_landmarks_are_found_on_a_photograph(truth):
    faces = builtin_detector()(data.astronaut())
    assert len(faces) == 1
    assert faces[0].confidence > 0.5
    errors = np.linalg.norm(faces[0].landmarks - truth, axis=1) / eye_distance(truth)
    assert errors[17:].mean() < 0.12


def test_two_faces_come_largest_first(truth):
    photo = data.astronaut()
    both = np.zeros((512, 512 + 256, 3), np.uint8)
    both[:, :512] = photo
    both[:256, 512:] = photo.reshape(256, 2, 256, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
    faces = builtin_detector()(both)
    assert len(faces) == 2
    assert faces[0].centre[0] < 512 < faces[1].centre[0]
    assert faces[0].extent > 1.5 * faces[1].extent


@pytest.mark.parametrize("picture", ["brick", "grass", "coffee", "noise", "black"])
def test_no_face_is_found_where_there_is_none(picture):
    if picture == "noise":
        photo = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    elif picture == "black":
        photo = np.zeros((200, 300, 3), np.uint8)
    else:
        photo = np.asarray(getattr(data, picture)())
        photo = np.repeat(photo[..., None], 3, axis=2) if photo.ndim == 2 else photo
        photo = np.ascontiguousarray(photo[:400, :400])
    assert builtin_detector()(photo) == []


def test_a_box_puts_its_face_where_the_template_has_it(truth):
    template = builtin_detector().template
    width = float(np.ptp(truth[:, 0]))
    centre = truth[17:].mean(axis=0) - [0, BOX_ABOVE * width]
    matrix = box_to_crop(np.array([*centre, BOX_PER_FACE * width]), template)
    crop = apply(matrix, truth)
    np.testing.assert_allclose(crop[17:].mean(axis=0), template[17:].mean(axis=0), atol=1e-4)
    assert np.ptp(crop[:, 0]) == pytest.approx(np.ptp(template[:, 0]), rel=1e-5)


def test_boxes_everywhere_come_near_every_face_of_a_quarter_and_more():
    boxes = boxes_everywhere((300, 500))
    rng = np.random.default_rng(0)
    for _ in range(200):
        side = rng.uniform(0.26, 0.9) * 300
        centre = rng.uniform(side / 2, [500 - side / 2, 300 - side / 2])
        off = np.linalg.norm(boxes[:, :2] - centre, axis=1) / side
        ratio = np.abs(np.log(boxes[:, 2] / side))
        assert ((off < 0.25) & (ratio < 0.2)).any()


def test_the_surest_answer_of_one_face_is_kept():
    points = np.random.default_rng(0).normal(0, 10, (68, 2)).astype(np.float32)
    faces = [DetectedFace(points + shift, sure) for shift, sure in ((0, 0.6), (1, 0.9), (100, 0.7))]
    kept = distinct(faces)
    assert sorted(face.confidence for face in kept) == [0.7, 0.9]
    assert [face.confidence for face in distinct(faces, agreeing=2)] == [0.9]


def test_a_box_is_looked_at_in_five_variants():
    boxes = varied(np.array([[10.0, 20.0, 8.0], [0.0, 0.0, 2.0]]))
    assert boxes.shape == (10, 3)
    np.testing.assert_allclose(boxes[0], [10, 20, 8])
    np.testing.assert_allclose(boxes[5:, :2].mean(axis=0), [0, 0], atol=1e-12)


def test_a_sure_detector_finds_less(truth):
    strict = BuiltinDetector(builtin_detector().network, sure=1.01)
    assert strict(data.astronaut()) == []


def test_the_second_pass_sees_the_face_upright(truth):
    """A crop that is turned by 25 degrees and too small is put right by the first answer."""
    detector = builtin_detector()
    angle = np.deg2rad(25)
    turn = 0.8 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = align(truth, detector.template).matrix
    turned = np.column_stack([turn @ upright[:, :2], turn @ (upright[:, 2] - 32) + 32])
    points, confidence = detector.passes(data.astronaut(), [turned, upright])
    between = eye_distance(truth)
    assert np.linalg.norm(points[0] - points[1], axis=1).mean() < 0.08 * between
    assert (confidence > 0.5).all()


def test_an_unknown_detector_is_refused_with_the_nearest_name():
    with pytest.raises(OccfitError, match="Did you mean 'dlib'"):
        make_detector("dlip")


@pytest.mark.skipif(find_spec("dlib") is not None, reason="dlib is installed")
def test_without_dlib_the_error_names_the_extra():
    with pytest.raises(OccfitError, match=r"occfit\[landmarks-dlib\]"):
        make_detector("dlib")


@pytest.mark.skipif(find_spec("dlib") is None, reason="dlib isn't installed")
def test_dlib_finds_the_astronaut(truth):
    (face,) = make_detector("dlib")(data.astronaut())
    errors = np.linalg.norm(face.landmarks - truth, axis=1) / eye_distance(truth)
    assert errors[17:].mean() < 0.06


def test_fan_names_the_missing_weight_file_and_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(OccfitError, match=r"s3fd-619a316812\.pth") as caught:
        make_detector("fan")
    assert str(tmp_path / "hub" / "checkpoints") in str(caught.value)


@pytest.mark.skipif(find_spec("face_alignment") is not None, reason="face-alignment is installed")
def test_without_face_alignment_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("s3fd-619a316812.pth", "2DFAN4-11f355bf06.pth.tar"):
        (folder / name).touch()
    with pytest.raises(OccfitError, match=r"occfit\[landmarks-fan\]"):
        make_detector("fan")


def test_opencv_without_libgl_is_explained_in_one_line(tmp_path):
    """face-alignment pulls in the OpenCV that has windows; where there is no libGL it can't be imported."""
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')\n"
    )
    code = "import sys; from occfit.cli import main; sys.exit(main(sys.argv[1:]))"
    (tmp_path / "face.png").touch()
    run = subprocess.run(
        [sys.executable, "-c", code, "predict", str(tmp_path / "face.png"), "--out", str(tmp_path / "out")],
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "opencv-python-headless" in run.stderr
