"""Things without a name, and a few with one: blobs, polygons, books, cups and telephones before the face."""

import numpy as np

from occfit.data.synthetic.drawing import (
    Picture,
    Plane,
    blur,
    closed_curve,
    emboss,
    fill,
    fractal_noise,
    grid,
    hsv,
    over,
    relief_normals,
    smoothstep,
)
from occfit.data.synthetic.scene import Layer, Scene, make_layer
from occfit.data.synthetic.textures import choose_texture, cloth_colour, plain

SEEN_OBJECTS = ("blob", "polygon", "book", "cup", "bar")
HELD_OUT_OBJECTS = ("telephone", "star")


def _turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _surface(scene: Scene, rng: np.random.Generator, centre, angle: float, held_out: bool) -> Picture:
    """A printed or grainy material, in the object's own directions."""
    x, y = grid(scene.size)
    u, v = np.moveaxis(np.dstack([x - centre[0], y - centre[1]]) @ _turn(angle).T, -1, 0) / scene.scale
    if rng.random() < 0.55:
        return choose_texture(rng, held_out)(u.astype(np.float32), v.astype(np.float32), rng)
    grain = fractal_noise(rng, scene.size, rng.uniform(3, 20), 3) * rng.uniform(0.05, 0.3)
    return np.clip(cloth_colour(rng) * (1 + grain[..., None]), 0, 1).astype(np.float32)


def _target(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    left, top = scene.landmarks.min(axis=0)
    right, bottom = scene.landmarks.max(axis=0)
    return np.array([rng.uniform(left, right), rng.uniform(top - 0.2 * (bottom - top), bottom)])


def _soft_shape(scene: Scene, rng: np.random.Generator, kind: str, centre) -> Plane:
    scale = scene.scale
    if kind == "blob":
        count = int(rng.integers(5, 9))
        angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(0, 1)
        radii = rng.uniform(16, 48, count) * scale
        return fill(
            [closed_curve(centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1))],
            scene.size,
        )
    count = 10 if kind == "star" else int(rng.integers(3, 7))
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(0, 6)
    radii = rng.uniform(24, 52) * scale * (np.where(np.arange(count) % 2, 0.45, 1) if kind == "star" else 1)
    angles = angles + (0 if kind == "star" else rng.normal(0, 0.2, count))
    return fill(
        [centre + np.stack([np.cos(angles), np.sin(angles)], 1) * np.reshape(radii, (-1, 1))], scene.size
    )


def _box(scene, centre, half, angle, rounding=0.0) -> Plane:
    """A rectangle with half extents `half` (mm) and corners rounded by `rounding` mm."""
    x, y = grid(scene.size)
    local = np.dstack([x - centre[0], y - centre[1]]) @ _turn(angle).T / scene.scale
    outside = np.abs(local) - (np.asarray(half) - rounding)
    distance = (
        np.linalg.norm(np.maximum(outside, 0), axis=-1) + np.minimum(outside.max(axis=-1), 0) - rounding
    )
    return np.clip(0.5 - distance * scene.scale, 0, 1).astype(np.float32)


def _book(scene: Scene, rng: np.random.Generator, centre, held_out: bool) -> Layer:
    angle, half = rng.normal(0, 0.3), np.array([rng.uniform(50, 75), rng.uniform(70, 100)])
    alpha = _box(scene, centre, half, angle, 2)
    colour = _surface(scene, rng, centre, angle, held_out) if rng.random() < 0.5 else cloth_colour(rng)
    picture = np.broadcast_to(colour, (scene.size, scene.size, 3)).astype(np.float32)
    down = np.array([0, 1]) @ _turn(angle) * scene.scale
    right = np.array([1, 0]) @ _turn(angle) * scene.scale
    panel = cloth_colour(rng)
    for line in range(int(rng.integers(1, 4))):
        at = centre + down * (-half[1] * 0.6 + 22 * line)
        picture = over(
            picture, panel, _box(scene, at, [half[0] * rng.uniform(0.3, 0.75), rng.uniform(2, 7)], angle)
        )
    spine = _box(scene, centre - right * (half[0] - 4), [1.2, half[1]], angle)
    picture = picture * (1 - 0.4 * spine[..., None])
    return make_layer(picture * scene.flat_shade((rng.normal(0, 0.2), rng.normal(0, 0.2), 1)), alpha, 14)


def _cup(scene: Scene, rng: np.random.Generator, centre, held_out: bool) -> Layer:
    size, scale = scene.size, scene.scale
    angle, side = rng.normal(0, 0.15), rng.choice([-1, 1])
    x, y = grid(size)
    u, v = np.moveaxis(np.dstack([x - centre[0], y - centre[1]]) @ _turn(angle).T, -1, 0) / scale
    radius = rng.uniform(36, 46) * (1 - rng.uniform(0, 0.2) * (v + 50) / 100)
    tall = rng.uniform(44, 56)
    lip = 0.16 * np.sqrt(np.clip(radius**2 - u**2, 0, None))
    side_distance = np.maximum(np.abs(u) - radius, np.maximum(v - tall - lip, -v - tall - lip))
    ring = np.abs(np.hypot((u - side * 40) / 0.75, v / 1.05) - 27) - 6
    body = np.clip(0.5 - side_distance * scale, 0, 1)
    handle = np.clip(0.5 - ring * scale, 0, 1)
    opening = (
        np.clip(0.5 + (0.16 * np.sqrt(np.clip(radius**2 - u**2, 0, None)) - np.abs(v + tall)) * scale, 0, 1)
        * body
    )
    bend = np.clip(u / radius, -0.97, 0.97)
    normals = np.dstack([bend, np.full_like(bend, 0.1), np.sqrt(1 - bend**2)]).astype(np.float32)
    rounded = emboss(handle.astype(np.float32), 6 * scale)
    normals = np.where((body > 0.5)[..., None], normals, rounded)
    wrapped = np.arcsin(bend) * 40
    texture = choose_texture(rng, held_out) if rng.random() < 0.5 else plain
    albedo = texture(wrapped.astype(np.float32), v.astype(np.float32), rng)
    colour = albedo * np.maximum(scene.shade(normals), 0.03)
    gloss = np.exp(-((bend - 0.4 * np.sign(scene.light_direction()[0][0])) ** 2) / 0.01)
    colour = colour + 0.25 * gloss[..., None] * scene.flat_shade()
    colour = over(colour, np.array([0.12, 0.08, 0.06]) * scene.flat_shade(), 0.85 * opening)
    return make_layer(colour, np.maximum(body, handle), 16)


def _telephone(scene: Scene, rng: np.random.Generator, centre) -> Layer:
    angle = rng.normal(0, 0.35)
    alpha = _box(scene, centre, [37, 76], angle, 9)
    base = hsv(rng.random(), rng.uniform(0, 0.3), rng.choice([0.05, 0.5, 0.85]))
    picture = np.broadcast_to(base, (scene.size, scene.size, 3)).astype(np.float32)
    up, right = np.array([0, -1]) @ _turn(angle) * scene.scale, np.array([1, 0]) @ _turn(angle) * scene.scale
    corner = centre + up * 56 - right * 18
    picture = over(picture, base * 0.6, _box(scene, corner, [15, 15], angle, 5))
    for dx, dy in ((-6, 6), (6, 6), (-6, -6)):
        picture = over(
            picture, np.full(3, 0.03), _box(scene, corner + right * dx + up * dy, [4.6, 4.6], angle, 4.5)
        )
    shine = smoothstep(0.2, 1.5, fractal_noise(rng, scene.size, 2, 1)) * 0.25
    return make_layer((picture + shine[..., None]) * scene.flat_shade(), alpha, 16)


def paint_shape(scene: Scene, rng: np.random.Generator, held_out: bool) -> list[Layer]:
    """One thing somewhere before the face."""
    kind = str(rng.choice(HELD_OUT_OBJECTS if held_out else SEEN_OBJECTS))
    centre = _target(scene, rng)
    if kind == "book":
        return [_book(scene, rng, centre + [0, 55 * scene.scale], held_out)]
    if kind == "cup":
        return [
            _cup(
                scene, rng, scene.landmarks[48:68].mean(axis=0) + rng.normal(0, 14, 2) * scene.scale, held_out
            )
        ]
    if kind == "telephone":
        return [_telephone(scene, rng, centre)]
    angle = rng.uniform(0, np.pi)
    if kind == "bar":
        alpha = _box(scene, centre, [rng.uniform(6, 22), 300], angle, 4)
    else:
        alpha = _soft_shape(scene, rng, kind, centre)
    albedo = _surface(scene, rng, centre, angle, held_out)
    if rng.random() < 0.6:
        light = np.maximum(scene.shade(emboss(alpha, rng.uniform(3, 22) * scene.scale)), 0.03)
    else:
        light = np.maximum(scene.shade(relief_normals(fractal_noise(rng, scene.size, 8, 2) * 1.5)), 0.03)
    return [make_layer(albedo * light, blur(alpha, rng.uniform(0.2, 1.2)), rng.uniform(4, 20))]
