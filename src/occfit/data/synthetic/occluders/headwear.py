"""Caps, beanies, headbands and headscarves: cloth over the forehead, or all around the face."""

import cv2
import numpy as np

from occfit.data.synthetic.drawing import Plane, blur, curve, fill, grid, noise, relief_normals, smoothstep
from occfit.data.synthetic.scene import Layer, Scene, make_layer
from occfit.data.synthetic.textures import choose_texture

STYLES = ("cap", "beanie", "headband", "headscarf")


def _edge(scene: Scene, rng: np.random.Generator, above_brows: float) -> np.ndarray:
    """The lower edge on the forehead, from the left temple to the right one, canvas pixels; `n 2`."""
    points = scene.points
    level = points[17:27, 1].mean() + above_brows
    slant, bend = rng.normal(0, 3), rng.uniform(-6, 8)
    temples = points[[0, 16]]
    across = np.linspace(-1, 1, 7)
    x = temples[:, 0].mean() + across * (np.ptp(temples[:, 0]) / 2 + 6)
    y = level + slant * across + bend * (1 - across**2) - 8 * across**4
    z = temples[:, 2].mean() + (points[27, 2] - temples[:, 2].mean() + 4) * np.sqrt(1 - 0.96 * across**2)
    return scene.project(curve(np.stack([x, y, z], axis=1), 40))[0]


def _upper_half(scene: Scene, wider: float, taller: float) -> np.ndarray:
    """The head's outline over the top, from the picture's right to its left."""
    return scene.skull(wider, taller)[:25]


def _cloth(scene: Scene, rng: np.random.Generator, held_out: bool, alpha: Plane, folds: float) -> np.ndarray:
    """Shaded cloth over the whole canvas, bulging as the head does."""
    size, scale = scene.size, scene.scale
    x, y = grid(size)
    inside = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    bulge = 22 * scale * np.sqrt(np.clip(inside / (45 * scale), 0, 1))
    wrinkles = folds * scale * noise(rng, size, rng.uniform(4, 10)) + 0.3 * scale * noise(rng, size, 18)
    relief = blur((bulge + wrinkles).astype(np.float32), 0.8 * scale)
    middle = scene.landmarks[27]
    turn = rng.uniform(-0.4, 0.4)
    u, v = (x - middle[0]) / scale, (y - middle[1]) / scale
    albedo = choose_texture(rng, held_out)(
        (u * np.cos(turn) + v * np.sin(turn)).astype(np.float32),
        (v * np.cos(turn) - u * np.sin(turn)).astype(np.float32),
        rng,
    )
    valley = 1 - 0.3 * np.clip((blur(wrinkles, 4 * scale) - wrinkles) / (2 * scale), 0, 1)
    weave = 1 + 0.04 * rng.standard_normal((size, size), np.float32)
    return albedo * np.maximum(scene.shade(relief_normals(relief)), 0.02) * (valley * weave)[..., None]


def _brim(scene: Scene, rng: np.random.Generator, edge: np.ndarray, colour: np.ndarray) -> Layer:
    """A cap's stiff visor: nearly flat, and dark from below."""
    depth = rng.uniform(10, 24) * scene.scale
    t = np.linspace(-1, 1, len(edge))
    front = edge + np.stack([t * 4 * scene.scale, depth * np.sqrt(np.clip(1 - t**2, 0, 1))], axis=1)
    alpha = fill([np.concatenate([edge, front[::-1]])], scene.size)
    below = smoothstep(float(edge[:, 1].min()), float(front[:, 1].max()), grid(scene.size)[1])
    light = scene.flat_shade((0.0, 0.5, 0.8))
    return make_layer(colour * light * (0.55 + 0.35 * below)[..., None], alpha, 35)


def paint_headwear(scene: Scene, rng: np.random.Generator, held_out: bool) -> list[Layer]:
    """One cap, beanie, headband or headscarf; from back to front."""
    style = str(rng.choice(STYLES))
    edge = _edge(scene, rng, rng.uniform(2, 40))
    thickness = rng.uniform(4, 18)
    if style == "headband":
        height = rng.uniform(14, 45) * scene.scale
        alpha = fill([np.concatenate([edge, edge[::-1] - [0, height]])], scene.size)
    elif style == "headscarf":
        alpha = _around_the_face(scene, rng, edge, thickness)
    else:
        alpha = fill([np.concatenate([edge, _upper_half(scene, thickness, thickness + 12)])], scene.size)
    cloth = _cloth(scene, rng, held_out, alpha, rng.uniform(0.3, 2.5))
    layers = [make_layer(cloth, alpha, rng.uniform(2, 6))]
    if style == "cap":
        colour = cloth[alpha > 0.5].mean(axis=0) if (alpha > 0.5).any() else np.full(3, 0.2)
        layers.append(_brim(scene, rng, edge, colour * rng.uniform(0.5, 1.2)))
    return layers


def _around_the_face(scene: Scene, rng: np.random.Generator, edge: np.ndarray, thickness: float) -> Plane:
    """A scarf around head and neck, open over the face from the edge on the forehead down to the chin."""
    inset = rng.uniform(-4, 10)
    jaw = scene.points[1:16] + np.array([1.0, 0, 0]) * np.linspace(inset, -inset, 15)[:, None]
    jaw[5:10, 1] += rng.uniform(-10, 6)
    opening = np.concatenate([edge[4:-4], scene.project(jaw)[0][::-1]])
    head = scene.skull(thickness, thickness + 8)
    bottom, reach = scene.size + 8.0, rng.uniform(10, 60) * scene.scale
    below = np.array([[head[0, 0] + reach, bottom], [head[24, 0] - reach, bottom]])
    outline = np.concatenate([head[:25], below[::-1]])
    return fill([outline], scene.size) * (1 - fill([opening], scene.size))
