"""What belongs to a person but not to the face: hair, ears, neck, clothes. All of it is behind the face's region."""

import cv2
import numpy as np

from occfit.data.synthetic.drawing import (
    Picture,
    Plane,
    blur,
    curve,
    fill,
    fractal_noise,
    grid,
    noise,
    over,
    relief_normals,
    smoothstep,
)
from occfit.data.synthetic.priors import Person
from occfit.data.synthetic.scene import Scene, unit
from occfit.data.synthetic.textures import SEEN_TEXTURES


def extend_skin(face: Picture, region: Plane, reach: float) -> Picture:
    """The face's colours continued beyond its outline: a normalised blur, narrow and wide, at half the resolution."""
    size, half = len(region), len(region) // 2
    known = cv2.resize(np.dstack([face, region]), (half, half), interpolation=cv2.INTER_AREA)
    mixed = known + 1e-5
    for sigma, share in ((reach / 6, 1.0), (reach / 2, 0.05), (reach * 2, 1e-3)):
        mixed = mixed + share * blur(known, sigma)
    return cv2.resize(mixed[..., :3] / mixed[..., 3:], (size, size), interpolation=cv2.INTER_LINEAR)


def _hair_texture(rng: np.random.Generator, size: int, centre: np.ndarray) -> Plane:
    """Brightness of combed hair: noise that is long from the crown outwards and fine around it."""
    x, y = grid(size)
    angle = cv2.phase(x - centre[0], y - centre[1]) / np.float32(2 * np.pi)
    distance = np.hypot(x - centre[0], y - centre[1]) * np.float32(1 / size)
    table = rng.standard_normal((6, int(rng.integers(80, 240))), np.float32)
    table = cv2.GaussianBlur(table, (0, 0), 0.8) * 1.6
    swirl = angle + np.float32(rng.normal(0, 0.08)) * distance + np.float32(0.01) * noise(rng, size, 5)
    column = swirl % 1 * np.float32(table.shape[1] - 1)
    strands = cv2.remap(table, column, np.minimum(distance * 6, 5), cv2.INTER_LINEAR)
    return 1 + 0.3 * strands + 0.2 * noise(rng, size, 4)


def _combed_hair(scene: Scene, rng: np.random.Generator, person: Person) -> Picture:
    """What the whole canvas would look like if it were this person's hair; painted at half its resolution."""
    half = scene.size // 2
    crown = (scene.landmarks[27] - [0, 75 * scene.scale]) / 2
    texture = _hair_texture(rng, half, crown.astype(np.float32))
    hair = scene.smooth_light(14 * scene.scale) * person.hair
    hair = cv2.resize(hair, (half, half), interpolation=cv2.INTER_LINEAR) * texture[..., None]
    return cv2.resize(hair, (scene.size, scene.size), interpolation=cv2.INTER_LINEAR)


def _ragged(scene: Scene, rng: np.random.Generator, outline: np.ndarray) -> Plane:
    frayed = outline + scene.scale * rng.normal(0, 1.2, outline.shape)
    return blur(fill([frayed], scene.size), 0.8 * scene.scale)


def _ears(scene: Scene, skin: Picture) -> tuple[Picture, Plane]:
    """Two ovals beside the cheeks, with a darker concha."""
    coverage = np.zeros((scene.size, scene.size), np.float32)
    inner = coverage.copy()
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for ear, side in ((0, -1), (16, 1)):
        centre = scene.points[ear] + [side * 4, 4, -16]
        for plane, size in ((coverage, 1.0), (inner, 0.55)):
            oval = np.stack(
                [
                    side * 9 * np.cos(angles) + side * 3 * np.sin(angles),
                    30 * np.sin(angles),
                    -8 * np.cos(angles),
                ],
                1,
            )
            plane[:] = np.maximum(plane, fill([scene.project(centre + oval * size)[0]], scene.size))
    shade = 0.88 - 0.3 * blur(inner, 1.5 * scene.scale)
    return skin * shade[..., None] * np.array([1.04, 0.95, 0.94], np.float32), coverage


def _neck(scene: Scene, skin: Picture) -> tuple[Picture, Plane]:
    """A column below the jaw, in the face's colours and the chin's shadow."""
    left, right = scene.points[4] + [4, 0, -40], scene.points[12] + [-4, 0, -40]
    low, flare = np.array([0, -260, -10]), np.array([26, 0, 0])
    near = [left + [0, 40, 0], left - [0, 40, 0]], [right - [0, 40, 0], right + [0, 40, 0]]
    outline = np.stack([*near[0], left + low - flare, right + low + flare, *near[1]])
    corners = scene.project(outline)[0]
    middle, width = corners[[1, 4], 0].mean(), np.ptp(corners[[1, 4], 0]) / 2
    bend = np.clip((np.arange(scene.size, dtype=np.float32) + 0.5 - middle) / width, -1, 1)
    normals = np.stack([0.9 * bend, np.full_like(bend, -0.2), np.sqrt(1 - 0.81 * bend**2)], axis=-1)
    column = scene.skin * np.maximum(scene.shade(unit(normals[None])), 0.03)
    colour = 0.4 * skin + 0.6 * column
    return colour * _chin_shadow(scene)[..., None], blur(fill([corners], scene.size), 0.5 * scene.scale)


def _dress(scene: Scene, rng: np.random.Generator, picture: Picture) -> Picture:
    """Adds a collar and shoulders, where the picture reaches down to them."""
    chin = scene.landmarks[8]
    neck = scene.scale * 62
    top = chin[1] + scene.scale * rng.uniform(22, 55)
    drop = scene.scale * rng.uniform(8, 40)
    half = [[0, drop], [neck, -0.3 * drop], [2.2 * neck, 0.35 * neck], [4 * neck, 2.2 * neck]]
    right = np.array([chin[0], top]) + half
    left = (right * [-1, 1] + [2 * chin[0], 0])[:0:-1]
    outline = np.concatenate([left, right])
    bottom = scene.size + 8.0
    polygon = np.concatenate([curve(outline, 40), [[outline[-1, 0], bottom], [outline[0, 0], bottom]]])
    alpha = fill([polygon], scene.size)
    if not alpha.any():
        return picture
    x, y = grid(scene.size)
    texture = SEEN_TEXTURES[int(rng.choice(len(SEEN_TEXTURES), p=[0.5, 0.12, 0.1, 0.1, 0.06, 0.06, 0.06]))]
    albedo = texture((x - chin[0]) / scene.scale, (y - chin[1]) / scene.scale, rng)
    folds = relief_normals(fractal_noise(rng, scene.size, 7, 2) * 2.5 * scene.scale)
    return over(picture, albedo * np.maximum(scene.shade(folds), 0.03), alpha)


def _long_hair(scene: Scene, rng: np.random.Generator, thickness: float) -> Plane:
    """Hair behind neck and shoulders."""
    outline = scene.skull(thickness, thickness)
    below = outline[:, 1] - scene.landmarks[27, 1]
    fall = scene.scale * rng.uniform(20, 170)
    outline[:, 1] += fall * np.clip(below / (60 * scene.scale), 0, 1)
    return _ragged(scene, rng, outline)


def _hair_cap(scene: Scene, rng: np.random.Generator, thickness: float) -> Plane:
    """Hair on the skull, down to the temples."""
    cap = _ragged(scene, rng, scene.skull(thickness, thickness))
    _, y = grid(scene.size)
    height = (scene.landmarks[27, 1] - y) / scene.scale
    return cap * smoothstep(-10, 6, height - 8 * noise(rng, scene.size, 4))


def _chin_shadow(scene: Scene) -> Plane:
    """What is left of the light on the neck: least right below the chin."""
    centres = np.arange(scene.size, dtype=np.float32) + 0.5
    x, y = ((centres - scene.landmarks[8, axis]) / scene.scale for axis in (0, 1))
    return 0.6 + 0.4 * smoothstep(0, 45, y[:, None] + (x / 12) ** 2)


def paint_surroundings(
    scene: Scene, rng: np.random.Generator, person: Person, background: Picture, face: Picture
) -> Picture:
    """The background with the person's hair, neck, clothes and ears on it; the face itself still to come."""
    skin = extend_skin(face, scene.region, 5 * scene.scale)
    hair = _combed_hair(scene, rng, person)
    thickness = rng.uniform(2, 26)
    picture = background
    if person.long_hair:
        picture = over(picture, hair * 0.75, _long_hair(scene, rng, thickness))
    picture = over(picture, *_neck(scene, skin))
    picture = _dress(scene, rng, picture)
    if not (person.long_hair and rng.random() < 0.6):
        picture = over(picture, *_ears(scene, skin))
    if rng.random() < 0.96:
        picture = over(picture, hair, _hair_cap(scene, rng, thickness))
    reach = max(1, round(rng.uniform(1, 6) * scene.scale))
    rim = cv2.dilate(scene.region, np.ones((3, 3), np.uint8), iterations=reach)
    skull = fill([scene.skull(0, 0)], scene.size)
    return over(picture, skin, blur(rim, scene.scale) * skull)
