from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from occfit.data.alignment import align
from occfit.data.synthetic.contact_sheets import annotate, occluder_sheet, split_sheet
from occfit.data.synthetic.faces import Face
from occfit.data.synthetic.occluders import KINDS
from occfit.data.synthetic.painting import paint, true_masks
from occfit.data.synthetic.priors import Setting
from occfit.data.synthetic.sensor import photograph
from occfit.data.synthetic.splits import Plan
from occfit.data.synthetic.workshop import render_samples
from occfit.data.synthetic.world import (
    BLOCK,
    Samples,
    WorldConfig,
    make_studio,
    render_block,
    split_digest,
    world_digest,
)
from occfit.face_model import MorphableModel
from occfit.rendering.rasterize import make_rasterizer
from occfit.rendering.renderer import FaceRenderer
from occfit.types import FaceParams

pytestmark = pytest.mark.unit


def joined(blocks) -> Samples:
    parts = list(blocks)
    return Samples(**{key: np.concatenate([getattr(p, key) for p in parts]) for key in vars(parts[0])})


def assert_equal(first: Samples, second: Samples) -> None:
    for key in vars(first):
        np.testing.assert_array_equal(getattr(first, key), getattr(second, key), err_msg=key)


@pytest.fixture(scope="module")
def train(config: WorldConfig, face_model: MorphableModel) -> Samples:
    return joined(render_samples(config, "train", 40, face_model))


def test_samples_have_their_shapes(train: Samples, config: WorldConfig):
    assert len(train) == 40
    assert train.image.shape == (40, 64, 64, 3)
    assert train.image.dtype == np.uint8
    assert train.visibility.shape == (40, 64, 64)
    assert train.params.shape == (40, 257)
    assert train.params.dtype == train.landmarks.dtype == np.float32
    assert np.isfinite(train.params).all()
    assert np.isfinite(train.landmarks).all()


def test_a_sample_does_not_depend_on_what_is_drawn_with_it(
    train: Samples, config: WorldConfig, face_model: MorphableModel
):
    studio = make_studio(config, face_model)
    assert_equal(render_block(config, "train", 1, studio), train[BLOCK : 2 * BLOCK])
    assert_equal(joined(render_samples(config, "train", 7, face_model)), train[:7])


def test_threads_do_not_change_a_sample(train: Samples, config: WorldConfig, face_model: MorphableModel):
    torch.set_num_threads(2)
    samples = joined(render_samples(config, "train", 8, face_model))
    assert torch.get_num_threads() == 2
    assert_equal(samples, train[:8])


@pytest.mark.slow
def test_processes_do_not_change_a_sample(train: Samples, config: WorldConfig, face_model: MorphableModel):
    assert_equal(joined(render_samples(config, "train", 40, face_model, workers=2)), train)


def test_another_seed_is_another_world(train: Samples, config: WorldConfig, face_model: MorphableModel):
    other = joined(render_samples(replace(config, seed=4), "train", 4, face_model))
    assert np.abs(other.params - train.params[:4]).max() > 0.1
    assert (other.image != train.image[:4]).mean() > 0.9


def test_neutral_faces_are_visible_wherever_they_project(config: WorldConfig, face_model: MorphableModel):
    samples = joined(render_samples(config, "neutral", 16, face_model))
    assert set(samples.kind) == {0}
    renderer = FaceRenderer(face_model, make_rasterizer("numba"), config.size)
    with torch.no_grad():
        region = renderer(FaceParams.from_vector(torch.from_numpy(samples.params))).face_region[:, 0] > 0.5
    both = (region.numpy() & samples.visibility).sum(axis=(1, 2))
    either = (region.numpy() | samples.visibility).sum(axis=(1, 2))
    assert (both / either).min() > 0.93


def test_true_parameters_explain_the_picture(faces: list[Face], face_model: MorphableModel):
    """In the canvas' camera, up to the warp that the model can't express (under 3 mm)."""
    size = faces[0].scene.size
    renderer = FaceRenderer(face_model, make_rasterizer("numba"), size)
    params = FaceParams.from_vector(torch.from_numpy(np.stack([face.params for face in faces])))
    with torch.no_grad():
        rendering = renderer(params)
    for index, face in enumerate(faces):
        distance = np.linalg.norm(rendering.landmarks[index].numpy() - face.scene.landmarks, axis=1)
        assert distance.mean() < 2 * face.scene.scale
        assert distance.max() < 5 * face.scene.scale
        assert distance.mean() > 0.05 * face.scene.scale, "the face is exactly in the model's span"
        rendered = rendering.face_region[index, 0].numpy()
        assert (rendered != face.scene.region).sum() < 0.05 * rendered.sum()


def test_detected_landmarks_already_lie_on_the_template(
    faces: list[Face], config: WorldConfig, face_model: MorphableModel
):
    template = make_studio(config, face_model).template
    matrices = np.stack([align(face.detected, template).matrix for face in faces])
    np.testing.assert_allclose(matrices[:, :, :2], np.broadcast_to(np.eye(2), (len(faces), 2, 2)), atol=2e-3)
    np.testing.assert_allclose(matrices[:, :, 2], 0, atol=0.15)


def test_landmarks_are_in_the_picture(train: Samples, config: WorldConfig):
    assert (train.landmarks > -0.06 * config.size).all()
    assert (train.landmarks < 1.06 * config.size).all()


@pytest.mark.parametrize("kind", KINDS[1:])
def test_masks_follow_from_the_layers(faces: list[Face], config: WorldConfig, kind: str):
    plan = Plan("train", 0, Setting.WILD, ((kind, False),))
    painting = paint(faces[2], plan, config.seed, "train", 2, config.size)
    factor = config.supersampling
    cells = [
        plane.reshape(config.size, factor, config.size, factor).mean(axis=(1, 3))
        for plane in (painting.region, painting.hidden)
    ]
    np.testing.assert_array_equal(painting.visibility, (cells[0] >= 0.5) & (cells[1] < 0.5))
    bare = paint(faces[2], Plan("train", 0, Setting.WILD, ()), config.seed, "train", 2, config.size)
    assert not (painting.visibility & ~bare.visibility).any()
    np.testing.assert_array_equal(bare.hidden, 0)


def test_pixels_far_from_an_occluder_stay_as_they_were(faces: list[Face], config: WorldConfig):
    """An occluder changes what it covers and shades, and nothing of the rest (but for JPEG)."""
    plain = paint(faces[4], Plan("train", 0, Setting.STUDIO, ()), config.seed, "train", 4, config.size)
    dressed = paint(
        faces[4],
        Plan("train", 0, Setting.STUDIO, (("sunglasses", False),)),
        config.seed,
        "train",
        4,
        config.size,
    )
    reach = cv2.dilate(dressed.hidden, np.ones((3, 3)), iterations=14)
    far = cv2.resize(reach, (config.size, config.size), interpolation=cv2.INTER_AREA) == 0
    difference = np.abs(plain.image.astype(int) - dressed.image.astype(int)).max(axis=-1)
    assert far.mean() > 0.2
    assert difference[far].mean() < 4
    assert difference[~far & ~dressed.visibility & plain.visibility].mean() > 20


def test_half_covered_pixels_count_as_face():
    region, hidden = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32)
    region[:, 1:] = 1
    hidden[2:] = 0.5
    hidden[:2, 2:] = 0.49
    visible, face = true_masks(region, hidden, 2)
    np.testing.assert_array_equal(visible, [[True, True], [False, False]])
    np.testing.assert_array_equal(face, [[True, True], [True, True]])


def test_faces_differ_in_brightness_and_none_is_black_or_burnt(train: Samples):
    means = np.array([i[v].mean() for i, v in zip(train.image, train.visibility, strict=True) if v.any()])
    assert means.min() > 12
    assert means.max() < 240
    assert means.std() > 15


@pytest.mark.parametrize("size", [112, 224])
def test_other_sizes_show_the_same_scene(train: Samples, config: WorldConfig, face_model, size: int):
    larger = make_studio(replace(config, size=size), face_model)
    plans = [Plan("train", 0, Setting.WILD, (("mask", False),))]
    face = larger.draw(config.seed, "train", range(1), plans)[0]
    painting = paint(face, plans[0], config.seed, "train", 0, size)
    assert painting.image.shape == (size, size, 3)
    reference = make_studio(config, face_model).draw(config.seed, "train", range(1), plans)[0]
    np.testing.assert_allclose(face.detected * config.size / size, reference.detected, atol=0.05)
    np.testing.assert_allclose(face.params, reference.params, atol=0.05)


def test_digest_knows_the_config_and_the_face_model(config: WorldConfig, face_model: MorphableModel):
    changed = {
        "size": 80,
        "seed": 9,
        "train": 41,
        "validation": 9,
        "test": 9,
        "occluded": 0.4,
        "supersampling": 3,
        "varied": True,
    }
    digests = {world_digest(replace(config, **{key: value}), face_model) for key, value in changed.items()}
    digests.add(world_digest(config, face_model))
    buffers = dict(face_model.named_buffers())
    buffers["mean_shape"] = buffers["mean_shape"] + 1e-3
    digests.add(world_digest(config, MorphableModel("other", **buffers)))
    assert len(digests) == len(changed) + 2
    more_training = replace(config, train=99)
    assert split_digest(more_training, face_model, "scarf", 8) == split_digest(config, face_model, "scarf", 8)
    assert split_digest(config, face_model, "scarf", 9) != split_digest(config, face_model, "scarf", 8)


def test_a_camera_keeps_what_it_sees():
    picture = np.zeros((128, 128, 3), np.float32)
    picture[..., 0], picture[:64, :, 1] = 0.8, 0.5
    shots = [photograph(picture, np.random.default_rng(0), 64, Setting.STUDIO) for _ in range(2)]
    np.testing.assert_array_equal(shots[0], shots[1])
    assert shots[0].shape == (64, 64, 3)
    assert shots[0][:, :, 0].mean() == pytest.approx(204, abs=25)
    assert shots[0][:20, :, 1].mean() > 90 > 20 > shots[0][44:, :, 1].mean()


def test_a_varied_world_has_other_training_pictures_and_the_same_test_pictures(
    config: WorldConfig, face_model: MorphableModel, train: Samples
):
    varied, studio = replace(config, varied=True), make_studio(config, face_model)
    block = render_block(varied, "train", 0, studio)
    assert (block.image != train.image[:BLOCK]).mean() > 0.5
    assert np.isfinite(block.params).all()
    assert_equal(render_block(varied, "scarf", 0, studio), render_block(config, "scarf", 0, studio))


def test_contact_sheets(config: WorldConfig, face_model: MorphableModel, train: Samples):
    assert split_sheet(config, face_model, "scarf", 5, columns=3).shape == (2 * 128, 3 * 64, 3)
    assert occluder_sheet(config, face_model, "hand", False).shape == (2 * 64, 8 * 64, 3)
    marked = annotate(train[:2])
    assert (marked[~train.visibility[:2]][:, 2] >= 120).mean() > 0.95
