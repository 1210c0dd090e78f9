"""How heads differ: named directions of anthropometry, and smooth Gaussian processes for the rest."""

from dataclasses import dataclass

import numpy as np

from occfit.face_model.builtin import anatomy
from occfit.face_model.builtin.anatomy import Array
from occfit.face_model.builtin.fields import along_axes, bump, field, step
from occfit.face_model.builtin.gaussian_process import Controls, Scales, mirror_processes, principal_rotation
from occfit.face_model.builtin.surface import SKIN, Place

_SMOOTH: Scales = ((1.6, 45.0), (0.7, 22.0), (0.25, 12.0))
_UNEVEN: Scales = ((0.35, 40.0), (0.15, 18.0))


def named_identity(place: Place) -> dict[str, Array]:
    """Displacements in mm per standard deviation, `n 3` each; all are mirror-symmetric.

    The standard deviations follow those of Farkas's measurements (see `anatomy`): face width 4.5, height 5.5, bigonial
    width 5, nose width 2.2, nose height 3, mouth width 3, intercanthal width 2.4 mm.
    """
    return {**_head(place), **_nose(place), **_eyes(place), **_mouth(place)}


def _head(p: Place) -> dict[str, Array]:
    x, y, side = p.x, p.y, p.sign
    across, height, z = p.position.T
    jaw = step(-height, 42.0, 12.0)
    out = np.stack([side * np.abs(np.sin(p.angle)), np.zeros_like(y), np.cos(p.angle)], axis=-1)
    return {
        "size": 0.018 * (p.position - [0.0, 10.0, -40.0]),
        "width": field(0.030 * across, 0.0, 0.0),
        "length": field(0.0, 0.032 * (height - 20.0), 0.0),
        "lower_face": field(0.0, -0.035 * np.maximum(-26.0 - height, 0.0), 0.0),
        "depth": field(0.0, 0.0, 0.045 * z),
        "jaw_width": field(0.045 * across * jaw, 0.0, 0.0),
        "jaw_square": field(
            0.05 * across * bump(x, y, (48.0, -62.0), (22.0, 16.0)),
            -2.2 * bump(x, y, (44.0, -76.0), (14.0, 14.0)),
            0.0,
        ),
        "cheekbones": out * (1.7 * bump(x, y, (46.0, -2.0), (17.0, 12.0)))[:, None],
        "cheek_fullness": out * (2.4 * bump(x, y, (44.0, -40.0), (15.0, 19.0)))[:, None],
        "under_chin": field(0.0, -2.2, 1.0) * bump(x, p.level, (0.0, -112.0), (34.0, 15.0))[:, None],
        "chin_forward": field(0.0, 0.0, 2.0 * bump(x, y, (0.0, -82.0), (22.0, 13.0))),
        "chin_height": field(0.0, -2.0 * bump(x, y, (0.0, -88.0), (22.0, 15.0)), 0.0),
        "chin_width": field(1.5 * side * bump(x, y, (18.0, -84.0), (11.0, 11.0)), 0.0, 0.0),
        "chin_cleft": field(
            0.0,
            0.0,
            -0.5 * bump(x, y, (0.0, -80.0), (2.2, 5.0)) + 0.35 * bump(x, y, (6.0, -80.0), (4.0, 5.0)),
        ),
        "forehead_slope": field(0.0, 0.0, -0.07 * np.maximum(height - 42.0, 0.0)),
        "forehead_bulge": field(0.0, 0.0, 1.6 * bump(x, y, (0.0, 66.0), (32.0, 16.0))),
        "temples": out * (1.6 * bump(x, y, (60.0, 45.0), (14.0, 22.0)))[:, None],
        "brow_ridge": field(
            0.0, 0.0, 1.4 * bump(x, y, (22.0, 37.0), (19.0, 6.0)) + 0.9 * bump(x, y, (0.0, 38.0), (11.0, 7.0))
        ),
    }


def _nose(p: Place) -> dict[str, Array]:
    x, y, side = p.x, p.y, p.sign
    tip = bump(x, y, (0.0, -17.0), (13.0, 10.0), 1.3)
    bridge = bump(x, y, (0.0, 8.0), (8.0, 15.0), 1.2)
    wings = bump(x, y, (12.0, -19.0), (8.0, 7.5), 1.3)
    return {
        "nose_width": field(1.3 * side * wings, 0.0, 0.2 * wings),
        "nose_length": field(0.0, -2.2 * bump(x, y, (0.0, -20.0), (20.0, 12.0), 1.2), 0.0),
        "nose_projection": field(0.0, 0.0, 1.9 * tip),
        "nose_tip_turn": field(0.0, 1.3 * tip, 0.0),
        "nose_tip_round": field(
            0.6 * side * bump(x, y, (5.0, -16.0), (4.5, 6.0)), 0.0, 0.5 * bump(x, y, (5.0, -16.0), (4.5, 5.0))
        ),
        "bridge_height": field(0.0, 0.0, 1.5 * bridge + 1.0 * bump(x, y, (0.0, 24.0), (7.0, 8.0))),
        "bridge_width": field(0.0, 0.0, 1.0 * bump(x, y, (8.0, 4.0), (4.0, 15.0))),
        "bridge_hump": field(
            0.0, 0.0, 1.1 * bump(x, y, (0.0, 4.0), (5.5, 6.0)) - 0.5 * bump(x, y, (0.0, -10.0), (6.0, 5.0))
        ),
        "nostrils": field(0.0, 0.8 * bump(x, y, (12.5, -22.5), (5.0, 4.0)), 0.0),
    }


def _eyes(p: Place) -> dict[str, Array]:
    x, y, side = p.x, p.y, p.sign
    cx, cy = anatomy.EYE_CENTRE
    eye = bump(x, y, (cx, cy), (19.0, 13.0), 2.0)
    lids = eye * (p.points.part == SKIN)
    along, above = (x - cx), (y - cy)
    brow = bump(x, y, (31.0, 41.0), (22.0, 6.5), 1.3)
    return {
        "eye_distance": field(1.2 * side * eye, 0.0, 0.0),
        "eye_height": field(0.0, 1.1 * eye, 0.0),
        "eye_size": field(0.045 * side * along * eye, 0.05 * above * eye, 0.0),
        "eye_opening": field(0.0, 0.085 * above * lids, 0.0),
        "eye_slant": field(0.0, 0.075 * along * eye, 0.0),
        "eye_depth": field(0.0, 0.0, 1.2 * bump(x, y, (29.0, 20.0), (21.0, 15.0), 1.5)),
        "upper_fold": field(0.0, -0.7, 0.6) * bump(x, y, (cx + 2.0, 32.0), (13.0, 3.6))[:, None],
        "eye_bags": field(0.0, 0.0, 0.6 * bump(x, y, (cx - 1.0, 9.0), (11.0, 3.6))),
        "brow_height": field(0.0, 1.6 * brow, 0.0),
        "inner_brow": field(0.0, 1.1 * bump(x, y, (14.0, 39.0), (9.0, 6.0)), 0.0),
    }


def _mouth(p: Place) -> dict[str, Array]:
    x, y, side = p.x, p.y, p.sign
    mouth = bump(x, y, (0.0, anatomy.MOUTH_HEIGHT), (33.0, 14.0), 2.0)
    away = y - anatomy.parting_line(x)
    upper = bump(x, y, (0.0, -41.5), (20.0, 5.0), 1.3) * step(away, 1.0, 1.0)
    lower = bump(x, y, (0.0, -52.5), (18.0, 5.5), 1.3) * step(-away, 1.0, 1.0)
    lips = p.points.part == SKIN
    return {
        "mouth_width": field(0.055 * side * x * mouth, 0.0, 0.0),
        "mouth_height": field(0.0, 1.3 * mouth, 0.0),
        "mouth_forward": field(0.0, 0.0, 1.5 * mouth),
        "upper_lip": field(0.0, 0.75 * upper * lips, 0.75 * upper * lips),
        "lower_lip": field(0.0, -0.8 * lower * lips, 0.9 * lower * lips),
        "philtrum": field(0.0, 1.4 * bump(x, y, (0.0, -30.0), (24.0, 6.0)), 0.0),
        "corners": field(
            0.0, 0.9 * bump(x, y, (anatomy.MOUTH_HALF_WIDTH, anatomy.MOUTH_HEIGHT), (9.0, 8.0)), 0.0
        ),
        "chin_fold": field(0.0, 0.0, -0.9 * bump(x, y, (0.0, -63.5), (16.0, 4.5))),
    }


@dataclass(frozen=True)
class IdentityBasis:
    """The identity modes as functions on the template, orthogonal on the controls' surface."""

    controls: Controls
    count: int

    def __call__(self, reference: Place, weights: Array, places: list[Place]) -> list[Array]:
        """The modes, `n 3 count`, in mm per standard deviation, at each of the places.

        Args:
            reference: the places where the modes are made orthogonal.
            weights: the area that each point of the reference stands for.
            places: the places where the modes are wanted.
        """
        smooth = mirror_processes(self.controls, _SMOOTH, 60)
        uneven = mirror_processes(self.controls, _UNEVEN, 20)

        def factors(place: Place) -> Array:
            even, odd = smooth(place.position)
            uneven_even, uneven_odd = uneven(place.position)
            named = np.stack(list(named_identity(place).values()), axis=-1)
            columns = [named, *along_axes(odd, even), *along_axes(uneven_even, uneven_odd)]
            return np.concatenate(columns, axis=-1)

        rotation = principal_rotation(factors(reference), weights, self.count)
        return [factors(place) @ rotation for place in places]
