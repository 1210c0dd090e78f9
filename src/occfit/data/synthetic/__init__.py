"""The synthetic world: rendered faces behind painted occluders, with everything known exactly.

priors -> faces -> skin, surroundings, occluders -> sensor -> samples -> prepared stores
"""

from occfit.data.synthetic.occluders import HELD_OUT_KINDS, KINDS
from occfit.data.synthetic.split_stores import prepare_synthetic, recognition_identities
from occfit.data.synthetic.splits import TEST_SETS
from occfit.data.synthetic.workshop import render_samples
from occfit.data.synthetic.world import Samples, WorldConfig, world_digest

__all__ = [
    "HELD_OUT_KINDS",
    "KINDS",
    "TEST_SETS",
    "Samples",
    "WorldConfig",
    "prepare_synthetic",
    "recognition_identities",
    "render_samples",
    "world_digest",
]
