"""A tiny world to train in."""

from tiny_fixtures import faces, fit, make_module, renderer

__all__ = ["faces", "fit", "make_module", "renderer"]
