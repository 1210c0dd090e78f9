"""What hides faces: one file a kind, and the table of them.

`KINDS` is the order in which kinds are numbered in a store; 0 is nothing. A kind in `HELD_OUT_KINDS` occurs only in
test sets, and every other kind has variants or textures of its own that occur only there. A kind in `VARIED_KINDS`
occurs only in the training pictures of a varied world, which hold nothing out.
"""

import numpy as np

from occfit.data.synthetic.occluders.glasses import paint_glasses
from occfit.data.synthetic.occluders.hair import paint_hair
from occfit.data.synthetic.occluders.hand import paint_hand
from occfit.data.synthetic.occluders.headwear import paint_headwear
from occfit.data.synthetic.occluders.mask import paint_mask
from occfit.data.synthetic.occluders.microphone import paint_microphone
from occfit.data.synthetic.occluders.scarf import paint_scarf
from occfit.data.synthetic.occluders.shapes import paint_shape
from occfit.data.synthetic.scene import Layer, Scene

KINDS = ("none", "sunglasses", "glasses", "scarf", "hand", "hair", "mask", "microphone", "shape", "headwear")
HELD_OUT_KINDS = ("microphone",)
VARIED_KINDS = ("headwear",)


def paint_occluder(
    kind: str, scene: Scene, rng: np.random.Generator, held_out: bool, hair: np.ndarray
) -> list[Layer]:
    """The layers of one occluder, from back to front.

    Args:
        kind: one of `KINDS` but the first.
        held_out: take a variant or texture that occurs only in test sets.
        hair: the person's hair colour (albedo).
    """
    if kind in ("sunglasses", "glasses"):
        return paint_glasses(scene, rng, held_out, dark=kind == "sunglasses")
    if kind == "hair":
        return paint_hair(scene, rng, held_out, hair)
    if kind == "microphone":
        return paint_microphone(scene, rng)
    painters = {
        "scarf": paint_scarf,
        "hand": paint_hand,
        "mask": paint_mask,
        "shape": paint_shape,
        "headwear": paint_headwear,
    }
    return painters[kind](scene, rng, held_out)
