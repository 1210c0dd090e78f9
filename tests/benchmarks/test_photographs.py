"""Painted occluders have the shape that they say, and the scores are those of an independent count."""

import cv2
import numpy as np
import pytest
from PIL import Image

import occfit
from benchmarks.photographs.__main__ import main
from benchmarks.photographs.painters import PAINTERS, Canvas, paint
from benchmarks.photographs.scores import CONDITIONS, Case, cases, find_names, score
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit

EYES, MOUTH = slice(36, 48), slice(48, 68)


@pytest.fixture(scope="module")
def fitter(checkpoint) -> "occfit.FaceFitter":
    return occfit.load(checkpoint)


@pytest.fixture(scope="module")
def landmarks(fitter) -> np.ndarray:
    """The mean face's, as large as a portrait of 200 px."""
    return (fitter.template * (200 / fitter.checkpoint.size) + [30, 40]).astype(np.float32)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.full((300, 260, 3), (190, 150, 130), np.uint8)


@pytest.fixture
def folder(tmp_path, photo, landmarks):
    for name in ("a", "b", "c"):
        for part in ("img", "landmarks", "visible"):
            (tmp_path / part).mkdir(exist_ok=True)
        Image.fromarray(photo).save(tmp_path / "img" / f"{name}.png")
        np.savetxt(tmp_path / "landmarks" / f"{name}.csv", landmarks - 0.5, delimiter=",")
        mask = cv2.fillConvexPoly(
            np.zeros(photo.shape[:2], np.uint8), cv2.convexHull(landmarks.astype(int)), 255
        )
        Image.fromarray(mask).save(tmp_path / "visible" / f"{name}.png")
    return tmp_path


def test_the_face_s_frame(photo, landmarks):
    canvas = Canvas(photo, landmarks)
    frame = canvas.to_face(landmarks)
    np.testing.assert_allclose(frame[36:42].mean(axis=0), [-0.5, 0], atol=1e-6)
    np.testing.assert_allclose(canvas.to_photo(frame), landmarks, atol=1e-3)


@pytest.mark.parametrize("kind", PAINTERS)
def test_what_is_hidden_is_what_was_painted(photo, landmarks, kind):
    for seed in range(4):
        painted = paint(kind, photo, landmarks, seed)
        again = paint(kind, photo, landmarks, seed)
        np.testing.assert_array_equal(painted.photo, again.photo)
        assert 0.01 < painted.hidden.mean() < 0.6
        untouched = (painted.photo == photo).all(axis=2)
        assert not (untouched & painted.hidden).mean() > 0.02
        far = cv2.dilate(painted.hidden.astype(np.uint8), np.ones((61, 61))) == 0
        assert untouched[far].all()


@pytest.mark.parametrize(("kind", "points"), [("sunglasses", EYES), ("mask", MOUTH), ("scarf", MOUTH)])
def test_occluders_cover_what_they_should(photo, landmarks, kind, points):
    shares = []
    for seed in range(6):
        columns, rows = landmarks[points].T.astype(int)
        shares.append(paint(kind, photo, landmarks, seed).hidden[rows, columns].mean())
    assert np.mean(shares) > 0.8


def test_scores_are_an_independent_count(fitter, photo, landmarks, folder):
    case = next(case for case in cases(folder, ["a"]) if case.condition == "sunglasses")
    fit = fitter(case.photo, case.landmarks)
    inside = fit.face_region
    said, true = fit.visibility[inside] > 0.5, case.visible[inside]
    scores = score(case, fit)
    assert scores["accuracy"] == pytest.approx((said == true).mean())
    hidden = (~said & ~true).sum()
    assert scores["occlusion_f1"] == pytest.approx(2 * hidden / ((~said).sum() + (~true).sum()))
    assert scores["coverage"] == pytest.approx((case.face & inside).sum() / case.face.sum())
    everything = score(case, fit, everything=True)
    assert everything["recall"] == 1
    assert everything["precision"] == pytest.approx(true.mean())


def test_halves_share_no_photograph(folder):
    assert find_names(folder, "choose") == ["a", "c"]
    assert find_names(folder, "report") == ["b"]
    found = list(cases(folder, ["a"]))
    assert [case.condition for case in found] == list(CONDITIONS)
    assert all(isinstance(case, Case) and not (case.visible & ~case.face).any() for case in found)


def test_a_whole_run(folder, checkpoint, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    arguments = [str(folder), "--checkpoint", str(checkpoint), "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["photographs", *arguments])
    assert main() == 0
    assert (out / "scores.csv").read_text().count("\n") == 1 + 2 * 2 * len(CONDITIONS)
    assert {path.stem for path in out.glob("*.jpg")} == set(CONDITIONS)
    assert "everything" in capsys.readouterr().out


def test_folders_without_truth_are_refused(tmp_path, folder, monkeypatch, checkpoint, capsys):
    with pytest.raises(OccfitError, match="true mask"):
        find_names(tmp_path / "empty", "both")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(folder / "visible" / "a.png")
    monkeypatch.setattr("sys.argv", ["photographs", str(folder), "--checkpoint", str(checkpoint)])
    assert main() == 2
    assert "size" in capsys.readouterr().err
