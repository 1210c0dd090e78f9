from collections import Counter

import numpy as np
import pytest

from occfit.data.synthetic.detector import detector_noise
from occfit.data.synthetic.occluders import HELD_OUT_KINDS, KINDS, VARIED_KINDS
from occfit.data.synthetic.priors import Setting
from occfit.data.synthetic.splits import STUDIO_SETS, TEST_SETS, plan_sample, recipes
from occfit.data.synthetic.streams import Purpose, stream

pytestmark = pytest.mark.unit

RECIPES = recipes(0.5, 8)


def plans(split: str, count: int = 600):
    return [plan_sample(RECIPES[split], 0, split, index) for index in range(count)]


@pytest.mark.parametrize("split", ["neutral", "unoccluded"])
def test_sets_without_occluders_have_none(split: str):
    assert all(plan.occluders == () and plan.kind == "none" for plan in plans(split))


@pytest.mark.parametrize("split", ["train", "validation", "identities", "unseen_identities"])
def test_held_out_things_stay_out_of_training(split: str):
    assert not any(plan.held_out for plan in plans(split))
    assert not {kind for plan in plans(split) for kind, _ in plan.occluders} & set(HELD_OUT_KINDS)


@pytest.mark.parametrize("split", ["glasses", "scarf", "occluded", "overall"])
def test_test_sets_show_held_out_things(split: str):
    occluded = [plan for plan in plans(split) if plan.occluders]
    assert 0.15 < np.mean([plan.held_out for plan in occluded]) < 0.5


def test_about_half_of_the_training_pictures_are_occluded_by_every_seen_kind():
    drawn = plans("train", 1500)
    assert np.mean([bool(plan.occluders) for plan in drawn]) == pytest.approx(0.5, abs=0.05)
    kinds = Counter(kind for plan in drawn for kind, _ in plan.occluders)
    assert set(kinds) == set(KINDS[1:]) - set(HELD_OUT_KINDS) - set(VARIED_KINDS)
    assert min(kinds.values()) > 30


def test_varied_training_shows_everything_and_the_test_sets_stay():
    varied = recipes(0.5, 8, varied=True)
    drawn = [plan_sample(varied["train"], 0, "train", index) for index in range(600)]
    assert {kind for plan in drawn for kind, _ in plan.occluders} == set(KINDS[1:])
    assert all(plan.setting is Setting.VARIED for plan in drawn)
    assert {name: varied[name] for name in TEST_SETS} == {name: RECIPES[name] for name in TEST_SETS}


def test_studio_sets_show_only_their_kind():
    assert {plan.kind for plan in plans("glasses")} == {"sunglasses", "glasses"}
    assert {plan.kind for plan in plans("scarf")} == {"scarf"}
    assert all(plan.setting is Setting.STUDIO for split in STUDIO_SETS for plan in plans(split, 20))


def test_overall_is_a_mix_of_its_own():
    drawn = plans("overall")
    assert 0.25 < np.mean([bool(plan.occluders) for plan in drawn]) < 0.45
    assert not {plan.people for plan in drawn} & {plan.people for plan in plans("occluded", 5)}


def test_training_and_test_people_differ():
    pools = {split: RECIPES[split].people for split in RECIPES}
    trained = {pools["train"], pools["validation"], pools["identities"]}
    assert not trained & {pools[split] for split in (*TEST_SETS, "unseen_identities")}
    seeds = {
        stream(0, pool, person, Purpose.IDENTITY).integers(2**62)
        for pool in set(pools.values())
        for person in range(50)
    }
    assert len(seeds) == 50 * len(set(pools.values()))


def test_studio_sets_show_the_same_people():
    neutral, glasses = plans("neutral", 10), plans("glasses", 10)
    assert [(p.people, p.person) for p in neutral] == [(p.people, p.person) for p in glasses]


def test_identities_are_repeated():
    drawn = plans("identities", 32)
    assert Counter(plan.person for plan in drawn) == {0: 8, 1: 8, 2: 8, 3: 8}


def test_a_plan_depends_on_seed_split_and_index():
    reference = [plan_sample(RECIPES["train"], 0, "train", index) for index in range(50)]
    assert reference == [plan_sample(RECIPES["train"], 0, "train", index) for index in range(50)]
    for seed, split, shift in ((1, "train", 0), (0, "validation", 0), (0, "train", 1)):
        other = [plan_sample(RECIPES["train"], seed, split, index + shift) for index in range(50)]
        assert [plan.occluders for plan in other] != [plan.occluders for plan in reference]


def test_streams_of_different_purposes_differ():
    draws = {stream(0, "train", 5, purpose).integers(2**62) for purpose in Purpose}
    assert len(draws) == len(Purpose)


def test_hidden_points_are_found_less_well():
    def spread(kinds: list[str], points: slice) -> float:
        errors = [detector_noise(np.random.default_rng(seed), 224, Setting.WILD, kinds) for seed in range(60)]
        return float(np.std(np.stack(errors)[:, points]))

    assert spread(["scarf"], slice(48, 68)) > 2.5 * spread([], slice(48, 68))
    assert spread(["sunglasses"], slice(36, 48)) > 2.5 * spread([], slice(36, 48))
    assert spread([], slice(48, 68)) == pytest.approx(0.006 * 224, rel=0.1)
