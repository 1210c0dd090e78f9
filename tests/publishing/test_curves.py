"""Logs become plots without losing or inventing values."""

import math

import numpy as np
import pytest

from occfit.publishing.curves import (
    Curve,
    curve_plot,
    histogram_history,
    histogram_plot,
    read_log,
    stage_plots,
    thin,
)

pytestmark = pytest.mark.unit


def test_a_log_s_gaps_and_nans_are_skipped(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,train/pixel,val/f1\n0,10,0.5,\n0,20,,0.9\n0,30,nan,\n0,40,0.25,\n")
    log = read_log(path)
    assert log == {"train/pixel": Curve([10.0, 40.0], [0.5, 0.25]), "val/f1": Curve([20.0], [0.9])}


def test_thinning_keeps_the_mean_and_the_span():
    values = [math.sin(i / 100) for i in range(3000)]
    steps, thinned = thin(Curve([float(i) for i in range(3000)], values))
    assert len(steps) == 200
    assert np.mean(thinned) == pytest.approx(np.mean(values))
    assert steps[0] < 10
    assert steps[-1] > 2990


def test_keys_are_grouped_by_what_stands_before_the_first_slash():
    point = Curve([1.0], [2.0])
    keys = ("optimizer/rate", "train/segmentation/area", "train/reconstruction/pixel", "val/f1", "loss")
    stage = stage_plots("alternate", dict.fromkeys(keys, point))
    assert [(group.name, len(group.plots)) for group in stage.groups] == [
        ("train", 2), ("val", 1), ("alternate", 1), ("optimizer", 1),
    ]  # fmt: skip


def test_the_bins_of_a_histogram_are_one_plot():
    bins = {f"train/mask/bin_{i}": Curve([1.0, 2.0], [0.1, 0.2]) for i in range(10)}
    (group,) = stage_plots("warm_up", bins | {"train/mask/mean": Curve([1.0], [0.5])}).groups
    assert len(group.plots) == 2


def test_a_plot_is_an_element_for_a_page_and_refers_to_nothing_outside():
    line, history = Curve([0.0, 1.0], [1.0, 2.0]), [Curve([1.0, 2.0], [0.5, 0.5])] * 2
    for plot in (
        curve_plot("loss", line),
        histogram_plot("mask", [1, 0, 3]),
        histogram_history("mask", history),
    ):
        assert plot.startswith("<svg")
        assert plot.rstrip().endswith("</svg>")
        assert "http" not in plot


def test_the_same_curve_is_the_same_text():
    curve = Curve([0.0, 1.0], [1.0, 200.0])
    assert curve_plot("loss", curve) == curve_plot("loss", curve)
