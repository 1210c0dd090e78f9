"""Microphones: a ball of wire mesh or foam on a handle, before the mouth. Only in test sets."""

import numpy as np

from occfit.data.synthetic.drawing import grid, hsv, smoothstep
from occfit.data.synthetic.scene import Layer, Scene, make_layer, unit


def paint_microphone(scene: Scene, rng: np.random.Generator) -> list[Layer]:
    """A hand-held microphone that comes from below."""
    size, scale = scene.size, scene.scale
    centre = scene.landmarks[48:68].mean(axis=0) + rng.normal(0, 10, 2) * scale + [0, 16 * scale]
    angle = rng.normal(0, 0.55)
    x, y = grid(size)
    dx, dy = (x - centre[0]) / scale, (y - centre[1]) / scale
    u, v = dx * np.cos(angle) - dy * np.sin(angle), dx * np.sin(angle) + dy * np.cos(angle)
    radius = rng.uniform(24, 30)
    ball = np.hypot(u, v / 1.08) - radius
    taper = np.clip(radius * 0.82 - 0.075 * (v - radius), 11, None)
    handle = np.maximum(np.abs(u) - taper, radius * 0.75 - v)
    ring = np.maximum(np.abs(u) - radius * 0.99, np.abs(v - radius * 0.62) - 3.2)
    bend = np.clip(u / taper, -0.98, 0.98)
    tube = np.dstack([bend * np.cos(angle), -bend * np.sin(angle), np.sqrt(1 - bend**2)])
    nx, ny = dx / radius, dy / radius
    globe = np.dstack([nx, -ny, np.sqrt(np.clip(1 - nx**2 - ny**2, 0.02, 1))])
    normals = np.where((ball < 0)[..., None], globe, tube)
    normals = unit(normals.astype(np.float32))
    light = np.maximum(scene.shade(normals), 0.02)
    foam = rng.random() < 0.35
    head = (
        hsv(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.05, 0.7))
        if foam
        else np.full(3, rng.uniform(0.2, 0.6))
    )
    period = 2.6 if foam else 3.6
    bulge = 1 + 0.3 * (np.hypot(u, v) / radius) ** 2
    wire = np.sin((u + v) * bulge * np.pi / period) * np.sin((u - v) * bulge * np.pi / period)
    grain = 1 + 0.12 * rng.standard_normal((size, size), np.float32) if foam else 0.5 + 0.7 * np.abs(wire)
    albedo = np.where((ball < 0)[..., None], head * grain[..., None], hsv(0.6, 0.1, rng.uniform(0.03, 0.2)))
    silver = smoothstep(0.3, -0.3, ring)[..., None]
    albedo = albedo + (np.array([0.55, 0.55, 0.57]) - albedo) * silver
    shine = np.exp(-((bend - 0.35) ** 2) / 0.015)[..., None] * (ball >= 0)[..., None] * 0.35
    colour = (albedo + shine) * light
    alpha = np.clip(0.5 - np.minimum(np.minimum(ball, handle), ring) * scale, 0, 1)
    return [make_layer(colour, alpha, 18)]
