import json
import math

import pytest
import torch
import torch.nn.functional as F

from occfit.errors import OccfitError
from occfit.runs.side.recognition_training import (
    REPORT,
    WEIGHTS,
    IdentityImages,
    RecognitionTraining,
    margin_softmax_loss,
    rising_share,
    train_recognition,
    training_views,
    write_recognition,
)

pytestmark = pytest.mark.unit

SIZE = 64


def made_people(people: int, pictures: int, seed: int) -> IdentityImages:
    """Stand-ins for faces: a person is an ellipse with his own colours in four places, under varying light."""
    generator = torch.Generator().manual_seed(seed)
    identity = torch.arange(people).repeat_interleave(pictures)
    count = len(identity)
    patches = torch.rand(people, 3, 2, 2, generator=generator)[identity]
    centres = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    ellipse = centres[:, None] ** 2 + centres**2 * 1.4 < 0.8
    light = 0.7 + 0.5 * torch.rand(count, 1, 1, 1, generator=generator)
    face = F.interpolate(patches, SIZE, mode="nearest") * ellipse
    hidden = torch.rand(count, SIZE // 8, 1, generator=generator) < 0.2
    visible = ellipse & ~hidden.repeat_interleave(8, dim=1).expand(-1, SIZE, SIZE)
    background = torch.rand(count, 3, SIZE, SIZE, generator=generator)
    image = torch.where(visible[:, None], face * light, background).clamp(0, 1)
    region = ellipse.expand(count, -1, -1)
    return IdentityImages((image * 255).byte(), region, (face * 255).byte(), identity)


def quick(**changes) -> RecognitionTraining:
    values = {"width": 8, "dimensions": 32, "people": 20, "unseen": 20, "steps": 40, "batch": 32}
    return RecognitionTraining(**values | changes)


def test_unseen_people_are_told_apart_after_training():
    state, report = train_recognition(quick(), made_people(20, 8, seed=1), made_people(20, 6, seed=2), seed=0)
    _, untrained = train_recognition(
        quick(steps=1, learning_rate=1e-12), made_people(20, 8, seed=1), made_people(20, 6, seed=2), seed=0
    )
    for name in ("verification", "verification_masked", "verification_rendering"):
        assert report[name] > 0.8
        assert report[name] > untrained[name] + 0.05
    assert report["train_loss"] < untrained["train_loss"]
    assert all(torch.isfinite(value).all() for value in state.values())


def test_same_seed_gives_the_same_bits_and_leaves_torchs_generator_alone():
    seen, unseen = made_people(6, 4, seed=1), made_people(20, 2, seed=2)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    runs = [train_recognition(quick(steps=3), seen, unseen, seed) for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(1), expected)
    (first, report), (again, report_again), (other, _) = runs
    assert report == report_again
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize("steps", range(1, 13))
def test_any_small_number_of_steps_trains(steps):
    seen, unseen = made_people(6, 4, seed=1), made_people(20, 2, seed=2)
    state, report = train_recognition(quick(steps=steps), seen, unseen, seed=0)
    assert all(torch.isfinite(value).all() for value in state.values())
    assert math.isfinite(report["train_loss"])


def test_no_number_of_steps_makes_a_rise_of_no_length():
    for steps in range(1, 2000):
        parameters = [torch.zeros(1, requires_grad=True)]
        optimizer = torch.optim.SGD(parameters, lr=1.0)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 1.0, total_steps=steps, pct_start=rising_share(steps), cycle_momentum=False
        )
        assert 0 < schedule.get_last_lr()[0] <= 1


def test_bf16_trains_float32_weights():
    state, _ = train_recognition(
        quick(steps=2), made_people(6, 4, seed=1), made_people(20, 2, seed=2), seed=0, precision="bf16-mixed"
    )
    assert state["conv1.weight"].dtype == torch.float32


def test_progress_counts_the_steps():
    seen = []
    train_recognition(
        quick(steps=3), made_people(6, 4, seed=1), made_people(20, 2, seed=2), seed=0, on_step=seen.append
    )
    assert seen == [1, 2, 3]


def test_what_is_written_loads_as_the_frozen_network(tmp_path):
    training = quick(steps=2)
    state, report = train_recognition(training, made_people(6, 4, seed=1), made_people(20, 2, seed=2), seed=0)
    write_recognition(tmp_path, state, report)
    network = training.network(tmp_path / WEIGHTS)
    assert all(torch.equal(value, state[name]) for name, value in network.network.state_dict().items())
    assert json.loads((tmp_path / REPORT).read_text()) == report


def test_explosion_is_reported():
    with pytest.raises(OccfitError, match=r"no number any more.*step"):
        train_recognition(
            quick(learning_rate=math.inf), made_people(6, 4, seed=1), made_people(20, 2, seed=2), seed=0
        )


def test_margin_is_taken_from_the_right_class_alone():
    cosines = torch.tensor([[0.5, 0.1], [0.3, 0.9]])
    labels = torch.tensor([0, 1])
    expected = -torch.stack(
        [
            torch.log_softmax(10 * torch.tensor([0.5 - 0.2, 0.1]), 0)[0],
            torch.log_softmax(10 * torch.tensor([0.3, 0.9 - 0.2]), 0)[1],
        ]
    ).mean()
    torch.testing.assert_close(margin_softmax_loss(cosines, labels, 0.2, 10.0), expected)
    torch.testing.assert_close(
        margin_softmax_loss(cosines, labels, 0.0, 1.0), F.cross_entropy(cosines, labels)
    )


def test_views_are_pictures_of_all_kinds(generator):
    people = made_people(100, 4, seed=1)
    views = training_views(people, generator)
    assert views.shape == people.image.shape
    assert views.min() >= 0
    assert views.max() <= 1
    corner_is_black = views[:, :, :3, :3].eq(0).flatten(1).all(dim=1)
    # 0.2 are photographs and 0.15 renderings on black; a few rectangles lie over a corner.
    assert corner_is_black.float().mean().item() == pytest.approx(0.36, abs=0.08)
    assert not torch.equal(views, training_views(people, generator))
