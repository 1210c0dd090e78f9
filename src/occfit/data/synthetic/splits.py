"""Which pictures a split is made of: studio or in the wild, whose faces, hidden by what."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from occfit.data.data_source import SetDescription
from occfit.data.synthetic.occluders import HELD_OUT_KINDS
from occfit.data.synthetic.priors import Setting
from occfit.data.synthetic.streams import Purpose, stream

STUDIO_SETS = ("neutral", "glasses", "scarf")
WILD_SETS = ("unoccluded", "occluded", "overall")
TEST_SETS = STUDIO_SETS + WILD_SETS
SETS: Mapping[str, SetDescription] = MappingProxyType(
    {
        "neutral": SetDescription("neutral", is_headline=True),
        "glasses": SetDescription("glasses", is_headline=True),
        "scarf": SetDescription("scarf", is_headline=True),
        "ar_overall": SetDescription("AR overall", parts=STUDIO_SETS),
        "unoccluded": SetDescription("unoccluded"),
        "occluded": SetDescription("occluded"),
        "overall": SetDescription("overall", is_headline=True),
    }
)
JUDGED_ON = "overall"

_EVERYDAY: Mapping[str, float] = MappingProxyType(
    {
        "sunglasses": 0.18,
        "glasses": 0.14,
        "scarf": 0.17,
        "hand": 0.18,
        "hair": 0.12,
        "mask": 0.08,
        "shape": 0.13,
    }
)
_ALL_KINDS: Mapping[str, float] = MappingProxyType({**_EVERYDAY, "headwear": 0.14, "microphone": 0.05})


@dataclass(frozen=True)
class Recipe:
    """How a split's pictures are drawn.

    Attributes:
        people: the pool of identities; pools share nobody.
        setting: where the pictures are taken.
        occluded: share of pictures with an occluder.
        kinds: weights of the occluder kinds.
        second: share of the occluded pictures with a second one.
        held_out: share of the occluders whose variant or texture occurs only in test sets.
        repeats: pictures of the same person in a row.
    """

    people: str
    setting: Setting
    occluded: float
    kinds: Mapping[str, float] = field(default_factory=lambda: _EVERYDAY)
    second: float = 0.0
    held_out: float = 0.0
    repeats: int = 1


@dataclass(frozen=True)
class Plan:
    """What one picture shows: a person of a pool, and occluders from back to front, each with its held-out flag."""

    people: str
    person: int
    setting: Setting
    occluders: tuple[tuple[str, bool], ...]

    @property
    def kind(self) -> str:
        return self.occluders[0][0] if self.occluders else "none"

    @property
    def held_out(self) -> bool:
        return any(held_out for _, held_out in self.occluders)


def recipes(train_occluded: float, repeats: int, varied: bool = False) -> dict[str, Recipe]:
    """The recipe of every split.

    Neutral, glasses and scarf show the same people, as AR's do. `overall` has a pool of its own.

    Args:
        train_occluded: share of occluded pictures in training and validation.
        repeats: pictures of each person for training the recognition network.
        varied: whether training and validation are for photographs, not for the test sets here. Then pictures vary more
            than theirs, and nothing is held out.
    """
    with_new = {**_EVERYDAY, "microphone": 0.1}
    training = Recipe("train", Setting.WILD, train_occluded, second=0.12)
    if varied:
        training = Recipe("train", Setting.VARIED, train_occluded, _ALL_KINDS, second=0.2, held_out=0.3)
    return {
        "train": replace(training, people="train"),
        "validation": replace(training, people="validation"),
        "neutral": Recipe("studio", Setting.STUDIO, 0.0),
        "glasses": Recipe("studio", Setting.STUDIO, 1.0, {"sunglasses": 0.9, "glasses": 0.1}, held_out=0.25),
        "scarf": Recipe("studio", Setting.STUDIO, 1.0, {"scarf": 1.0}, held_out=0.25),
        "unoccluded": Recipe("wild", Setting.WILD, 0.0),
        "occluded": Recipe("wild", Setting.WILD, 1.0, with_new, second=0.15, held_out=0.25),
        "overall": Recipe("wild_overall", Setting.WILD, 0.35, with_new, second=0.12, held_out=0.25),
        "identities": Recipe("identities", Setting.WILD, 0.3, second=0.05, repeats=repeats),
        "unseen_identities": Recipe("unseen_identities", Setting.WILD, 0.3, second=0.05, repeats=repeats),
    }


def plan_sample(recipe: Recipe, seed: int, split: str, index: int) -> Plan:
    """The plan of sample `index` of a split: a pure function of its arguments."""
    rng = stream(seed, split, index, Purpose.CHOICE)
    chosen: list[tuple[str, bool]] = []
    if rng.random() < recipe.occluded:
        names = list(recipe.kinds)
        weights = np.array([recipe.kinds[name] for name in names])
        count = 2 if rng.random() < recipe.second else 1
        drawn = rng.choice(names, size=count, replace=False, p=weights / weights.sum())
        for kind in drawn.tolist():
            chosen.append((kind, kind in HELD_OUT_KINDS or bool(rng.random() < recipe.held_out)))
    return Plan(recipe.people, index // recipe.repeats, recipe.setting, tuple(chosen))
