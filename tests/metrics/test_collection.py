"""All scores together: the same bits whatever the batches, the duplicates and the number of processes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

from occfit.metrics.collection import FaceScores
from occfit.metrics.per_image import PerImage

pytestmark = pytest.mark.unit

KEYS = {
    *("accuracy", "precision", "recall", "f1", "occlusion_f1", "occlusion_iou", "iou"),
    *("rmse", "coverage", "landmark_nme", "vertex_error", "normal_error"),
}


def score(fits, parts: list) -> dict[str, PerImage]:
    scores = FaceScores()
    for part in parts:
        scores.update(*(value[part] for value in fits))
    return scores.compute()


def assert_same(one: dict[str, PerImage], other: dict[str, PerImage]) -> None:
    assert one.keys() == other.keys()
    for key in one:
        assert np.array_equal(one[key].index, other[key].index), key
        assert np.array_equal(one[key].values, other[key].values, equal_nan=True), key


def test_every_score_of_every_image_is_kept_in_the_stores_order(fits):
    scores = score(fits, [slice(None)])
    assert scores.keys() == KEYS
    for value in scores.values():
        assert value.index.tolist() == list(range(11))
        assert value.values.dtype == np.float64
        assert value.mean == pytest.approx(np.nanmean(value.values))
        assert value.std == pytest.approx(np.nanstd(value.values))
        assert value.n == np.isfinite(value.values).sum()


@pytest.mark.parametrize("sizes", [[1] * 11, [4, 4, 3], [10, 1], [2, 9]])
def test_batches_change_nothing(fits, sizes):
    ends = np.cumsum(sizes).tolist()
    parts = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    assert_same(score(fits, parts), score(fits, [slice(None)]))


def test_order_and_duplicates_change_nothing(fits):
    parts = [torch.tensor([7, 3, 3, 0, 1]), torch.tensor([10, 9, 8, 7]), torch.tensor([2, 4, 5, 6, 0])]
    assert_same(score(fits, parts), score(fits, [slice(None)]))


def test_without_the_truth_there_is_no_geometry(fits):
    scores = FaceScores()
    scores.update(*fits[:3])
    assert scores.compute().keys() == KEYS - {"vertex_error", "normal_error"}


def test_reset_forgets(fits):
    scores = FaceScores()
    scores.update(*fits)
    scores.compute()
    scores.reset()
    scores.update(*(value[:2] for value in fits))
    assert scores.compute()["f1"].n == 2


def test_compute_may_be_called_on_the_way(fits):
    scores = FaceScores()
    scores.update(*(value[:5] for value in fits))
    assert scores.compute()["f1"].n == 5
    scores.update(*(value[5:] for value in fits))
    assert_same(scores.compute(), score(fits, [slice(None)]))


def test_a_score_that_is_nowhere_defined_has_no_mean():
    empty = PerImage(np.arange(2), np.full(2, np.nan))
    assert empty.n == 0
    assert np.isnan(empty.mean)
    assert np.isnan(empty.std)


def work(rank: int, folder: Path, fits) -> None:
    distributed.init_process_group("gloo", f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    parts = [[slice(0, 7)], [slice(7, 9), torch.tensor([9, 10, 10])]][rank]
    scores = score(fits, parts)
    torch.save({key: np.stack(value).tolist() for key, value in scores.items()}, folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_get_the_result_of_one(fits, tmp_path):
    spawn(work, (tmp_path, fits), nprocs=2)
    whole = score(fits, [slice(None)])
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert_same({key: PerImage(*np.array(value)) for key, value in found.items()}, whole)
