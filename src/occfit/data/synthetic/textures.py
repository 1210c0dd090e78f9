"""Cloth and printed surfaces: colour as a function of the place on the material, in millimetres.

A texture is `(u, v, rng) -> albedo`, `u` and `v` planes in mm (u along the cloth, v across), the albedo `h w 3`.
`HELD_OUT_TEXTURES` occur only in test sets.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from occfit.data.synthetic.drawing import Picture, Plane, hsv, noise, smoothstep

Colour = Float[ndarray, " 3"]
Texture = Callable[[Plane, Plane, np.random.Generator], Picture]


def cloth_colour(rng: np.random.Generator) -> Colour:
    """A colour that people wear: often dark, grey or muted, now and then bright; skin tones among them."""
    kind = rng.random()
    if kind < 0.3:
        return hsv(rng.random(), rng.uniform(0, 0.12), rng.uniform(0.04, 0.9))
    if kind < 0.45:
        return hsv(rng.uniform(0.02, 0.11), rng.uniform(0.15, 0.6), rng.uniform(0.3, 0.9))
    return hsv(rng.random(), rng.uniform(0.25, 0.9), rng.uniform(0.12, 0.85))


def _periodic(value: Plane, period: float) -> Plane:
    return (value / period) % 1.0


def _palette(rng: np.random.Generator, count: int) -> list[Colour]:
    return [cloth_colour(rng) for _ in range(count)]


def _bands(value: Plane, rng: np.random.Generator, colours: list[Colour], period: float) -> Picture:
    """A repeated sequence of stripes of uneven widths."""
    edges = np.sort(rng.uniform(0.05, 0.95, len(colours) - 1))
    index = np.searchsorted(edges, _periodic(value, period))
    return np.stack(colours)[index].astype(np.float32)


def plain(u: Plane, v: Plane, rng: np.random.Generator) -> Picture:
    return np.broadcast_to(cloth_colour(rng), (*u.shape, 3)).astype(np.float32)


def stripes(u: Plane, v: Plane, rng: np.random.Generator) -> Picture:
    angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    along = u * np.cos(angle) + v * np.sin(angle)
    return _bands(along, rng, _palette(rng, int(rng.integers(2, 5))), rng.uniform(8, 36))


def checks(u: Plane, v: Plane, rng: np.random.Generator) -> Picture:
    """Tartan: two sets of stripes woven into each other."""
    colours, period = _palette(rng, int(rng.integers(2, 5))), rng.uniform(14, 44)
    seed = int(rng.integers(2**31))
    sets = [_bands(axis, np.random.default_rng(seed), colours, period) for axis in (u, v)]
    return 0.5 * (sets[0] + sets[1])


def knit(u: Plane, v: Plane, rng: np.random.Generator) -> Picture:
    """Wool with visible stitches, in one colour or in broad bands."""
    base = _bands(v, rng, _palette(rng, 2), rng.uniform(30, 90)) if rng.random() < 0.5 else plain(u, v, rng)
    width, height = rng.uniform(5, 9), rng.uniform(4, 7)
    across = np.abs(_periodic(u, width) - 0.5) * 2
    stitch = np.abs(_periodic(v + across * height * 0.7, height) - 0.5) * 2
    groove = 1 - 0.35 * smoothstep(0.55, 1.0, stitch) - 0.3 * smoothstep(0.75, 1.0, across)
    return base * groove[..., None]


def dots(u: Plane, v: Plane, rng: np.random.Generator) -> Picture:
    ground, spot = _palette(rng, 2)
    period = rng.uniform(9, 22)
    row = np.floor(v / period)
    x, y = _periodic(u + row * period / 2, period) - 0.5, _periodic(v, period) - 0.5
    inside = smoothstep(rng.uniform(0.25, 0.38), 0.2, np.hypot(x, y))
    return ground + (spot - ground) * inside[..., None]


def herringbone(u: Plane, v: Plane, rng: np.random.Generator) -> Picture:
    first, second = _palette(rng, 2)
    width, period = rng.uniform(10, 20), rng.uniform(5, 10)
    zigzag = np.abs(_periodic(u, 2 * width) - 0.5) * 2 * width
    share = smoothstep(0.4, 0.6, np.abs(_periodic(v + zigzag, period) - 0.5) * 2)
    return first + (second - first) * share[..., None]


def marbled(u: Plane, v: Plane, rng: np.random.Generator) -> Picture:
    """Print of two colours in smooth blots, as batik or camouflage."""
    first, second, third = _palette(rng, 3)
    field = noise(rng, u.shape[0], rng.uniform(6, 20)) + 0.5 * noise(rng, u.shape[0], 30)
    low, high = smoothstep(-0.2, 0.1, field), smoothstep(0.6, 0.9, field)
    mixed = first + (second - first) * low[..., None]
    return mixed + (third - mixed) * high[..., None]


def houndstooth(u: Plane, v: Plane, rng: np.random.Generator) -> Picture:
    first, second = _palette(rng, 2)
    period = rng.uniform(10, 20)
    x, y = _periodic(u, period), _periodic(v, period)
    slant = (x + y) % 1.0 < 0.5
    dark = np.where((x < 0.5) == (y < 0.5), x < 0.5, slant)
    return first + (second - first) * dark.astype(np.float32)[..., None]


def leopard(u: Plane, v: Plane, rng: np.random.Generator) -> Picture:
    ground = hsv(rng.uniform(0.07, 0.12), rng.uniform(0.4, 0.6), rng.uniform(0.6, 0.85))
    field = noise(rng, u.shape[0], float(np.ptp(u)) / rng.uniform(7, 12))
    ring = smoothstep(0.15, 0.35, field) * smoothstep(1.0, 0.7, field)
    heart = smoothstep(0.85, 1.1, field)
    spotted = ground * (1 - 0.85 * ring[..., None])
    return spotted * (1 - 0.35 * heart[..., None])


def floral(u: Plane, v: Plane, rng: np.random.Generator) -> Picture:
    ground, petal, heart = _palette(rng, 3)
    period = rng.uniform(16, 30)
    row = np.floor(v / period)
    x, y = _periodic(u + row * period * 0.5, period) - 0.5, _periodic(v, period) - 0.5
    radius, angle = np.hypot(x, y), np.arctan2(y, x) + row
    flower = smoothstep(0.04, -0.04, radius - (0.27 + 0.1 * np.cos(5 * angle)))
    picture = ground + (petal - ground) * flower[..., None]
    return picture + (heart - picture) * smoothstep(0.12, 0.08, radius)[..., None]


SEEN_TEXTURES: tuple[Texture, ...] = (plain, stripes, checks, knit, dots, herringbone, marbled)
HELD_OUT_TEXTURES: tuple[Texture, ...] = (houndstooth, leopard, floral)


def choose_texture(rng: np.random.Generator, held_out: bool) -> Texture:
    family = HELD_OUT_TEXTURES if held_out else SEEN_TEXTURES
    return family[int(rng.integers(len(family)))]
