"""`occfit.load`: what it reads, what it refuses, what a fit holds."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage import data

import occfit
from occfit.errors import OccfitError
from occfit.runs.checkpoint import read_checkpoint, write_checkpoint

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def fitter(checkpoint) -> "occfit.FaceFitter":
    return occfit.load(checkpoint)


@pytest.fixture
def landmarks(fitter) -> np.ndarray:
    """The mean face's landmarks, 3 times as large, turned by a quarter of a radian, anywhere in a photograph."""
    cosine, sine = 3 * math.cos(0.25), 3 * math.sin(0.25)
    return (fitter.template @ np.array([[cosine, sine], [-sine, cosine]]) + [120, 60]).astype(np.float32)


@pytest.fixture
def photo() -> np.ndarray:
    return data.astronaut()[:400]


def test_the_mean_face_lands_on_its_landmarks(fitter, photo, landmarks):
    """The way there and back: template -> photograph -> aligned -> fit of the mean face -> photograph."""
    fit = fitter(photo, landmarks)
    size = fitter.checkpoint.size
    assert fit.image.shape == (1, 3, size, size)
    np.testing.assert_allclose(fit.rendering.landmarks[0], fitter.template, atol=1e-3)
    rows, columns = np.nonzero(fit.face_region)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    assert columns.min() < low[0] + 10
    assert columns.max() > high[0] - 10
    centre = np.array([columns.mean(), rows.mean()])
    assert (low < centre).all()
    assert (centre < high).all()


def test_photograph_arrays_have_the_photograph_s_size(fitter, photo, landmarks):
    fit = fitter(photo, landmarks)
    for array in (fit.visibility, fit.face_region, fit.visible_face, fit.reconstruction, fit.overlay()):
        assert array.shape[:2] == (400, 512)
    assert fit.visibility.min() >= 0
    assert fit.visibility.max() <= 1
    assert not fit.reconstruction[~fit.face_region].any()
    assert fit.reconstruction[fit.face_region].mean() > 20


def test_the_visible_fraction_is_visible_over_rendered(fitter, photo, landmarks):
    fit = fitter(photo, landmarks)
    region = fit.rendering.face_region > 0
    expected = (fit.aligned_visibility[region] > 0.5).float().mean()
    assert fit.visible_fraction == pytest.approx(float(expected))
    assert replace(fit, aligned_visibility=torch.ones_like(region, dtype=torch.float32)).visible_fraction == 1
    nowhere = replace(fit.rendering, face_region=torch.zeros_like(fit.rendering.face_region))
    assert math.isnan(replace(fit, rendering=nowhere).visible_fraction)


def test_beyond_the_photograph_nothing_is_visible(fitter, photo, landmarks):
    """A face cut by the border: what the padding would show counts as hidden."""
    shifted = landmarks - [landmarks[:, 0].mean(), 0]
    fit = fitter(photo, shifted.astype(np.float32))
    hidden = fit.aligned_visibility[0, 0] == 0
    assert 0.3 < hidden.float().mean() < 0.7
    assert fit.visible_fraction < 0.75


def test_a_batch_is_its_photographs_one_by_one(fitter, photo, landmarks):
    other = photo[:, ::-1].copy()
    together = fitter.batch([photo, other], [landmarks, landmarks])
    alone = [fitter(photo, landmarks), fitter(other, landmarks)]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a.photo, b.photo)
        np.testing.assert_allclose(a.visibility, b.visibility, atol=1e-4)
        np.testing.assert_allclose(a.mesh.vertices, b.mesh.vertices, atol=1e-3)


def test_no_photographs_are_no_fits(fitter):
    assert fitter.batch([], []) == []


def test_landmarks_must_be_as_many_as_images(fitter, photo, landmarks):
    with pytest.raises(OccfitError, match="2 images, but 1"):
        fitter.batch([photo, photo], [landmarks])


def test_the_mesh_is_the_model_s_mean_face_in_millimetres(fitter, photo, landmarks):
    mesh = fitter(photo, landmarks).mesh
    model = fitter.system.renderer.face_model
    np.testing.assert_allclose(mesh.vertices, model.mean_shape)
    np.testing.assert_array_equal(mesh.triangles, model.triangles)
    assert 120 < np.ptp(mesh.vertices[:, 1]) < 320
    assert mesh.colours.min() >= 0
    assert mesh.colours.max() <= 1


BAD_IMAGES = {
    "grey": np.zeros((20, 20), np.uint8),
    "four channels": np.zeros((20, 20, 4), np.uint8),
    "no pixels": np.zeros((0, 20, 3), np.uint8),
    "16-bit": np.zeros((20, 20, 3), np.uint16),
    "floats to 255": np.full((20, 20, 3), 255.0),
    "nan": np.full((20, 20, 3), math.nan),
    "channels last": torch.zeros(20, 20, 3),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_an_array_of_another_form_is_refused(fitter, landmarks, kind):
    with pytest.raises(OccfitError, match="The image"):
        fitter(BAD_IMAGES[kind], landmarks)


@pytest.mark.parametrize("bad", [np.zeros((67, 2)), np.zeros((68, 3)), np.full((68, 2), math.nan)])
def test_bad_landmark_arrays_are_refused(fitter, photo, bad):
    with pytest.raises(OccfitError, match="landmarks"):
        fitter(photo, bad)


@pytest.mark.parametrize("bad", [np.full((68, 2), "a"), np.ones((68, 2), complex), np.ones((68, 2), bool)])
def test_landmarks_that_are_no_numbers_are_refused(fitter, photo, bad):
    with pytest.raises(OccfitError, match="The landmarks hold"):
        fitter(photo, bad)


def test_other_python_objects_are_refused():
    """In a process of its own: the tests' type checker would refuse them first."""
    code = """if True:
        from occfit import OccfitError
        from occfit.fitting.inputs import as_landmarks, as_photo
        for read in (as_photo, as_landmarks):
            for value in (None, [[1, 2]] * 68, 3):
                try:
                    read(value)
                except OccfitError as error:
                    print(error)
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert [line.split(" ")[1] for line in lines] == ["image"] * 3 + ["landmarks"] * 3
    assert "list" in lines[1]


def test_bfloat16_tensors_are_read(fitter, photo, landmarks):
    image = torch.from_numpy(photo).permute(2, 0, 1).bfloat16() / 255
    assert fitter(image, torch.from_numpy(landmarks).bfloat16()).photo.shape == photo.shape


def test_the_initialisation_s_checkpoint_is_a_system_too(checkpoint, photo, landmarks):
    """Its mask is equation 9's, so it is decided, and inside the rendered region."""
    fit = occfit.load(checkpoint.with_name("initialise.ckpt"))(photo, landmarks)
    assert set(fit.aligned_visibility.unique().tolist()) <= {0.0, 1.0}
    assert not (fit.aligned_visibility * (1 - fit.rendering.face_region)).any()


def test_loading_computes_the_same_twice(checkpoint, photo, landmarks):
    first, second = (occfit.load(checkpoint)(photo, landmarks) for _ in range(2))
    np.testing.assert_array_equal(first.visibility, second.visibility)


def test_a_checkpoint_of_another_face_model_is_refused(checkpoint, tmp_path):
    content = read_checkpoint(checkpoint)
    content["occfit"]["face_model"] = "0" * 64
    write_checkpoint(tmp_path / "other.ckpt", content)
    with pytest.raises(OccfitError, match=r"another face model.*other\.ckpt"):
        occfit.load(tmp_path / "other.ckpt")


def test_a_checkpoint_of_other_networks_is_refused(checkpoint, tmp_path):
    content = read_checkpoint(checkpoint)
    del content["state_dict"][next(key for key in content["state_dict"] if key.startswith("segmenter."))]
    write_checkpoint(tmp_path / "other.ckpt", content)
    with pytest.raises(OccfitError, match="segmenter is another network"):
        occfit.load(tmp_path / "other.ckpt")


def test_a_system_that_was_trained_with_nvdiffrast_loads_without_it(checkpoint, tmp_path, photo, landmarks):
    content = read_checkpoint(checkpoint)
    content["occfit"]["config"]["rasterizer"]["name"] = "nvdiffrast"
    write_checkpoint(tmp_path / "other.ckpt", content)
    found, expected = (occfit.load(path)(photo, landmarks) for path in (tmp_path / "other.ckpt", checkpoint))
    np.testing.assert_array_equal(found.reconstruction, expected.reconstruction)


def test_a_torn_checkpoint_is_refused(checkpoint, tmp_path):
    (tmp_path / "torn.ckpt").write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(OccfitError, match=r"torn\.ckpt"):
        occfit.load(tmp_path / "torn.ckpt")


FOREIGN = {
    "no entry": {"state_dict": {}},
    "a number for an entry": {"occfit": 3, "state_dict": {}},
    "an empty entry": {"occfit": {}, "state_dict": {}},
    "no weights": {"occfit": {"format": 1, "system": "", "size": 64, "face_model": "", "config": {}}},
    "a list": [1, 2],
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_checkpoint_is_refused(tmp_path, kind):
    torch.save(FOREIGN[kind], tmp_path / "foreign.ckpt")
    with pytest.raises(OccfitError, match="isn't an occfit checkpoint"):
        occfit.load(tmp_path / "foreign.ckpt")


@pytest.mark.parametrize("content", [b"", b"root:x:0:0:root:/root:/bin/bash", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "other.ckpt").write_bytes(content)
    with pytest.raises(OccfitError, match=r"can't be read.*other\.ckpt"):
        occfit.load(tmp_path / "other.ckpt")


def test_a_damaged_weight_is_noticed(checkpoint, tmp_path):
    """torch.load reads over a checksum that is wrong."""
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "damaged.ckpt").write_bytes(content)
    with pytest.raises(OccfitError, match=r"torn.*damaged\.ckpt"):
        occfit.load(tmp_path / "damaged.ckpt")


def test_a_missing_checkpoint_says_where_a_run_keeps_it(tmp_path):
    with pytest.raises(OccfitError, match=r"checkpoints/last\.ckpt"):
        occfit.load(tmp_path / "nowhere.ckpt")


@pytest.mark.parametrize("device", ["cuda:9", "gpu", "meta"])
def test_a_device_that_is_not_here_is_refused(checkpoint, device):
    with pytest.raises(OccfitError, match=f"can't compute on '{device}'"):
        occfit.load(checkpoint, device=device)


def test_a_checkpoint_can_t_call_what_it_likes(checkpoint, tmp_path):
    content = read_checkpoint(checkpoint)
    content["occfit"]["config"]["face_model"] = {"_target_": "os.system", "command": "true"}
    write_checkpoint(tmp_path / "evil.ckpt", content)
    with pytest.raises(OccfitError, match=r"os\.system"):
        occfit.load(tmp_path / "evil.ckpt")


def test_a_face_is_occluded_below_the_documented_share(fitter, photo, landmarks):
    fit = fitter(photo, landmarks)
    hidden, shown = torch.zeros_like(fit.aligned_visibility), torch.ones_like(fit.aligned_visibility)
    assert replace(fit, aligned_visibility=hidden).is_occluded
    assert not replace(fit, aligned_visibility=shown).is_occluded
    assert replace(fit, regions=torch.zeros_like(fit.regions)).is_occluded
    fringe = 1 - fit.regions[:, 4:].float()
    assert not replace(fit, aligned_visibility=fringe).is_occluded
    mask = 1 - fit.regions[:, 1:3].any(dim=1, keepdim=True).float()
    assert replace(fit, aligned_visibility=mask).is_occluded


def test_the_fitted_landmarks_lie_on_the_photograph(fitter, photo, landmarks):
    fit = fitter(photo, landmarks)
    aligned = fit.alignment.to_aligned(fit.landmarks)
    np.testing.assert_allclose(aligned, fit.rendering.landmarks[0].numpy(), atol=1e-3)


def test_a_photograph_without_a_face_needs_landmarks(fitter):
    with pytest.raises(OccfitError, match="No face was found"):
        fitter(np.full((120, 160, 3), 90, np.uint8))


def test_refinement_can_be_switched_off(fitter, photo, landmarks):
    fitter.refinement, settings = None, fitter.refinement
    try:
        fit = fitter(photo, landmarks)
    finally:
        fitter.refinement = settings
    assert not fit.is_refined
    assert not fit.params.to_vector().any(), "the encoder hasn't learned anything"


def test_photographs_of_different_sizes_go_through_as_one_batch(fitter, photo, landmarks):
    """Many times, since the tests' type checker looks at one of them at random."""
    template = fitter.template
    fitter.refinement, settings = None, fitter.refinement
    try:
        for _ in range(6):
            fits = fitter.batch([photo, photo[:300, :450].copy()], [landmarks, 2 * template])
            assert [fit.photo.shape[:2] for fit in fits] == [(400, 512), (300, 450)]
    finally:
        fitter.refinement = settings
