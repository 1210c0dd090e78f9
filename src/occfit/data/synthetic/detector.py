"""Landmarks as a detector finds them: near the truth, and farther from it where something hides the face."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from occfit.data.synthetic.priors import Setting

_CONTOUR, _BROWS = np.arange(17), np.arange(17, 27)
_EYES, _MOUTH = np.arange(36, 48), np.arange(48, 68)
_HIDDEN_BY = {
    "sunglasses": np.concatenate([_BROWS, _EYES]),
    "scarf": np.concatenate([_CONTOUR[2:15], _MOUTH, np.arange(31, 36)]),
    "mask": np.concatenate([_CONTOUR[2:15], _MOUTH, np.arange(30, 36)]),
    "microphone": np.concatenate([_CONTOUR[6:11], _MOUTH]),
    "hair": _BROWS,
}


def detector_noise(
    rng: np.random.Generator, size: int, setting: Setting, kinds: Sequence[str]
) -> Float[ndarray, "68 2"]:
    """Errors of the 68 points in pixels of a picture of `size`.

    About 0.9 px at 224 px in the studio and 1.3 px in the wild, twice that along the jaw, three times that where
    the kind of occluder usually hides the point; a hand or a nameless thing disturbs one half of the face.
    """
    sigma = np.full(68, (0.004 if setting is Setting.STUDIO else 0.006) * size)
    sigma[_CONTOUR] *= 2
    for kind in kinds:
        hidden = _HIDDEN_BY.get(kind)
        if hidden is None and kind in ("hand", "shape"):
            side = np.r_[0:8, 17:22, 36:42, 48:51] if rng.random() < 0.5 else np.r_[9:17, 22:27, 42:48, 52:55]
            sigma[side] *= 2
        elif hidden is not None:
            sigma[hidden] *= 3
    return (rng.standard_normal((68, 2)) * sigma[:, None]).astype(np.float32)
