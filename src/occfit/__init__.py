"""Model-based 3D face reconstruction that learns, at the same time, which pixels not to fit.

fitter = occfit.load("runs/demo/checkpoints/last.ckpt")
fit = fitter("photo.jpg", "photo.csv")
fit.visible_fraction, fit.mesh.export("face.obj")
"""

from importlib import import_module
from typing import TYPE_CHECKING

from occfit.errors import OccfitError

if TYPE_CHECKING:
    from occfit.fitting.face_fitter import FaceFitter, load
    from occfit.fitting.fit import Fit

__version__ = "0.1.0"
__all__ = ["FaceFitter", "Fit", "OccfitError", "__version__", "load"]

_HOMES = {
    "load": "occfit.fitting.face_fitter",
    "FaceFitter": "occfit.fitting.face_fitter",
    "Fit": "occfit.fitting.fit",
}


def __getattr__(name: str) -> object:
    """Imports what is asked for, so that `import occfit` doesn't wait for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'occfit' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
