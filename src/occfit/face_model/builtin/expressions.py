"""How faces move: jaw, lids, brows, mouth and gaze by hand, then windowed Gaussian processes."""

from dataclasses import dataclass

import numpy as np

from occfit.face_model.builtin import anatomy
from occfit.face_model.builtin.anatomy import Array
from occfit.face_model.builtin.fields import along_axes, bump, field, step
from occfit.face_model.builtin.gaussian_process import Controls, Scales, mirror_processes, principal_rotation
from occfit.face_model.builtin.surface import EYEBALL, MOUTH, MOUTH_BOWL, SKIN, Place, lid_surface

_SCALES: Scales = ((0.9, 18.0), (0.4, 10.0))
_UNEVEN_SHARE = 0.5

_HINGE = (2.0, -75.0)
"""y and z of the jaw's axis on the template, near the tragus."""
_JAW_RADIANS = 0.042
LIDS_SHUT = 4.2
"""The `lids` parameter, in standard deviations, that shuts the eyes of the mean face."""


def named_expressions(place: Place) -> dict[str, Array]:
    """Displacements in mm per standard deviation, `n 3` each."""
    return {
        "jaw": _jaw(place),
        "lids": _lids(place),
        **_mouth(place),
        **_brows(place),
        **_cheeks_and_nose(place),
        **_gaze(place),
    }


def _opening(p: Place) -> Array:
    """From 0 above the mouth to 1 below it; a jump across the parting line, fading at the corners."""
    away = p.y - anatomy.parting_line(p.x) + 0.8 * np.maximum(p.x - anatomy.MOUTH_HALF_WIDTH, 0.0)
    smooth = step(-away, 0.0, 6.0)
    lips = np.sqrt(np.clip(1.0 - (p.x / anatomy.MOUTH_HALF_WIDTH) ** 2, 0.0, 1.0)) * np.exp(
        -0.5 * (away / 10.0) ** 2
    )
    below = np.where(p.points.side == 0, away < 0, p.points.side < 0)
    outside = smooth * (1.0 - lips) + lips * below
    middle = np.clip(1.0 - (p.x / MOUTH_BOWL) ** 2, 0.0, 1.0)
    inside = smooth + middle * (np.clip((-0.05 - p.points.side) / 0.5, 0.0, 1.0) - smooth)
    return np.where(p.points.part == MOUTH, inside, outside)


def _lip_share(p: Place) -> Array:
    away = p.y - anatomy.parting_line(p.x)
    return np.exp(-0.5 * (away / 9.0) ** 2) * bump(p.x, p.y, (0.0, anatomy.MOUTH_HEIGHT), (26.0, 20.0), 2.0)


def _jaw(p: Place) -> Array:
    """Rotation of the lower face about its hinge.

    As the mouth opens, the lower lip comes a little forward and the upper lip goes back, so that for negative
    values, where the lower lip rises, it slides behind the upper lip instead of through it.
    """
    y, z = p.position[:, 1] - _HINGE[0], p.position[:, 2] - _HINGE[1]
    below = _opening(p)
    down, back = -_JAW_RADIANS * z * below, _JAW_RADIANS * y * below
    lips = _lip_share(p)
    upper_lip = -_JAW_RADIANS * z * lips * (1.0 - below) * (p.points.part == SKIN)
    return field(0.0, down, back * (1.0 - lips) - 0.55 * down * lips + 0.25 * upper_lip)


def _lids(p: Place) -> Array:
    """Lids sliding over the eyeball to a line a quarter of the way up; 4.2 standard deviations shut the eye."""
    upper, lower = anatomy.upper_lid(p.x), anatomy.lower_lid(p.x)
    is_upper = np.where(p.points.side == 0, p.y > anatomy.EYE_CENTRE[1], p.points.side > 0)
    margin = np.where(is_upper, upper, lower)
    meeting = lower + np.where(is_upper, 0.19, 0.26) * (upper - lower)
    distance = np.abs(p.y - margin)
    share = np.exp(-0.5 * (distance / np.where(is_upper, 4.2, 4.0)) ** 2)
    share *= bump(p.x, p.y, anatomy.EYE_CENTRE, (17.0, 14.0), 4.0) * (p.points.part == SKIN)
    travel = (meeting - margin) * share
    forward = lid_surface(p.x, p.y + travel) - lid_surface(p.x, p.y)
    bulge = 1.2 * share * np.clip((upper - lower) / 10.0, 0.0, 1.0)
    skin = field(0.0, travel, forward + bulge) / LIDS_SHUT
    retreat = np.where(p.points.part == EYEBALL, -0.22 * np.clip((upper - lower) / 10.0, 0.0, 1.0), 0.0)
    return skin + field(0.0, 0.0, retreat)


def _mouth(p: Place) -> dict[str, Array]:
    x, y, side = p.x, p.y, p.sign
    w, h = anatomy.MOUTH_HALF_WIDTH, anatomy.MOUTH_HEIGHT
    mouth = bump(x, y, (0.0, h), (28.0, 15.0), 2.0)
    corner = bump(x, y, (w + 2.0, h), (14.0, 11.0))
    lower, lips = _opening(p), _lip_share(p)
    part = np.where(p.points.part == MOUTH, 0.0, 1.0)
    upper_lift = lips * (1.0 - lower) * part
    lower_drop = lips * lower * part
    cheek = bump(x, y, (38.0, -18.0), (14.0, 13.0))
    return {
        "smile": field(1.9 * side * corner, 1.9 * corner + 0.9 * cheek, -1.0 * corner + 0.9 * cheek),
        "pucker": field(-0.075 * side * x * mouth, 0.0, 1.8 * bump(x, y, (0.0, h), (17.0, 11.0), 1.5)),
        "corners_down": field(0.3 * side * corner, -1.4 * corner, 0.0),
        "upper_lip_raise": field(0.0, 0.75 * upper_lift, -0.75 * upper_lift),
        "lower_lip_drop": field(0.0, -0.85 * lower_drop, 0.95 * lower_drop),
        "lips_roll": field(0.0, 0.0, 0.8 * (lips - 0.4 * mouth)),
        "mouth_sideways": field(1.6 * mouth, 0.0, 0.0),
        "smirk": field(0.9 * corner, 1.2 * side * corner, -0.4 * side * corner),
        "jaw_sideways": field(1.5 * bump(x, y, (0.0, -76.0), (45.0, 22.0)), 0.0, 0.0),
    }


def _brows(p: Place) -> dict[str, Array]:
    x, y, side = p.x, p.y, p.sign
    whole = bump(x, y, (31.0, 43.0), (24.0, 10.0), 1.5)
    inner = bump(x, y, (12.0, 41.0), (10.0, 9.0))
    outer = bump(x, y, (47.0, 41.0), (12.0, 9.0))
    return {
        "brow_raise": field(0.0, 2.0 * whole, 0.2 * whole),
        "brow_frown": field(-1.2 * side * inner, -1.4 * inner, 0.7 * inner),
        "inner_brow_raise": field(0.0, 1.4 * inner - 0.4 * outer, 0.0),
        "outer_brow_raise": field(0.0, 1.4 * outer, 0.0),
        "one_brow": field(0.0, 1.2 * side * whole, 0.0),
    }


def _cheeks_and_nose(p: Place) -> dict[str, Array]:
    x, y, side = p.x, p.y, p.sign
    puff = bump(x, y, (40.0, -42.0), (14.0, 14.0))
    wing = bump(x, y, (13.0, -18.0), (7.0, 7.0))
    bags = bump(x, y, (32.0, 8.0), (13.0, 5.0))
    return {
        "cheek_puff": field(1.1 * side * puff, 0.0, 1.5 * puff),
        "nose_wrinkle": field(0.5 * side * wing, 1.0 * wing, 0.0),
        "cheek_raise": field(0.0, 0.9 * bags, 0.7 * bags),
        "wink": 0.5 * side[:, None] * _lids(p),
    }


def _gaze(p: Place) -> dict[str, Array]:
    """The iris slides over the eyeball; the eyeball's hidden edge stays."""
    radius = np.hypot(p.x - anatomy.EYE_CENTRE[0], p.y - anatomy.EYE_CENTRE[1])
    share = np.clip(1.0 - (radius / 15.0) ** 2, 0.0, 1.0) ** 1.5 * (p.points.part == EYEBALL)
    return {"gaze_sideways": field(1.6 * share, 0.0, 0.0), "gaze_up": field(0.0, 1.0 * share, 0.0)}


def _window(p: Place) -> Array:
    """Where the processes act: mouth, eyes and brows; 0 at the outline."""
    mouth = bump(p.x, p.y, (0.0, anatomy.MOUTH_HEIGHT - 4.0), (34.0, 24.0), 1.5)
    brows = bump(p.x, p.y, (31.0, 42.0), (25.0, 9.0), 1.5)
    eyes = 0.55 * bump(p.x, p.y, anatomy.EYE_CENTRE, (22.0, 14.0), 1.5)
    cheeks = 0.5 * bump(p.x, p.y, (36.0, -14.0), (18.0, 18.0))
    return np.maximum.reduce([mouth, brows, eyes, cheeks])


@dataclass(frozen=True)
class ExpressionBasis:
    """The expression modes as functions on the template: first the named ones, then the processes' leading modes."""

    controls: Controls
    count: int

    def __call__(self, reference: Place, weights: Array, places: list[Place]) -> list[Array]:
        """The modes, `n 3 count`, in mm per standard deviation, at each of the places; as for `IdentityBasis`."""
        smooth = mirror_processes(self.controls, _SCALES, 50)

        def processes(place: Place) -> Array:
            even, odd = smooth(place.position)
            uneven = [_UNEVEN_SHARE * columns for columns in along_axes(even, odd)]
            columns = np.concatenate([*along_axes(odd, even), *uneven], axis=-1)
            return _window(place)[:, None, None] * columns

        def named(place: Place) -> Array:
            return np.stack(list(named_expressions(place).values()), axis=-1)

        wanted = self.count - len(named_expressions(reference))
        rotation = principal_rotation(processes(reference), weights, wanted)
        return [np.concatenate([named(place), processes(place) @ rotation], axis=-1) for place in places]
