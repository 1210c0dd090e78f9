"""From a face to a photograph and its mask: skin, surroundings, occluders and their shadows, camera."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from occfit.data.synthetic.backgrounds import paint_background
from occfit.data.synthetic.complexion.skin import apply_sheet, gloss, nose_shadow, paint_sheet
from occfit.data.synthetic.drawing import Picture, Plane, over
from occfit.data.synthetic.faces import Face
from occfit.data.synthetic.occluders import paint_occluder
from occfit.data.synthetic.priors import Setting
from occfit.data.synthetic.scene import Layer, cast_shadow
from occfit.data.synthetic.sensor import photograph
from occfit.data.synthetic.splits import Plan
from occfit.data.synthetic.streams import Purpose, stream
from occfit.data.synthetic.surroundings import paint_surroundings


@dataclass(frozen=True)
class Painting:
    """A finished picture.

    Attributes:
        image: as the camera stores it.
        visibility: True where the face shows.
        face_region: True where the face is, hidden or not.
        region, hidden: what the mask follows from, on the canvas: 1 where the face projects, and how much of what
            is behind them the occluders hide.
    """

    image: UInt8[ndarray, "h w 3"]
    visibility: Bool[ndarray, "h w"]
    face_region: Bool[ndarray, "h w"]
    region: Float[ndarray, "s s"]
    hidden: Float[ndarray, "s s"]


def true_masks(region: Plane, hidden: Plane, size: int) -> tuple[Bool[ndarray, "s s"], Bool[ndarray, "s s"]]:
    """Visible face and whole face region at `size` pixels.

    A pixel belongs to the face if at least half of it does, and shows it if less than half of it is hidden.
    """
    shrunk = cv2.resize(np.dstack([region, hidden]), (size, size), interpolation=cv2.INTER_AREA)
    face_region = shrunk[..., 0] >= 0.5
    return face_region & (shrunk[..., 1] < 0.5), face_region


def paint_face(face: Face, rng: np.random.Generator, setting: Setting = Setting.WILD) -> Picture:
    """The face's colours on the canvas, black around it."""
    scene = face.scene
    sheet = paint_sheet(rng, face.person, max(96, scene.size // 2), face.marks, setting)
    albedo = face.albedo * apply_sheet(sheet, face.reference)
    light = np.maximum(scene.shade(scene.normals), 0) * (1 - nose_shadow(scene, rng))[..., None]
    return ((albedo * light + gloss(scene, rng)) * scene.region[..., None]).astype(np.float32)


def lay(
    picture: Picture, hidden: Plane, layers: list[Layer], face: Face, strength: float
) -> tuple[Picture, Plane]:
    """Puts an occluder before what has been painted, with its shadow on it."""
    for layer in layers:
        picture = picture * (1 - cast_shadow(face.scene, layer, strength))[..., None]
    for layer in layers:
        picture = over(picture, layer.colour, layer.alpha)
        hidden = 1 - (1 - hidden) * (1 - layer.alpha)
    return picture, hidden


def paint(face: Face, plan: Plan, seed: int, split: str, index: int, size: int) -> Painting:
    """The picture of a face by its plan, `size` pixels wide."""
    scene = face.scene
    skin = paint_face(face, stream(seed, split, index, Purpose.SKIN), plan.setting)
    rng = stream(seed, split, index, Purpose.BACKGROUND)
    picture = paint_background(rng, scene.size, plan.setting)
    picture = paint_surroundings(scene, rng, face.person, picture, skin)
    picture = over(picture, skin, scene.region)
    hidden = np.zeros((scene.size, scene.size), np.float32)
    rng = stream(seed, split, index, Purpose.OCCLUDER)
    for kind, held_out in plan.occluders:
        layers = paint_occluder(kind, scene, rng, held_out, face.person.hair)
        picture, hidden = lay(picture, hidden, layers, face, rng.uniform(0.5, 0.9))
    image = photograph(picture, stream(seed, split, index, Purpose.SENSOR), size, plan.setting)
    return Painting(image, *true_masks(scene.region, hidden, size), scene.region, hidden)
