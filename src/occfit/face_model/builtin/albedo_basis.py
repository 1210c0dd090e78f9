"""The template's colours: what makes skin, lips, brows and eyes look so, and how they differ between people.

Skin is a tone times a relief of relative reflectances, so lips and brows stay darker than the skin for any tone. Eyes,
teeth and the inside of the mouth have colours of their own.
"""

from dataclasses import dataclass

import numpy as np

from occfit.face_model.builtin import anatomy
from occfit.face_model.builtin.anatomy import Array
from occfit.face_model.builtin.fields import bump, step
from occfit.face_model.builtin.gaussian_process import Controls, Scales, mirror_processes
from occfit.face_model.builtin.surface import EYEBALL, MOUTH, SKIN, Place

SKIN_TONE = np.array([0.50, 0.365, 0.295])
_TONES = {
    "lightness": np.array([0.128, 0.113, 0.100]),
    "redness": np.array([0.011, -0.006, -0.005]),
    "olive": np.array([-0.003, 0.004, -0.009]),
}
_LIP = np.array([0.90, 0.66, 0.70])
_BROW = np.array([0.34, 0.33, 0.35])
_SCLERA = np.array([0.60, 0.57, 0.54])
_IRIS = np.array([0.200, 0.160, 0.132])
_PUPIL = np.array([0.025, 0.022, 0.02])
_TEETH = np.array([0.60, 0.55, 0.46])
_CAVITY = np.array([0.10, 0.035, 0.03])
_NOISE: Scales = ((0.018, 28.0), (0.012, 12.0))
_LIGHTER = np.array([1.0, 0.66, 0.47])
_REDDER = np.array([0.08, -0.08, -0.053])
_FAIR_BROW = np.array([0.40, 0.33, 0.28])


@dataclass(frozen=True)
class Regions:
    """Soft masks in [0, 1] on the skin, and on the eyeballs."""

    lips: Array
    brows: Array
    lashes: Array
    iris: Array
    pupil: Array
    beard: Array
    cheeks: Array
    under_eyes: Array
    nose: Array

    @classmethod
    def of(cls, p: Place) -> "Regions":
        skin = p.points.part == SKIN
        x, y = p.x, p.y
        radius = np.hypot(x - anatomy.EYE_CENTRE[0], y - anatomy.EYE_CENTRE[1])
        eyeball = p.points.part == EYEBALL
        lips = _lips(p) * skin
        beard = np.maximum(
            bump(x, y, (0.0, -74.0), (46.0, 20.0), 2.0), bump(x, y, (0.0, -34.5), (20.0, 5.0), 2.0)
        )
        beard = np.maximum(beard, bump(x, y, (52.0, -44.0), (12.0, 30.0), 2.0))
        return cls(
            lips=lips,
            brows=_brows(x, y) * skin,
            lashes=_lashes(p),
            iris=step(-radius, -anatomy.IRIS_RADIUS, 0.18) * eyeball,
            pupil=step(-radius, -anatomy.PUPIL_RADIUS, 0.12) * eyeball,
            beard=beard * (1.0 - lips) * skin,
            cheeks=bump(x, y, (40.0, -12.0), (14.0, 13.0), 1.2) * skin,
            under_eyes=bump(x, y, (29.0, 11.5), (13.0, 4.5), 1.3) * skin,
            nose=bump(x, y, (0.0, -15.0), (15.0, 11.0), 1.5) * skin,
        )


def _lips(p: Place) -> Array:
    """1 on the vermilion, with a border about 0.5 mm soft."""
    inside = np.minimum(anatomy.upper_vermilion(p.x) - p.y, p.y - anatomy.lower_vermilion(p.x))
    ends = step(anatomy.MOUTH_HALF_WIDTH + 0.8 - p.x, 0.0, 0.5)
    return step(inside, 0.0, 0.45) * ends


def _brows(x: Array, y: Array, thicker: float = 0.0) -> Array:
    half = anatomy.brow_half_thickness(x)
    half = half + thicker * (half > 0)
    inside = half - np.abs(y - anatomy.brow_line(x))
    ends = np.clip((x - 9.0) / 8.0, 0.0, 1.0) * np.clip((57.0 - x) / 6.0, 0.0, 1.0)
    return step(inside, 0.5, 0.7) * ends


def _lashes(p: Place) -> Array:
    """The lids' margins: dark above, a hint below."""
    u = (p.x - anatomy.EYE_CENTRE[0]) / anatomy.EYE_HALF_WIDTH
    around = np.sqrt(np.clip(1.0 - u**2, 0.0, 1.0)) * (p.points.part == SKIN)
    upper = np.exp(-0.5 * ((p.y - anatomy.upper_lid(p.x)) / 0.7) ** 2) * (p.points.side > 0)
    lower = np.exp(-0.5 * ((p.y - anatomy.lower_lid(p.x)) / 0.6) ** 2) * (p.points.side < 0)
    return around * (0.85 * upper + 0.35 * lower)


_HOLLOWS = (
    # what, share of the light it loses, centre, radii
    ("inner corner of the eye", 0.16, (13.5, 21.0), (4.0, 6.0)),
    ("under the brow", 0.10, (30.0, 31.0), (15.0, 4.0)),
    ("under the lower lip", 0.10, (0.0, -61.5), (14.0, 3.0)),
    ("under the nose", 0.14, (0.0, -26.5), (11.0, 2.2)),
    ("groove of the upper lip", 0.06, (0.0, -33.5), (2.6, 4.5)),
)


def _shade(p: Place) -> Array:
    """What is left of the light in folds and hollows, where little arrives from anywhere."""
    x, y = p.x, p.y
    parting = np.exp(-0.5 * ((y - anatomy.parting_line(x)) / 0.9) ** 2)
    parting *= step(anatomy.MOUTH_HALF_WIDTH + 0.5 - x, 0.0, 0.6)
    crease = np.exp(-0.5 * ((y - anatomy.upper_lid(x) - 4.6) / 0.9) ** 2)
    crease *= bump(x, y, (31.5, 27.0), (14.0, 8.0), 2.0)
    nostril = bump(x, y, (6.4, -23.6), (3.0, 1.7), 1.3)
    wing = np.exp(-0.5 * ((np.hypot(x - 11.0, (y + 18.5) / 1.05) - 8.4) / 1.6) ** 2)
    wing *= step(x, 11.0, 1.5) * step(-y, 12.0, 2.5)
    keep = (1.0 - 0.62 * parting) * (1.0 - 0.22 * crease) * (1.0 - 0.80 * nostril) * (1.0 - 0.16 * wing)
    for _, loss, centre, radii in _HOLLOWS:
        keep *= 1.0 - loss * bump(x, y, centre, radii)
    return keep * (1.0 - 0.22 * step(-p.level, 98.0, 4.0)) * (1.0 - 0.55 * p.points.roll)


def _relative(p: Place, r: Regions) -> Array:
    """Reflectance of the skin's points relative to the tone of the skin, `n 3`."""
    relative = np.ones((len(p.y), 3))
    relative = _mixed(relative, _LIP, r.lips)
    relative = relative * (
        1.0 + r.cheeks[:, None] * [0.03, -0.045, -0.04] + r.nose[:, None] * [0.02, -0.035, -0.03]
    )
    relative = relative * (1.0 - 0.07 * r.under_eyes[:, None] * [0.8, 1.0, 0.7])
    relative = relative * (1.0 - r.beard[:, None] * [0.05, 0.04, 0.02])
    relative = _mixed(relative, _BROW, 0.88 * r.brows)
    relative = _mixed(relative, np.full(3, 0.13), r.lashes)
    return relative * _shade(p)[:, None]


def _mixed(base: Array, colour: Array, share: Array) -> Array:
    return base + share[:, None] * (colour - base)


def mean_colours(p: Place) -> Array:
    """RGB of the mean face, `n 3`."""
    r = Regions.of(p)
    skin = SKIN_TONE * _relative(p, r)
    radius = np.hypot(p.x - anatomy.EYE_CENTRE[0], p.y - anatomy.EYE_CENTRE[1])
    corners = np.clip((np.abs(p.x - anatomy.EYE_CENTRE[0]) - 9.0) / 6.0, 0.0, 1.0)[:, None]
    white = _SCLERA * (1.0 - corners * [0.10, 0.24, 0.24])
    under_lid = np.exp(-0.5 * ((p.y - anatomy.upper_lid(p.x)) / 1.4) ** 2)
    ring = 1.0 - 0.45 * np.exp(-0.5 * ((radius - anatomy.IRIS_RADIUS) / 0.7) ** 2)
    eye = _mixed(_mixed(white, _IRIS, r.iris) * ring[:, None], _PUPIL, r.pupil) * (
        1.0 - 0.45 * under_lid[:, None]
    )
    teeth = step(p.points.side, -0.10, 0.03) * np.clip(1.0 - (p.x / 26.0) ** 4, 0.0, 1.0)
    mouth = _mixed(np.broadcast_to(_CAVITY, skin.shape), _TEETH, 0.9 * teeth)
    part = p.points.part[:, None]
    return np.where(part == EYEBALL, eye, np.where(part == MOUTH, mouth, skin))


def named_colours(p: Place) -> dict[str, Array]:
    """RGB per standard deviation, `n 3` each; the skin's tone first."""
    r = Regions.of(p)
    relative = _relative(p, r) * (p.points.part == SKIN)[:, None]
    tone = SKIN_TONE * relative
    thicker = (_brows(p.x, p.y, 0.8) - _brows(p.x, p.y, -0.8)) * (p.points.part == SKIN)
    skin = {name: direction * relative for name, direction in _TONES.items()}
    on_skin = {
        "brow_lightness": (0.20 * r.brows * (1.0 - 0.62 * r.brows) * _shade(p))[:, None] * _FAIR_BROW,
        "brow_redness": r.brows[:, None] * [0.025, 0.004, -0.008],
        "brow_thickness": -0.13 * thicker[:, None] * tone,
        "lip_redness": r.lips[:, None] * [0.04, -0.06, -0.035] * tone,
        "lip_darkness": r.lips[:, None] * [-0.11, -0.11, -0.08] * tone,
        "blush": r.cheeks[:, None] * [0.025, -0.035, -0.028] * tone,
        "beard_shadow": r.beard[:, None] * [-0.070, -0.062, -0.050] * tone,
        "under_eye_shadow": r.under_eyes[:, None] * [-0.07, -0.085, -0.06] * tone,
        "nose_redness": r.nose[:, None] * [0.02, -0.03, -0.025] * tone,
        "lashes": -0.10 * r.lashes[:, None] * SKIN_TONE,
        "forehead": step(p.y, 45.0, 8.0)[:, None] * [0.035, 0.03, 0.03] * tone,
    }
    iris = (r.iris * (1.0 - r.pupil) ** 2)[:, None]
    white = ((p.points.part == EYEBALL) * (1.0 - r.iris))[:, None]
    on_eyes = {
        "iris_blue": iris * [-0.020, 0.006, 0.038],
        "iris_lightness": iris * [0.042, 0.034, 0.022],
        "iris_green": iris * [0.004, 0.018, -0.008],
        "sclera": white * [0.025, 0.035, 0.040],
    }
    return {**skin, **on_skin, **on_eyes}


@dataclass(frozen=True)
class AlbedoBasis:
    """The albedo modes as functions on the template: the named ones, then smooth noise of lightness and of hue."""

    controls: Controls
    count: int

    def __call__(self, places: list[Place]) -> list[Array]:
        """The modes, `n 3 count`, in RGB per standard deviation, at each of the places."""
        noise = mirror_processes(self.controls, _NOISE, 30)

        def modes(place: Place) -> Array:
            named = np.stack(list(named_colours(place).values()), axis=-1)
            relative = _relative(place, Regions.of(place)) * (place.points.part == SKIN)[:, None]
            even, odd = noise(place.position)
            lightness = (relative * _LIGHTER)[:, :, None] * even[:, None, :]
            hue = (relative * _REDDER)[:, :, None] * even[:, None, :20]
            one_sided = (0.4 * relative * _LIGHTER)[:, :, None] * odd[:, None, :]
            return np.concatenate([named, lightness, hue, one_sided], axis=-1)[:, :, : self.count]

        return [modes(place) for place in places]
