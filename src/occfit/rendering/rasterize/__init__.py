"""Which triangle each pixel shows, and where on it: one protocol, three implementations."""

from occfit.rendering.rasterize.choice import make_rasterizer, resolve_rasterizer
from occfit.rendering.rasterize.fragments import Fragments, Rasterizer
from occfit.rendering.rasterize.interpolation import interpolate

__all__ = ["Fragments", "Rasterizer", "interpolate", "make_rasterizer", "resolve_rasterizer"]
