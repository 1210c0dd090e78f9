import numpy as np
import pytest

from occfit.face_model.builtin.gaussian_process import Controls, mirror_processes, principal_rotation

pytestmark = pytest.mark.unit

SCALES = ((1.5, 30.0), (0.5, 12.0))


@pytest.fixture
def controls() -> Controls:
    random = np.random.default_rng(0)
    positions = random.uniform([0, -80, -40], [70, 80, 20], (40, 3))
    weights = random.uniform(0.5, 2.0, 40)
    return Controls(positions, weights / weights.sum())


def kernel(a: np.ndarray, b: np.ndarray) -> float:
    """The kernel of the docstring, one pair of points at a time."""
    squared = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    return sum(deviation**2 * np.exp(-squared / (2 * length**2)) for deviation, length in SCALES)


def test_all_eigenfunctions_give_back_the_kernel(controls: Controls):
    even, odd = mirror_processes(controls, SCALES, 40)(controls.positions)
    mirror = np.array([-1, 1, 1])
    for i, j in ((0, 0), (3, 17), (39, 8)):
        a, b = controls.positions[i], controls.positions[j]
        assert even[i] @ even[j] == pytest.approx(kernel(a, b) + kernel(a, b * mirror), rel=1e-6)
        assert odd[i] @ odd[j] == pytest.approx(kernel(a, b) - kernel(a, b * mirror), rel=1e-6, abs=1e-9)


def test_eigenfunctions_are_orthogonal_and_sorted(controls: Controls):
    for values in mirror_processes(controls, SCALES, 15)(controls.positions):
        gram = values.T @ (controls.weights[:, None] * values)
        np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-10)
        assert (np.diff(np.diag(gram)) <= 0).all()


def test_even_and_odd_functions_anywhere(controls: Controls):
    random = np.random.default_rng(1)
    places = random.uniform(-70, 70, (5000, 3))
    evaluate = mirror_processes(controls, SCALES, 8)
    even, odd = evaluate(places)
    mirrored_even, mirrored_odd = evaluate(places * [-1, 1, 1])
    np.testing.assert_allclose(mirrored_even, even, atol=1e-12)
    np.testing.assert_allclose(mirrored_odd, -odd, atol=1e-12)


def test_functions_do_not_depend_on_the_other_points(controls: Controls):
    places = np.random.default_rng(2).uniform(-70, 70, (4500, 3))
    evaluate = mirror_processes(controls, SCALES, 8)
    np.testing.assert_allclose(evaluate(places)[0][4200:4210], evaluate(places[4200:4210])[0], atol=1e-12)


def test_principal_rotation_keeps_the_variance():
    random = np.random.default_rng(0)
    factors, weights = random.normal(size=(30, 3, 12)), random.uniform(0.1, 1.0, 30)
    rotation = principal_rotation(factors, weights, 12)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(12), atol=1e-12)
    modes = factors @ rotation
    gram = np.einsum("n,nda,ndb->ab", weights, modes, modes)
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-9)
    np.testing.assert_allclose((modes**2).sum(axis=-1), (factors**2).sum(axis=-1), rtol=1e-9)
    assert np.diff(np.diag(gram)).max() <= 0
