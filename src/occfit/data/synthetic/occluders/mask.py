"""Face masks: pleated medical ones, cloth ones, folded respirators, with loops to the ears."""

import numpy as np

from occfit.data.synthetic.drawing import (
    Plane,
    blur,
    closed_curve,
    curve,
    fill,
    grid,
    hsv,
    noise,
    relief_normals,
    smoothstep,
    stroke,
)
from occfit.data.synthetic.scene import Layer, Scene, make_layer, unit
from occfit.data.synthetic.textures import choose_texture

SEEN_CUTS = ("medical", "cloth", "respirator")


def _outline(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """The mask's edge in the model's frame, clockwise from the nose bridge, mm."""
    points = scene.points
    bridge = points[28] + (points[29] - points[28]) * rng.uniform(0, 1) + [0, 0, 3]
    out = rng.uniform(1, 5)
    left_top, right_top = points[1] * 0.5 + points[2] * 0.5, points[15] * 0.5 + points[14] * 0.5
    height = rng.uniform(-2, 8)
    inset = rng.uniform(6, 20)
    left_top = left_top + [inset - out, height, 4]
    right_top = right_top + [-inset + out, height, 4]
    cheek_left, cheek_right = points[31] + [-24, 8, -6], points[35] + [24, 8, -6]
    chin = points[8] + [0, -rng.uniform(4, 12), 2]
    jaw_left, jaw_right = points[5] + [-out, -3, 4], points[11] + [out, -3, 4]
    low_left, low_right = points[3] + [inset * 0.6 - out, 0, 5], points[13] + [-inset * 0.6 + out, 0, 5]
    return np.stack(
        [bridge, cheek_right, right_top, low_right, jaw_right, chin, jaw_left, low_left, left_top, cheek_left]
    )


def _relief(scene: Scene, rng: np.random.Generator, cut: str, centre: np.ndarray, alpha: Plane) -> Plane:
    x, y = grid(scene.size)
    u, v = (x - centre[0]) / scene.scale, (y - centre[1]) / scene.scale
    wrinkles = 0.35 * noise(rng, scene.size, 14) + 0.5 * noise(rng, scene.size, 6)
    if cut == "medical":
        arch = v + 0.0035 * u**2
        pleats = sum(2.2 * smoothstep(-2.5, 2.5, arch - edge) - 2.2 * smoothstep(2.5, 9, arch - edge)
                     for edge in np.array([-17, -2, 13]) + rng.normal(0, 1.5, 3))  # fmt: skip
        rim = 1.2 * np.sin(np.clip(u, -90, 90) * 0.9)[...] * 0.05
        return (pleats + rim + wrinkles).astype(np.float32)
    if cut == "respirator":
        return (16 * np.exp(-np.abs(u) / 14) + 4 * np.exp(-((v + 4) ** 2) / 500) + 0.5 * wrinkles).astype(
            np.float32
        )
    seam = -1.2 * np.exp(-(u**2) / 2.5) + 5 * np.exp(-(u**2) / 700)
    return (seam + wrinkles).astype(np.float32)


def paint_mask(scene: Scene, rng: np.random.Generator, held_out: bool) -> list[Layer]:
    """A mask over nose, mouth and chin."""
    size, scale = scene.size, scene.scale
    cut = "cloth" if held_out else str(rng.choice(SEEN_CUTS))
    edge = _outline(scene, rng)
    corners = scene.project(edge)[0]
    # On the far side of a turned head the mask ends at the cheek's silhouette.
    corners[[7, 8], 0] = np.minimum(corners[[7, 8], 0], corners[9, 0] - 2 * scale)
    corners[[2, 3], 0] = np.maximum(corners[[2, 3], 0], corners[1, 0] + 2 * scale)
    alpha = fill([closed_curve(corners, 80)], size)
    centre = corners[[0, 5]].mean(axis=0)
    relief = _relief(scene, rng, cut, centre, alpha)
    normals = scene.smooth_normals(9 * scale)
    bumps = relief_normals(blur(relief, 0.7) * scale * 0.8)
    normals = normals + bumps - np.array([0, 0, 1], np.float32)
    normals = unit(normals)
    x, y = grid(size)
    if cut == "cloth":
        albedo = choose_texture(rng, held_out)((x - centre[0]) / scale, (y - centre[1]) / scale, rng)
    else:
        albedo = _plain_colour(rng)
    inner = blur(alpha, 1.5 * scale)
    hem = 1 - 0.18 * smoothstep(0.95, 0.75, inner) + 0.08 * smoothstep(0.9, 1.0, inner)
    colour = albedo * np.maximum(scene.shade(normals), 0.02) * hem[..., None]
    coverage = alpha
    for corner, ear, side in ((edge[8], 0, -1), (edge[7], 0, -1), (edge[2], 16, 1), (edge[3], 16, 1)):
        end = scene.points[ear] + [side * 4, rng.uniform(-16, 6), -14]
        loop = curve(np.stack([corner, (corner + end) / 2 + [side * 3, 0, 2], end]), 14)
        pixels, _ = scene.project(loop)
        coverage = np.maximum(coverage, stroke(pixels, rng.uniform(1.6, 3.2) * scale, size))
    bare = (alpha < 0.5)[..., None]
    colour = np.where(bare, np.array([0.85, 0.85, 0.85]) * scene.flat_shade() * 0.9, colour)
    return [make_layer(colour, coverage, rng.uniform(3, 6), alpha)]


def _plain_colour(rng: np.random.Generator) -> np.ndarray:
    options = [
        hsv(0.53, rng.uniform(0.2, 0.45), rng.uniform(0.75, 0.92)),
        hsv(0.1, rng.uniform(0, 0.06), rng.uniform(0.8, 0.95)),
        hsv(rng.random(), 0.1, rng.uniform(0.03, 0.12)),
        hsv(0.95, rng.uniform(0.15, 0.35), 0.9),
        hsv(0.4, rng.uniform(0.15, 0.35), 0.8),
    ]
    return options[int(rng.choice(5, p=[0.4, 0.25, 0.2, 0.08, 0.07]))]
