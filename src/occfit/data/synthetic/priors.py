"""Who is in a picture, how the face moves, and in which light it stands."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from occfit.data.synthetic.drawing import hsv
from occfit.data.synthetic.scene import harmonics
from occfit.types import PARAMETER_SIZES

STANDARD_LIGHT = 0.7 * 2 * np.pi


class Setting(StrEnum):
    """Where a picture is taken.

    `STUDIO`: neutral light and background, frontal, mild expression, a good camera. `WILD`: anywhere. `VARIED`: more
    than photographs vary, so that they are nothing new: also laughs and shut eyes, beards, painted brows, hard and
    coloured light, bad cameras.
    """

    STUDIO = "studio"
    WILD = "wild"
    VARIED = "varied"


@dataclass(frozen=True)
class Person:
    """What stays the same between two pictures of one person.

    Attributes:
        shape, albedo: standard deviations of the face model.
        hair: the hair's albedo.
        long_hair: whether it falls to the shoulders.
        age: from 0, a smooth skin, to 1, deep wrinkles.
        beard: the strength of the stubble, 0 for none.
        detail_seed: the seed of the moles, freckles and lines.
    """

    shape: Float[ndarray, " s"]
    albedo: Float[ndarray, " a"]
    hair: Float[ndarray, " 3"]
    long_hair: bool
    age: float
    beard: float
    detail_seed: int


def _truncated_normal(rng: np.random.Generator, count: int, scale: float = 1.0) -> Float[ndarray, " n"]:
    """Normal draws, redrawn as uniform ones beyond 2.5 deviations, where a face model stops being a face."""
    values = rng.standard_normal(count)
    return (np.where(np.abs(values) > 2.5, rng.uniform(-2.5, 2.5, count), values) * scale).astype(np.float32)


def draw_person(rng: np.random.Generator) -> Person:
    grey = rng.random() < 0.18
    hue, saturation = rng.uniform(0.03, 0.11), rng.uniform(0.25, 0.7)
    hair = hsv(
        hue, 0.08 if grey else saturation, rng.uniform(0.3, 0.62) if grey else 0.04 + 0.6 * rng.beta(0.9, 3)
    )
    return Person(
        shape=_truncated_normal(rng, PARAMETER_SIZES["shape"]),
        albedo=_truncated_normal(rng, PARAMETER_SIZES["albedo"]),
        hair=hair,
        long_hair=bool(rng.random() < 0.45),
        age=float(rng.beta(1.2, 2.2)),
        beard=float(rng.uniform(0.2, 1)) if rng.random() < 0.3 else 0.0,
        detail_seed=int(rng.integers(2**31)),
    )


def draw_expression(rng: np.random.Generator, setting: Setting) -> Float[ndarray, " e"]:
    """Neutral to mild in the studio; anything up to a laugh outside, and often one in a varied setting."""
    scale = rng.uniform(0.1, 0.45) if setting is Setting.STUDIO else rng.uniform(0.25, 1.0)
    values = _truncated_normal(rng, PARAMETER_SIZES["expression"], scale)
    if setting is Setting.VARIED:
        _open_mouth_or_shut_eyes(rng, values)
    return values


JAW, LIDS, SMILE, UPPER_LIP, LOWER_LIP = 0, 1, 2, 5, 6
"""Of the built-in model's expression components (`face_model.expressions.named_expressions`)."""


def _open_mouth_or_shut_eyes(rng: np.random.Generator, expression: Float[ndarray, " e"]) -> None:
    """Teeth in every third picture, an open mouth without them or shut eyes now and then; in place."""
    kind = rng.random()
    if kind < 0.35:
        expression[[SMILE, UPPER_LIP, LOWER_LIP]] = rng.uniform([0.5, 0.2, 0.5], [2.6, 2.2, 2.6])
        expression[JAW] = rng.uniform(-0.3, 1.6)
    elif kind < 0.5:
        expression[JAW] = rng.uniform(0.8, 4.0)
    if rng.random() < 0.08:
        expression[LIDS] = rng.uniform(2.0, 4.2)


def draw_rotation(rng: np.random.Generator, setting: Setting) -> Float[ndarray, " 3"]:
    """Euler angles in radians. Mostly near frontal; yaw up to 35 degrees outside the studio, 50 where it is varied."""
    spread, limit = (np.radians(degrees) for degrees in _TURNS[setting])
    return np.clip(rng.standard_normal(3) * spread, -limit, limit).astype(np.float32)


_TURNS = {
    Setting.STUDIO: ([3, 4, 1.5], [8, 9, 5]),
    Setting.WILD: ([8, 14, 5], [18, 35, 15]),
    Setting.VARIED: ([9, 16, 6], [22, 50, 18]),
}
"""Standard deviations and limits of pitch, yaw and roll, degrees."""


def _lamp_colour(rng: np.random.Generator) -> Float[ndarray, " 3"]:
    """Between candle light and blue sky, with unit mean."""
    warmth = np.clip(rng.normal(0.15, 0.45), -1, 1)
    colour = np.array([1 + 0.22 * warmth, 1 + 0.02 * rng.standard_normal(), 1 - 0.26 * warmth])
    return colour / colour.mean()


def lamp(direction: Float[ndarray, " 3"], colour: Float[ndarray, " 3"]) -> Float[ndarray, "9 3"]:
    """Coefficients of a distant lamp that gives a matt white surface facing it about the shading `colour`."""
    return np.pi * harmonics(direction)[:, None] * colour


def ambient(colour: Float[ndarray, " 3"]) -> Float[ndarray, "9 3"]:
    """Coefficients of light from everywhere that gives a matt white surface the shading `colour`."""
    coefficients = np.zeros((9, 3))
    coefficients[0] = colour * 2 * np.sqrt(np.pi)
    return coefficients


def draw_light(rng: np.random.Generator, setting: Setting) -> Float[ndarray, "9 3"]:
    """Ambient light and one or two lamps, as spherical-harmonics coefficients of R, G, B.

    The brightness is bounded: a white surface that faces the camera is shaded `_BRIGHTNESS`, and the darkest direction
    that the camera sees gets at least a fifth of that (a twelfth where it is varied). Most of the lamps' common colour
    is taken out, as a camera's white balance does.
    """
    share = rng.uniform(*_AMBIENT[setting])
    coefficients = ambient(_lamp_colour(rng)) * share
    for strength in (1.0, rng.uniform(0.2, 0.6)) if rng.random() < 0.5 else (1.0,):
        side = rng.uniform(-0.5, 0.5) if setting is Setting.STUDIO else rng.normal(0, 0.9)
        up = rng.uniform(0, 0.6) if setting is Setting.STUDIO else rng.normal(0.35, 0.45)
        direction = np.array([side, up, 1.0])
        coefficients = coefficients + lamp(direction / np.linalg.norm(direction), _lamp_colour(rng)) * (
            1 - share
        ) * strength * rng.uniform(0.8, 1.4)
    mean = coefficients[0].mean() / coefficients[0]
    coefficients = coefficients * mean ** rng.uniform(0.0 if setting is Setting.VARIED else 0.3, 0.9)
    front = _shading(coefficients, np.array([[0.0, 0.0, 1.0]]))[0]
    target = rng.uniform(*_BRIGHTNESS[setting])
    coefficients *= target / front
    around = np.stack([np.cos(_CLOCK), np.sin(_CLOCK), np.full(12, 0.25)], axis=1)
    darkest = _shading(coefficients, around / np.linalg.norm(around[0])).min()
    least = target * (0.08 if setting is Setting.VARIED else 0.2)
    if darkest < least:
        coefficients[0] += (least - darkest) * 2 * np.sqrt(np.pi)
    return coefficients.astype(np.float32)


_AMBIENT = {Setting.STUDIO: (0.6, 0.9), Setting.WILD: (0.3, 0.9), Setting.VARIED: (0.12, 0.9)}
_BRIGHTNESS = {Setting.STUDIO: (1.0, 1.35), Setting.WILD: (0.75, 1.45), Setting.VARIED: (0.55, 1.8)}


_CLOCK = np.linspace(0, 2 * np.pi, 12, endpoint=False)


def _shading(coefficients: ndarray, normals: ndarray) -> Float[ndarray, " n"]:
    lambert = np.array([1.0] + [2 / 3] * 3 + [1 / 4] * 5)
    return (harmonics(normals).T @ (coefficients * lambert[:, None])).mean(axis=1)


def illumination_parameters(light: Float[ndarray, "9 3"]) -> Float[ndarray, " 27"]:
    """The light as `FaceParams.illumination`: R's nine coefficients, G's, B's, less the standard light."""
    difference = light.astype(np.float64).copy()
    difference[0] -= STANDARD_LIGHT
    return difference.T.reshape(-1).astype(np.float32)
