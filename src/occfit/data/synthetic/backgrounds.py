"""What is behind a person: walls, rooms, bokeh, foliage, stripes, blurred shapes."""

import cv2
import numpy as np

from occfit.data.synthetic.drawing import (
    Picture,
    blur,
    fill,
    fractal_noise,
    grid,
    hsv,
    noise,
    over,
    smoothstep,
)
from occfit.data.synthetic.priors import Setting
from occfit.data.synthetic.textures import cloth_colour


def _wall_colour(rng: np.random.Generator) -> np.ndarray:
    return hsv(rng.random(), rng.uniform(0, 0.45), rng.uniform(0.1, 0.95))


def studio_backdrop(rng: np.random.Generator, size: int) -> Picture:
    """One plain, softly lit colour."""
    x, y = grid(size)
    base = hsv(rng.random(), rng.uniform(0, 0.08), rng.uniform(0.45, 0.97))
    centre = rng.uniform(0.2, 0.8, 2) * size
    fall = 1 - rng.uniform(0, 0.25) * np.hypot(x - centre[0], y - centre[1]) / size
    return (base * fall[..., None]).astype(np.float32)


def _gradient(rng: np.random.Generator, size: int) -> Picture:
    x, y = grid(size)
    angle = rng.uniform(0, 2 * np.pi)
    along = smoothstep(-0.8, 0.8, ((x - size / 2) * np.cos(angle) + (y - size / 2) * np.sin(angle)) / size)
    first, second = _wall_colour(rng), _wall_colour(rng)
    return (first + (second - first) * along[..., None]).astype(np.float32)


def _blurred_shapes(rng: np.random.Generator, size: int) -> Picture:
    picture = _gradient(rng, size)
    for _ in range(int(rng.integers(4, 14))):
        centre, extent = rng.uniform(0, size, 2), rng.uniform(0.05, 0.35) * size
        count = int(rng.integers(3, 8))
        angles = np.sort(rng.uniform(0, 2 * np.pi, count))
        polygon = centre + extent * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        picture = over(picture, cloth_colour(rng), fill([polygon], size) * rng.uniform(0.6, 1))
    return blur(picture, rng.uniform(0.3, 6) * size / 128)


def _bokeh(rng: np.random.Generator, size: int) -> Picture:
    picture = blur(_gradient(rng, size) * rng.uniform(0.2, 0.6), 2)
    for _ in range(int(rng.integers(10, 40))):
        radius = rng.uniform(0.02, 0.08) * size
        disc = fill([rng.uniform(0, size, 2) + radius * _circle()], size)
        picture = picture + disc[..., None] * hsv(
            rng.uniform(0, 0.17), rng.uniform(0, 0.6), rng.uniform(0.1, 0.5)
        )
    return blur(picture.astype(np.float32), rng.uniform(0.5, 2) * size / 128)


def _circle(count: int = 24) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _foliage(rng: np.random.Generator, size: int) -> Picture:
    value = fractal_noise(rng, size, rng.uniform(5, 14), 4)
    green = hsv(rng.uniform(0.18, 0.38), rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.7))
    light = hsv(rng.uniform(0.1, 0.2), 0.3, 0.95)
    picture = green * np.clip(0.65 + 0.35 * value, 0.05, 1.4)[..., None]
    picture = over(picture, light, smoothstep(0.9, 1.8, value + noise(rng, size, 3)) * 0.8)
    return blur(picture.astype(np.float32), rng.uniform(0.6, 4) * size / 128)


def _stripes(rng: np.random.Generator, size: int) -> Picture:
    x, y = grid(size)
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.08)
    along = (x * np.cos(angle) + y * np.sin(angle)) / size
    share = smoothstep(-0.3, 0.3, np.sin(along * rng.uniform(12, 70) + rng.uniform(0, 6)))
    first, second = _wall_colour(rng), _wall_colour(rng)
    return blur(
        (first + (second - first) * share[..., None]).astype(np.float32), rng.uniform(0.2, 2) * size / 128
    )


def _room(rng: np.random.Generator, size: int) -> Picture:
    """Two walls that meet in a corner, a ceiling or floor, a few flat things on them."""
    corner = rng.uniform(-0.1, 1.1) * size
    slope = rng.normal(0, 0.05) * size
    wall = _wall_colour(rng)
    picture = np.broadcast_to(wall, (size, size, 3)).astype(np.float32)
    side = np.array([[corner + slope, -4], [size + 4, -4], [size + 4, size + 4], [corner - slope, size + 4]])
    picture = over(picture, wall * rng.uniform(0.55, 0.9), fill([side], size))
    level = rng.uniform(0.02, 0.3) * size
    ceiling = np.array(
        [
            [-4, -4],
            [size + 4, -4],
            [size + 4, level + rng.normal(0, 0.1) * size],
            [corner, level],
            [-4, level * 0.4],
        ]
    )
    picture = over(picture, wall * 0.3 + 0.65, fill([ceiling], size) * float(rng.random() < 0.5))
    for _ in range(int(rng.integers(1, 5))):
        low = rng.uniform(-0.1, 0.8, 2) * size
        high = low + rng.uniform(0.12, 0.5, 2) * size
        frame = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
        inner = (frame - frame.mean(axis=0)) * 0.86 + frame.mean(axis=0)
        picture = over(picture, cloth_colour(rng), fill([frame], size))
        picture = over(picture, cloth_colour(rng), fill([inner], size))
    return blur(picture, rng.uniform(0.3, 4) * size / 128)


def _grain(rng: np.random.Generator, size: int) -> Picture:
    """Plaster, stone, bark: noise of one hue."""
    value = fractal_noise(rng, size, rng.uniform(2, 30), 4) * rng.uniform(0.05, 0.35)
    stretched = cv2.resize(value, (size, max(4, int(size * rng.uniform(0.2, 1)))))
    value = cv2.resize(stretched, (size, size))
    return np.clip(_wall_colour(rng) * (1 + value[..., None]), 0, 1).astype(np.float32)


_KINDS = (_gradient, _blurred_shapes, _blurred_shapes, _bokeh, _foliage, _stripes, _room, _room, _grain)


def paint_background(rng: np.random.Generator, size: int, setting: Setting) -> Picture:
    """A background as the camera sees it, RGB about [0, 1]."""
    if setting is Setting.STUDIO:
        return studio_backdrop(rng, size)
    return np.clip(_KINDS[int(rng.integers(len(_KINDS)))](rng, size), 0, 1.2).astype(np.float32)
