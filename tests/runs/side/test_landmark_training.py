"""The landmark network's crops show what their labels say, and it learns from them."""

import numpy as np
import pytest
import torch

from occfit.cache import cache_dir
from occfit.data.synthetic import WorldConfig, prepare_synthetic
from occfit.errors import OccfitError
from occfit.face_model import builtin_face_model
from occfit.metrics.reconstruction import landmark_nme
from occfit.networks.landmark_network import CROP_SIZE
from occfit.runs.side.landmark_training import (
    FROM_FIRST_ANSWER,
    Crops,
    CropSource,
    LandmarkTraining,
    cut_padded,
    face_jitter,
    faceless_jitter,
    landmark_report,
    landmark_training_loss,
    mirrored,
    train_landmarks,
    training_crops,
)

pytestmark = pytest.mark.unit

STAY = np.eye(2, 3)


@pytest.fixture(scope="module")
def source() -> CropSource:
    model = builtin_face_model("coarse")
    world = WorldConfig(size=64, train=32, validation=16, test=16)
    stores = prepare_synthetic(
        world, model, cache_dir() / "data", workers=0, progress=False, splits=["train"]
    )
    return CropSource(stores["train"], model)


def test_unmoved_crops_have_the_stored_pictures_landmarks(source):
    indices = np.arange(8)
    crops = source.cut(indices, [STAY] * 8, np.ones(8, bool))
    detected = torch.from_numpy(source.store.arrays(indices)["landmarks"])
    assert landmark_nme(crops.landmarks, detected).mean() < 0.05, "true points are near the detected ones"
    assert crops.image.shape == (8, 3, CROP_SIZE, CROP_SIZE)


def test_a_picture_and_its_points_move_together():
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[20, 40] = 255
    matrix = np.array([[0.0, -1.0, 64.0], [1.0, 0.0, 0.0]])
    crop = cut_padded(picture, matrix)
    row, column = np.unravel_index(crop[..., 0].argmax(), crop.shape[:2])
    np.testing.assert_allclose([column + 0.5, row + 0.5], matrix[:, :2] @ [40.5, 20.5] + matrix[:, 2])


def test_faces_stay_near_their_place_and_faceless_crops_have_none_there(source):
    rng = np.random.default_rng(0)
    template = source.landmarks[0] * CROP_SIZE / source.size
    for make, is_near in ((face_jitter, True), (faceless_jitter, False)):
        for _ in range(200):
            matrix = make(rng)
            moved = template @ matrix[:, :2].T + matrix[:, 2]
            scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
            shift = np.abs(moved.mean(axis=0) - template.mean(axis=0)).max()
            assert (shift < 0.3 * CROP_SIZE and 0.65 < scale < 1.5) == is_near


def test_mirroring_renames_the_points(source):
    crops = source.cut(np.arange(16), [STAY] * 16, np.ones(16, bool))
    flipped = mirrored(crops, np.random.default_rng(1))
    changed = (flipped.image != crops.image).flatten(1).any(dim=1)
    assert 0 < changed.sum() < 16
    torch.testing.assert_close(
        flipped.landmarks[changed][:, 36, 0], CROP_SIZE - crops.landmarks[changed][:, 45, 0]
    )
    assert (flipped.landmarks[:, 36, 0] < flipped.landmarks[:, 45, 0]).all()


def test_the_loss_counts_points_only_where_there_is_a_face():
    points = torch.rand(2, 68, 2)
    crops = Crops(torch.zeros(2, 3, CROP_SIZE, CROP_SIZE), points + 1, torch.tensor([True, False]))
    off = landmark_training_loss(points, torch.tensor([9.0, -9.0]), crops, sureness=0.0)
    assert off.item() == pytest.approx(2**0.5 / CROP_SIZE, rel=1e-3)
    wrong = torch.tensor([[5.0], [-5.0]])
    losses = [landmark_training_loss(points, sign * wrong[:, 0], crops, 1.0) for sign in (1, -1)]
    assert losses[0] < losses[1]


def test_training_lowers_the_error_and_repeats_to_the_bit(source):
    model = builtin_face_model("coarse")
    before = landmark_report(train_landmarks(quick(steps=1), source, model, seed=0), source, seed=0)
    losses = []
    network = train_landmarks(quick(), source, model, seed=0, on_step=lambda step, loss: losses.append(loss))
    again = train_landmarks(quick(), source, model, seed=0)
    assert landmark_report(network, source, seed=0)["nme_box"] < before["nme_box"]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    for one, other in zip(network.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def quick(**changes) -> LandmarkTraining:
    return LandmarkTraining(**({"width": 8, "steps": 60, "batch": 16} | changes))


def test_every_batch_is_in_range_and_has_faces_and_others(source):
    crops = training_crops(source, 64, 0.2, np.random.default_rng(0))
    assert 0 <= crops.image.min() <= crops.image.max() <= 1
    assert 0 < (~crops.is_face).sum() < 32


def test_a_loss_that_is_no_number_is_an_error(source):
    with pytest.raises(OccfitError, match="no number"):
        train_landmarks(quick(learning_rate=1e30), source, builtin_face_model("coarse"), seed=0)


def test_a_store_without_true_parameters_is_refused(tmp_path):
    from occfit.data.store import PreparedStore, StoreWriter

    with StoreWriter(tmp_path / "store") as writer:
        writer.add(image=np.zeros((2, 16, 16, 3), np.uint8), landmarks=np.zeros((2, 68, 2), np.float32))
    with pytest.raises(OccfitError, match="no true parameters"):
        CropSource(PreparedStore(tmp_path / "store"), builtin_face_model("coarse"))


def test_a_jitter_of_nothing_stays():
    still = type(FROM_FIRST_ANSWER)(0, 0, 0).draw(np.random.default_rng(0))
    np.testing.assert_allclose(still, STAY, atol=1e-12)
