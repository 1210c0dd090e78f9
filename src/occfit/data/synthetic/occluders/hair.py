"""Hair that falls over the forehead, the eyes or a cheek: locks made of many fine strands."""

import cv2
import numpy as np
from jaxtyping import Float

from occfit.data.synthetic.drawing import blur, curve, noise
from occfit.data.synthetic.scene import Layer, Scene, make_layer

SEEN_STYLES = ("hairline", "fringe", "swept", "side")
HELD_OUT_STYLES = ("curls",)


def _roots_and_tips(
    scene: Scene, rng: np.random.Generator, style: str
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """Where each lock begins, on the skull, and where it ends; canvas pixels."""
    upper = scene.skull(6, 14)[2:23]
    side, mm = int(rng.choice([-1, 1])), scene.scale
    if style == "side":
        upper = upper[:9] if side > 0 else upper[12:]
        count, ends = int(rng.integers(10, 20)), scene.landmarks[[14, 12] if side > 0 else [2, 4]]
        roots = upper[rng.integers(0, len(upper), count)]
        along = rng.uniform(0, 1.6, (count, 1))
        return roots, ends[0] + (ends[1] - ends[0]) * along + rng.normal([side * 3, 0], 7, (count, 2)) * mm
    count = int(rng.integers(18, 32)) if style in ("hairline", "fringe") else int(rng.integers(7, 18))
    roots = upper[rng.integers(0, len(upper), count)] + rng.normal(0, 2.5, (count, 2)) * mm
    if style == "hairline":
        inwards = scene.landmarks[27] - roots
        reach = rng.uniform(22, 40) * mm / np.linalg.norm(inwards, axis=1, keepdims=True)
        return roots, roots + inwards * reach * rng.uniform(0.6, 1.3, (count, 1))
    if style == "fringe":
        roots = roots[np.abs(roots[:, 0] - scene.landmarks[27, 0]) < 55 * mm]
        level = scene.landmarks[17:27, 1].mean() - rng.uniform(-14, 26) * mm
        tips = np.stack([roots[:, 0], np.full(len(roots), level)], axis=1)
        return roots, tips + rng.normal(0, 1, tips.shape) * [3 * mm, 5 * mm]
    parting = upper[rng.integers(4, 9) if side > 0 else rng.integers(12, 17)]
    roots = parting + (roots - parting) * rng.uniform(0, 0.5, (count, 1))
    goal = scene.landmarks[17 if side > 0 else 26] - [side * 16 * mm, 0]
    return roots, goal + rng.normal([0, -6], [9, 16], (count, 2)) * mm


def _lock(
    rng: np.random.Generator, root: np.ndarray, tip: np.ndarray, scale: float, curly: bool
) -> Float[np.ndarray, "n m 2"]:
    """Strands that start side by side and end in a point."""
    span = tip - root
    length = max(float(np.linalg.norm(span)), 1e-3)
    across = np.array([-span[1], span[0]]) / length
    count, width = int(rng.integers(16, 40)), scale * rng.uniform(4, 11)
    offset = rng.uniform(-1, 1, (count, 1)) * width
    middle = (root + tip) / 2 + rng.normal(0, 0.08, 2) * length - [0, 0.12 * abs(span[0])]
    end = tip + across * offset * 0.25 + span * rng.normal(0, 0.05, (count, 1))
    points = curve(np.stack([root + across * offset, middle + across * offset * 0.9, end], axis=1), 14)
    if curly:
        phase = np.linspace(0, rng.uniform(9, 13), 14)[:, None]
        points = points + scale * 7 * np.concatenate([np.sin(phase), np.cos(phase)], axis=1)
    return points


def paint_hair(scene: Scene, rng: np.random.Generator, held_out: bool, colour: np.ndarray) -> list[Layer]:
    """A low hairline, a fringe, swept hair, a side curtain or curls, of the given colour (albedo)."""
    style = str(rng.choice(HELD_OUT_STYLES if held_out else SEEN_STYLES))
    size, curly = scene.size, style == "curls"
    ends = zip(*_roots_and_tips(scene, rng, "swept" if curly else style), strict=True)
    strands = [_lock(rng, root, tip, scene.scale, curly) for root, tip in ends]
    points = np.round((np.concatenate(strands) - 0.5) * 16).astype(np.int32)
    thick = max(1, round(scene.scale * 0.7))
    coverage = np.zeros((size, size), np.uint8)
    cv2.polylines(coverage, list(points), False, 255, thick, cv2.LINE_AA, 4)
    shine = np.zeros((size, size), np.uint8)
    order = rng.permutation(len(points))
    for level, members in zip((70, 110, 150, 190, 235), np.array_split(order, 5), strict=True):
        cv2.polylines(shine, [points[k] for k in members], False, level, thick, cv2.LINE_AA, 4)
    alpha = coverage.astype(np.float32) / 255
    alpha = np.maximum(alpha, np.clip(blur(alpha, 0.6 * scene.scale) * 1.5 - 0.35, 0, 1))
    texture = blur(shine.astype(np.float32) / 255, 0.3) / np.maximum(alpha, 0.2)
    band = 1 + 0.5 * np.clip(noise(rng, size, 5), 0, 2)
    light = cv2.resize(scene.smooth_light(10 * scene.scale), (size, size), interpolation=cv2.INTER_LINEAR)
    picture = colour * light * (0.35 + 0.8 * texture * band)[..., None]
    return [make_layer(picture, alpha, 4)]
