"""Scores of masks against sets of pixels counted in plain Python, and their corner cases."""

import math

import pytest
import torch

from occfit.metrics.segmentation import (
    SegmentationScores,
    accuracy,
    confusion,
    f1,
    image_scores,
    iou,
    precision,
    recall,
    region_scores,
)

pytestmark = pytest.mark.unit


def pixels(mask: torch.Tensor) -> set[tuple[int, int]]:
    return {(int(row), int(column)) for row, column in mask[0].nonzero()}


def second_opinion(visible, truth, region, true_region) -> dict[str, float]:
    """One image's scores from sets of pixels."""
    visible, truth, region, true_region = map(pixels, (visible, truth, region, true_region))
    found, wanted = visible & region, truth & region
    hit = len(found & wanted)
    p, r = hit / len(found), hit / len(wanted)
    hidden, truly_hidden = region - visible, true_region - truth
    common, union = len(hidden & truly_hidden), len(hidden | truly_hidden)
    return {
        "accuracy": sum((pixel in visible) == (pixel in truth) for pixel in region) / len(region),
        "precision": p,
        "recall": r,
        "f1": 2 / (1 / p + 1 / r),
        "occlusion_f1": 2 * common / (len(hidden) + len(truly_hidden)),
        "occlusion_iou": common / union,
        "iou": len(found & truth) / len(found | truth),
    }


def test_scores_agree_with_sets_of_pixels(fits):
    batch, rendering, visibility, _ = fits
    metric = SegmentationScores()
    metric.update(batch, rendering, visibility)
    scores = metric.compute()
    for position, index in enumerate(batch.index.tolist()):
        masks = (
            visibility > 0.5,
            batch.visibility > 0.5,
            rendering.face_region > 0.5,
            batch.face_region > 0.5,
        )
        expected = second_opinion(*(mask[position] for mask in masks))
        assert set(expected) == set(scores)
        for key, value in expected.items():
            assert scores[key].index[index] == index
            assert scores[key].values[index] == pytest.approx(value, abs=1e-12), key


def mask(rows: list[str]) -> torch.Tensor:
    return torch.tensor([[[[symbol == "#" for symbol in row] for row in rows]]])


REGION = mask(["####", "####", "....", "...."])
VISIBLE = mask(["##..", "#...", "....", "...."])
TRUTH = mask(["#...", "##..", "#...", "...."])
TRUE_REGION = mask(["####", "##..", "#...", "...."])
NOTHING = torch.zeros_like(REGION)


def test_the_papers_scores_by_hand():
    """In the region: 2 true positives, 1 false positive, 1 false negative, 4 true negatives."""
    scores = {key: value.item() for key, value in region_scores(VISIBLE, TRUTH, REGION).items()}
    expected = {"accuracy": 6 / 8, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3}
    assert scores == pytest.approx(expected)


def test_the_scores_over_all_pixels_by_hand():
    """Face: 2 in common of 5. Hidden: predicted 5, truly 3, 2 in common."""
    scores = {key: value.item() for key, value in image_scores(VISIBLE, TRUTH, REGION, TRUE_REGION).items()}
    expected = {"iou": 2 / 5, "occlusion_f1": 4 / 8, "occlusion_iou": 2 / 6}
    assert scores == pytest.approx(expected)


def test_a_perfect_prediction_is_perfect():
    scores = {
        **region_scores(TRUTH, TRUTH, TRUE_REGION),
        **image_scores(TRUTH, TRUTH, TRUE_REGION, TRUE_REGION),
    }
    assert all(value.item() == 1 for value in scores.values())


def test_an_empty_prediction_is_worthless_and_not_left_out():
    scores = region_scores(NOTHING, TRUTH, REGION)
    assert (scores["precision"].item(), scores["recall"].item(), scores["f1"].item()) == (0, 0, 0)


def test_a_fit_beside_the_face_is_worthless_and_not_left_out():
    assert all(value.item() == 0 for value in region_scores(TRUTH, TRUTH, NOTHING).values())
    below = mask(["....", "....", "....", "####"])
    assert region_scores(below, TRUTH, below)["recall"].item() == 0


def test_a_photograph_without_a_face_has_no_scores():
    scores = {**region_scores(NOTHING, NOTHING, NOTHING), **image_scores(NOTHING, NOTHING, NOTHING, NOTHING)}
    assert all(math.isnan(value.item()) for value in scores.values())


def test_where_nothing_hides_the_face_there_is_no_occlusion_score():
    scores = image_scores(VISIBLE, TRUE_REGION, REGION, TRUE_REGION)
    assert math.isnan(scores["occlusion_f1"].item())
    assert math.isnan(scores["occlusion_iou"].item())


def test_missed_occlusion_is_zero():
    scores = image_scores(REGION, TRUTH, REGION, TRUE_REGION)
    assert scores["occlusion_f1"].item() == scores["occlusion_iou"].item() == 0


def test_a_shrinking_region_helps_inside_it_but_not_over_all_pixels():
    corner = mask(["#...", "....", "....", "...."])
    assert region_scores(corner, TRUTH, corner)["f1"].item() == 1
    assert image_scores(corner, TRUTH, corner, TRUE_REGION)["iou"].item() == 1 / 4


def test_pixels_outside_the_region_do_not_count_for_the_paper():
    changed = VISIBLE | ~REGION
    one, other = region_scores(VISIBLE, TRUTH, REGION), region_scores(changed, TRUTH, REGION)
    assert one == other
    assert image_scores(changed, TRUTH, REGION, TRUE_REGION) == image_scores(
        VISIBLE, TRUTH, REGION, TRUE_REGION
    )


def test_zero_by_zero_is_what_the_caller_says():
    counts = confusion(NOTHING, NOTHING, NOTHING)
    for score in (accuracy, precision, recall, f1, iou):
        assert math.isnan(score(counts).item())
        assert score(counts, 0.0).item() == 0


def test_without_a_true_region_the_rendered_one_stands_in(fits):
    batch, rendering, visibility, _ = fits
    blind = type(batch)(batch.image, batch.landmarks, batch.index, batch.visibility)
    told = type(batch)(
        batch.image, batch.landmarks, batch.index, batch.visibility, face_region=rendering.face_region
    )
    results = []
    for known in (blind, told):
        metric = SegmentationScores()
        metric.update(known, rendering, visibility)
        results.append(metric.compute()["occlusion_iou"].values)
    assert results[0].tolist() == results[1].tolist()


def test_without_a_true_mask_nothing_is_scored(fits):
    batch, rendering, visibility, _ = fits
    metric = SegmentationScores()
    metric.update(type(batch)(batch.image, batch.landmarks, batch.index), rendering, visibility)
    assert {score.n for score in metric.compute().values()} == {0}


def test_only_known_pixels_are_scored():
    """Whatever is unknown may be truly visible or hidden, and called so: the scores are those of the rest."""
    known = mask(["##..", "##..", "##..", "##.."])
    flipped = VISIBLE ^ ~known
    one, other = (
        region_scores(visible, TRUTH & known, REGION, known)
        | image_scores(visible, TRUTH & known, REGION, TRUE_REGION, known)
        for visible in (VISIBLE, flipped)
    )
    alone = [part[..., :2] for part in (VISIBLE, TRUTH, REGION, TRUE_REGION)]
    expected = region_scores(*alone[:3]) | image_scores(*alone)
    assert one == other == expected


def test_a_picture_of_which_nothing_is_known_has_no_score(fits):
    batch, rendering, visibility, _ = fits
    nothing = torch.zeros_like(batch.visibility)
    blank = type(batch)(batch.image, batch.landmarks, batch.index, nothing, known=nothing)
    metric = SegmentationScores()
    metric.update(blank, rendering, visibility)
    assert {score.n for score in metric.compute().values()} == {0}
