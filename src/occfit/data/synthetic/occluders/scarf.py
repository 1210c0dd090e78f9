"""Scarves: folded cloth around the lower face, from the nose or the lip down to the picture's edge."""

import numpy as np

from occfit.data.synthetic.drawing import Plane, blur, curve, fill, grid, noise, relief_normals, smoothstep
from occfit.data.synthetic.scene import Layer, Scene, make_layer
from occfit.data.synthetic.textures import choose_texture


def _outline(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The upper edge, from the left ear to the right one (`n 2`), and the closed outline."""
    points = scene.points
    height = rng.choice([points[33, 1], points[30, 1], points[51, 1]]) + rng.uniform(-4, 4)
    rise = rng.uniform(-12, 22)
    left, right = points[1] + [-5, 0, -16], points[15] + [5, 0, -16]
    left[1] = right[1] = height + rise
    tilt = rng.normal(0, 3)
    left[1], right[1] = left[1] - tilt, right[1] + tilt
    cheek_left, cheek_right = points[31] + [-22, 0, -8], points[35] + [22, 0, -8]
    cheek_left[1] = cheek_right[1] = height + 0.35 * rise + rng.uniform(-3, 3)
    middle = np.array([points[33, 0], height, points[30, 2] + 5])
    down = np.array([0, 9, 6])
    edge = curve(
        np.stack(
            [left - down, left + [9, 1, 3], cheek_left, middle, cheek_right, right + [-9, 1, 3], right - down]
        ),
        40,
    )
    upper = _outline_in_view(scene.project(edge)[0])
    jaw = scene.project(points[[4, 12]] + [[-16, -8, 0], [16, -8, 0]])[0]
    flare = rng.uniform(0.05, 0.25) * scene.size
    bottom = scene.size + 8.0
    lower = np.array(
        [[jaw[1, 0], jaw[1, 1]], [jaw[1, 0] + flare, bottom], [jaw[0, 0] - flare, bottom], jaw[0]]
    )
    return upper, np.concatenate([upper, curve(np.concatenate([upper[-1:], lower, upper[:1]]), 40)[1:-1]])


def _outline_in_view(edge: np.ndarray) -> np.ndarray:
    """A turned head hides one end of the edge; it then ends at the silhouette, instead of turning back."""
    half = len(edge) // 2
    edge = edge.copy()
    edge[half:, 0] = np.maximum.accumulate(edge[half:, 0])
    edge[:half, 0] = np.minimum.accumulate(edge[:half, 0][::-1])[::-1]
    return edge


def _folds(rng: np.random.Generator, across: Plane, down: Plane, scale: float) -> Plane:
    """Relief in pixels: ridges that sag between the ears, uneven as cloth is."""
    size = across.shape[0]
    sag = rng.uniform(6, 24) * (1 - across**2)
    wave = down - sag + 5 * noise(rng, size, 3)
    period = rng.uniform(14, 34)
    ridge = 1 - np.abs(((wave + rng.uniform(0, period)) / period) % 1.0 * 2 - 1) ** rng.uniform(1.3, 2.5)
    strength = rng.uniform(0.12, 0.3) * period * (0.7 + 0.3 * noise(rng, size, 4))
    wrinkles = rng.uniform(0.2, 0.7) * noise(rng, size, 12)
    return blur(((ridge * strength + wrinkles) * scale).astype(np.float32), 0.6 * scale)


def paint_scarf(scene: Scene, rng: np.random.Generator, held_out: bool) -> list[Layer]:
    """One scarf over mouth and chin."""
    size, scale = scene.size, scene.scale
    upper, outline = _outline(scene, rng)
    alpha = fill([outline], size)
    x, y = grid(size)
    order = np.argsort(upper[:, 0])
    edge = np.interp(x[0], upper[order, 0], upper[order, 1])
    down = ((y - edge[None]) / scale).astype(np.float32)
    left, right = upper[:, 0].min(), upper[:, 0].max()
    across = np.clip((x - (left + right) / 2) / ((right - left) / 2), -1.6, 1.6)
    folds = _folds(rng, across, down, scale)
    hem = smoothstep(0, 5, down) * (1 - 0.25 * smoothstep(5, 8, down)) * 3 * scale
    bulge = np.sqrt(np.clip(1.2 - across**2 * 0.8, 0.02, None)) * 26 * scale
    relief = folds + hem + bulge
    normals = relief_normals(relief.astype(np.float32))
    u = np.arcsin(np.clip(across / 1.25, -1, 1)) * 80 + 0.8 * folds / scale
    v = down - rng.uniform(0, 14) * (1 - across**2) + 1.2 * folds / scale
    albedo = choose_texture(rng, held_out)(u.astype(np.float32), v.astype(np.float32), rng)
    valley = 1 - 0.35 * np.clip((blur(folds, 3 * scale) - folds) / (2 * scale), 0, 1)
    weave = 1 + 0.04 * rng.standard_normal((size, size), np.float32)
    colour = albedo * np.maximum(scene.shade(normals), 0) * (valley * weave)[..., None]
    return [make_layer(colour, alpha, rng.uniform(3, 8))]
