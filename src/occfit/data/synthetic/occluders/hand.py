"""Hands: a palm and five jointed fingers of the same or another person, with a wrist that leaves the picture.

The hand is built from tapered capsules with round relief, in its own frame (mm; x to the thumb's side, y to the
finger tips, the palm's centre at the origin), smoothly joined, and turned into the picture.
Measures follow hand anthropometry: about 185 mm from wrist to middle finger tip, 85 mm across the knuckles.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from occfit.data.synthetic.drawing import Picture, Plane, around, blur, hsv, noise, relief_normals, smoothstep
from occfit.data.synthetic.scene import Layer, Scene, make_layer
from occfit.data.synthetic.textures import choose_texture

_KNUCKLES = np.array([[34.0, 42.0], [12.0, 48.0], [-10.0, 45.0], [-31.0, 36.0]])
_LENGTHS = np.array([[44.0, 25.0, 21.0], [48.0, 29.0, 22.0], [45.0, 28.0, 22.0], [35.0, 21.0, 19.0]])
_RADII = np.array([9.6, 9.8, 9.2, 8.0])
SEEN_GESTURES = ("cover", "cheek", "peek")
HELD_OUT_GESTURES = ("fist", "gloved")


@dataclass(frozen=True)
class Capsule:
    """A rounded stick in the hand's frame: two ends (x, y, height), mm, and the radius at each."""

    start: Float[ndarray, " 3"]
    end: Float[ndarray, " 3"]
    start_radius: float
    end_radius: float


@dataclass(frozen=True)
class Nail:
    centre: Float[ndarray, " 2"]
    along: Float[ndarray, " 2"]
    radius: float


def _finger(base, angle, lengths, radius, curl) -> tuple[list[Capsule], Nail]:
    """Three segments; `curl` in [0, 1] folds them towards the viewer, which foreshortens them."""
    capsules, position, bend = [], np.array([base[0], base[1], 4.0]), 0.15 * curl
    for index, length in enumerate(lengths):
        bend += curl * (0.7, 1.1, 0.8)[index]
        step = length * np.array(
            [np.sin(angle) * np.cos(bend), np.cos(angle) * np.cos(bend), 0.35 * np.sin(bend)]
        )
        ends = radius * (1 - 0.09 * index), radius * (1 - 0.09 * (index + 1))
        capsules.append(Capsule(position, position + step, *ends))
        position = position + step
    along = capsules[-1].end[:2] - capsules[-1].start[:2]
    along = along / max(float(np.linalg.norm(along)), 1e-3)
    return capsules, Nail(capsules[-1].end[:2] + along * 1.0, along, radius * 0.72)


def build_hand(rng: np.random.Generator, gesture: str) -> tuple[list[Capsule], list[Capsule], list[Nail]]:
    """Palm and forearm, fingers, and nails."""
    spread = {"cover": rng.uniform(-0.01, 0.05), "peek": rng.uniform(0.1, 0.2)}.get(
        gesture, rng.uniform(0, 0.09)
    )
    curl = 1.25 if gesture == "fist" else rng.uniform(0, 0.3)
    palm = [
        Capsule(np.array([x * 0.62, -42.0, 0.0]), np.array([*(knuckle * [0.97, 0.93]), 1.0]), 17, 12)
        for x, knuckle in zip((26.0, 9.0, -9.0, -26.0), _KNUCKLES, strict=True)
    ]
    palm.append(Capsule(np.array([0.0, -48.0, -2.0]), np.array([0.0, -340.0, -8.0]), 26, 38))
    fingers, nails = [], []
    for index in range(4):
        lean = spread * (1.5 - index) + rng.normal(0, 0.02)
        parts, nail = _finger(
            _KNUCKLES[index], lean, _LENGTHS[index] * rng.uniform(0.95, 1.05), _RADII[index],
            np.clip(curl + rng.normal(0, 0.06), 0, 1.4),
        )  # fmt: skip
        fingers += parts
        nails.append(nail)
    thumb = rng.uniform(0.25, 0.8) if gesture != "fist" else -0.6
    base = np.array([26.0, -24.0])
    palm.append(Capsule(np.array([15.0, -40.0, 0.0]), np.array([30.0, -8.0, 3.0]), 17, 13))
    parts, nail = _finger(base + [6, 20], thumb, np.array([22.0, 32.0, 26.0]), 11.0, rng.uniform(0, 0.25))
    return palm, fingers + parts, [*nails, nail]


def _relief(capsules: list[Capsule], place, scale: float, size: int, join: float) -> tuple[Plane, Plane]:
    """Signed distance to the joined outline and height of the joined surface, both in pixels."""
    distance = np.full((size, size), 1e3, np.float32)
    height = np.full((size, size), -1e3, np.float32)
    for capsule in capsules:
        a, b = place(np.stack([capsule.start[:2], capsule.end[:2]]))
        radii = capsule.start_radius * scale, capsule.end_radius * scale
        margin = max(radii) + join + 2
        low = np.clip(np.floor(np.minimum(a, b) - margin), 0, size).astype(int)
        high = np.clip(np.ceil(np.maximum(a, b) + margin), 0, size).astype(int)
        if (high <= low).any():
            continue
        window = slice(low[1], high[1]), slice(low[0], high[0])
        x = np.arange(low[0], high[0], dtype=np.float32) + 0.5 - a[0]
        y = np.arange(low[1], high[1], dtype=np.float32)[:, None] + 0.5 - a[1]
        axis = b - a
        t = np.clip((x * axis[0] + y * axis[1]) / max(float(axis @ axis), 1e-6), 0, 1)
        radius = radii[0] + (radii[1] - radii[0]) * t
        squared = (x - t * axis[0]) ** 2 + (y - t * axis[1]) ** 2
        base = (capsule.start[2] + (capsule.end[2] - capsule.start[2]) * t) * scale
        level = base + np.sqrt(np.clip(radius**2 - squared, 0, None))
        level = np.where(squared < radius**2, level, base - 3 * (np.sqrt(squared) - radius))
        distance[window] = np.minimum(distance[window], np.sqrt(squared) - radius)
        height[window] = _smooth_maximum(height[window], level, join)
    return distance, height


def _smooth_maximum(first: ndarray, second: ndarray, width: float) -> ndarray:
    """The larger of two, rounded where they are within `width` of each other."""
    overlap = np.clip(width - np.abs(first - second), 0, None)
    return np.maximum(first, second) + overlap * overlap / (4 * width)


def _pose(scene: Scene, rng: np.random.Generator, gesture: str) -> tuple[ndarray, float, int]:
    """Where the palm's centre goes (canvas pixels), the fingers' direction (radians, 0 = up), left or right hand."""
    side = int(rng.choice([-1, 1]))
    if gesture in ("cover", "gloved"):
        target = scene.landmarks[48:68].mean(axis=0) + rng.normal(0, 6, 2) * scene.scale
        return target + [side * 28 * scene.scale, 18 * scene.scale], -side * rng.uniform(0.9, 1.75), side
    if gesture == "peek":
        target = scene.landmarks[[27, 30]].mean(axis=0) + rng.normal(0, 8, 2) * scene.scale
        return target + [side * 25 * scene.scale, 52 * scene.scale], -side * rng.uniform(0.1, 0.7), side
    contour = scene.landmarks[3 if side < 0 else 13]
    if gesture == "fist":
        return (
            scene.landmarks[8] + [side * 18 * scene.scale, 14 * scene.scale],
            -side * rng.uniform(0, 0.5),
            side,
        )
    return (
        contour + [-side * rng.uniform(0, 22) * scene.scale, 26 * scene.scale],
        -side * rng.uniform(0, 0.45),
        side,
    )


def _skin(scene: Scene, rng: np.random.Generator) -> Float[ndarray, " 3"]:
    """The face's own skin a little tanned or pale, or somebody else's."""
    if rng.random() < 0.6:
        return np.clip(scene.skin * rng.uniform(0.82, 1.1) * (1 + rng.normal(0, 0.03, 3)), 0.02, 1).astype(
            np.float32
        )
    tone = rng.random()
    light, dark = np.array([0.86, 0.68, 0.58]), np.array([0.25, 0.15, 0.10])
    return (light + (dark - light) * tone**1.3).astype(np.float32)


def _flesh(scene: Scene, rng: np.random.Generator, fingers, nails, place, scale: float, colour) -> Picture:
    """Albedo of bare skin: blotches, redder joints and tips, knuckle creases, and nails if their side is seen."""
    size = scene.size
    albedo = colour * (1 + 0.05 * noise(rng, size, 10) + 0.03 * noise(rng, size, size / 3))[..., None]
    for capsule in fingers:
        centre, tip = place(np.stack([capsule.start[:2], capsule.end[:2]]))
        along = (tip - centre) / max(float(np.linalg.norm(tip - centre)), 1e-3)
        radius = capsule.start_radius * scale
        window, dx, dy = around(centre, 2.2 * radius, size)
        lengthwise, crosswise = dx * along[0] + dy * along[1], dy * along[0] - dx * along[1]
        near = np.exp(-(dx * dx + dy * dy) / (1.2 * radius**2))
        row = np.abs(lengthwise + 0.02 * crosswise**2 / scale) / scale % 2.6 - 1.3
        crease = np.exp(-(row**2) / 0.18) * near * (near > 0.35)
        redness = 1 + near[..., None] * np.array([0.03, -0.09, -0.08], np.float32)
        albedo[window] *= redness * (1 - 0.2 * crease[..., None])
    if rng.random() < 0.6:
        _paint_nails(albedo, rng, nails, place, scale)
    return albedo


def _paint_nails(albedo: Picture, rng: np.random.Generator, nails: list[Nail], place, scale: float) -> None:
    """Paints bare or varnished nails onto `albedo`, in place."""
    varnish = hsv(float(rng.choice([0.97, 0.0, 0.9, 0.6])), rng.uniform(0.5, 0.95), rng.uniform(0.3, 0.9))
    varnished = rng.random() < 0.25
    for nail in nails:
        centre, ahead = place(np.stack([nail.centre, nail.centre + nail.along]))
        along = (ahead - centre) / max(float(np.linalg.norm(ahead - centre)), 1e-6)
        window, dx, dy = around(centre, 1.4 * nail.radius * scale, len(albedo))
        u = (dx * along[0] + dy * along[1]) / (nail.radius * 1.15 * scale)
        v = (dy * along[0] - dx * along[1]) / (nail.radius * 0.85 * scale)
        inside = smoothstep(1.1, 0.85, (np.abs(u) ** 2.6 + np.abs(v) ** 2.6) ** (1 / 2.6))
        skin = albedo[window]
        tone = varnish if varnished else np.clip(skin * [1.12, 1.05, 1.08] + [0.06, 0.03, 0.03], 0, 1)
        gloss = 1 + 0.35 * np.exp(-((v - 0.25) ** 2) / 0.04)
        albedo[window] += (tone * gloss[..., None] - skin) * inside[..., None]


def paint_hand(scene: Scene, rng: np.random.Generator, held_out: bool) -> list[Layer]:
    """A hand over mouth, nose, eyes or cheek."""
    gesture = str(rng.choice(HELD_OUT_GESTURES if held_out else SEEN_GESTURES))
    size, scale = scene.size, scene.scale * rng.uniform(0.85, 1.02)
    centre, angle, side = _pose(scene, rng, gesture)
    turn = np.array([[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]])

    def place(points: Float[ndarray, "n 2"]) -> Float[ndarray, "n 2"]:
        return centre + (points * [-side, 1]) @ turn.T * scale

    palm, fingers, nails = build_hand(rng, gesture)
    palm_distance, palm_height = _relief(palm, place, scale, size, 9 * scale)
    finger_distance, finger_height = _relief(fingers, place, scale, size, 2.2 * scale)
    height = _smooth_maximum(palm_height, finger_height, 6 * scale)
    distance = np.minimum(palm_distance, finger_distance)
    alpha = np.clip(0.5 - distance, 0, 1)
    relief = blur(np.where(distance < 1, height, np.minimum(height, 0)), 0.35 * scale)
    normals = relief_normals(np.maximum(relief, -20 * scale).astype(np.float32))
    groove = np.clip((blur(relief, 3.5 * scale) - relief) / (4 * scale), 0, 1)
    if gesture == "gloved":
        y, x = np.mgrid[0:size, 0:size].astype(np.float32) / scale
        albedo = choose_texture(rng, held_out)(x, y, rng)
    else:
        albedo = _flesh(scene, rng, fingers, nails, place, scale, _skin(scene, rng))
    colour = albedo * np.maximum(scene.shade(normals), 0.03) * (1 - 0.45 * groove)[..., None]
    return [make_layer(colour, alpha, rng.uniform(4, 12))]
