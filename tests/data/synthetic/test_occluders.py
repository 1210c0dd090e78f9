import numpy as np
import pytest

from occfit.data.synthetic.faces import Face
from occfit.data.synthetic.occluders import HELD_OUT_KINDS, KINDS, paint_occluder
from occfit.data.synthetic.occluders.glasses import HELD_OUT_SHAPES, SEEN_SHAPES, lens_outline
from occfit.data.synthetic.scene import Layer
from occfit.data.synthetic.textures import HELD_OUT_TEXTURES, SEEN_TEXTURES, choose_texture

pytestmark = pytest.mark.unit

VARIANTS = [(kind, held_out) for kind in KINDS[1:] for held_out in (False, True)]
MOUTH, EYES = slice(48, 68), slice(36, 48)


def alpha_of(face: Face, kind: str, held_out: bool, seed: int) -> tuple[np.ndarray, list[Layer]]:
    hair = np.array([0.1, 0.06, 0.04], np.float32)
    layers = paint_occluder(kind, face.scene, np.random.default_rng(seed), held_out, hair)
    return 1 - np.prod([1 - layer.alpha for layer in layers], axis=0), layers


@pytest.mark.parametrize(("kind", "held_out"), VARIANTS)
def test_layers_are_sound_and_hide_some_of_the_face(faces: list[Face], kind: str, held_out: bool):
    shares = []
    for seed, face in enumerate(faces):
        alpha, layers = alpha_of(face, kind, held_out, seed)
        size = face.scene.size
        for layer in layers:
            assert layer.colour.shape == (size, size, 3)
            assert layer.colour.dtype == layer.alpha.dtype == np.float32
            assert np.isfinite(layer.colour).all()
            assert layer.alpha.min() >= 0
            assert layer.alpha.max() <= 1
            assert layer.lift > 0
        shares.append(((alpha > 0.5) * face.scene.region).sum() / face.scene.region.sum())
    assert 0.02 < np.mean(shares) < 0.7
    assert np.max(shares) < 0.97


@pytest.mark.parametrize(
    ("kind", "points", "share"),
    [("sunglasses", EYES, 0.75), ("scarf", MOUTH, 0.6), ("mask", MOUTH, 0.95), ("microphone", MOUTH, 0.4)],
)
def test_occluders_sit_where_they_belong(faces: list[Face], kind: str, points: slice, share: float):
    hidden = []
    for seed, face in enumerate(faces):
        alpha, _ = alpha_of(face, kind, kind in HELD_OUT_KINDS, seed)
        columns, rows = np.clip(face.scene.landmarks[points].T.astype(int), 0, face.scene.size - 1)
        hidden.append((alpha[rows, columns] > 0.5).mean())
    assert np.mean(hidden) > share


def test_clear_glasses_let_the_eyes_through(faces: list[Face]):
    hidden = []
    for seed, face in enumerate(faces):
        alpha, _ = alpha_of(face, "glasses", False, seed)
        columns, rows = face.scene.landmarks[EYES].T.astype(int)
        hidden.append((alpha[rows, columns] > 0.5).mean())
    assert np.mean(hidden) < 0.25


@pytest.mark.parametrize("kind", KINDS[1:])
def test_edges_are_soft(faces: list[Face], kind: str):
    alpha, _ = alpha_of(faces[0], kind, kind in HELD_OUT_KINDS, 1)
    assert ((alpha > 0.1) & (alpha < 0.9)).sum() > 20


@pytest.mark.parametrize("kind", KINDS[1:])
def test_same_seed_same_picture(faces: list[Face], kind: str):
    first, second = (alpha_of(faces[1], kind, False, 5)[1] for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.colour, other.colour)
        np.testing.assert_array_equal(one.alpha, other.alpha)


@pytest.mark.parametrize("shape", [*SEEN_SHAPES, *HELD_OUT_SHAPES])
def test_lenses_have_their_measures(shape: str):
    outline = lens_outline(shape, 52, 42)
    assert np.ptp(outline[:, 0]) == pytest.approx(52, rel=0.15)
    assert np.ptp(outline[:, 1]) == pytest.approx(42, rel=0.3)


@pytest.mark.parametrize("texture", [*SEEN_TEXTURES, *HELD_OUT_TEXTURES])
def test_textures_are_colours(texture):
    u, v = np.meshgrid(np.linspace(-90, 90, 96, dtype=np.float32), np.linspace(-90, 90, 96, dtype=np.float32))
    for seed in range(5):
        albedo = texture(u, v, np.random.default_rng(seed))
        assert albedo.shape == (96, 96, 3)
        assert albedo.min() >= 0
        assert albedo.max() <= 1


def test_held_out_textures_are_others():
    assert not set(SEEN_TEXTURES) & set(HELD_OUT_TEXTURES)
    for seed in range(20):
        assert choose_texture(np.random.default_rng(seed), True) in HELD_OUT_TEXTURES
        assert choose_texture(np.random.default_rng(seed), False) in SEEN_TEXTURES
