"""The tables' numbers, recomputed from canned runs; what is bold; what is missing; what is refused."""

from pathlib import Path

import canned
import numpy as np
import pytest
from scipy.stats import t

from occfit.errors import OccfitError
from occfit.scoring.comparison import compare
from occfit.scoring.experiments import Runs, TableSpec, read_spec
from occfit.scoring.picture_scores import ALL_VISIBLE
from occfit.scoring.statistics import summarise_differences

pytestmark = pytest.mark.unit

SEEDS = [0, 1, 2]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SPEC = TableSpec(
    title="Table",
    caption="Numbers.",
    rows=["baseline", "proposed"],
    test_sets=["glasses", "ar_overall"],
    metrics=["f1", "occlusion_f1", "rmse"],
    differences=["f1"],
    published={"proposed": {"glasses": {"f1": [0.9, 0.04]}}},
)


@pytest.fixture
def runs(tmp_path) -> Path:
    for seed in SEEDS:
        canned.write_run(tmp_path, "baseline", seed)
        canned.write_run(tmp_path, "proposed", seed, shift=0.02)
    return tmp_path


def test_means_spreads_and_intervals(runs):
    block = compare(SPEC, Runs(runs, "laptop"), SEEDS).blocks[0]
    for metric in SPEC.metrics:
        drawn = [canned.draw("baseline", seed)["glasses"][metric] for seed in SEEDS]
        means = np.array([np.nanmean(values) for values in drawn])
        cell = block.rows["baseline"][metric]
        assert cell.mean == pytest.approx(means.mean())
        assert cell.spread == pytest.approx(np.mean([np.nanstd(values) for values in drawn]))
        low, high = t.interval(0.95, 2, loc=means.mean(), scale=means.std(ddof=1) / 3**0.5)
        assert cell.interval is not None
        assert (cell.interval.low, cell.interval.high) == pytest.approx((low, high))
    assert block.pictures == canned.PICTURES
    assert block.visible_share == 0.75


def test_a_difference_is_paired_over_the_same_seeds_and_pictures(runs):
    canned.write_run(runs, "proposed", 3)  # a seed that only one of the rows has
    table = compare(SPEC, Runs(runs, "laptop"), [*SEEDS, 3])
    drawn = [
        np.stack([canned.draw(row, seed, shift)["glasses"]["occlusion_f1"] for seed in SEEDS])
        for row, shift in (("proposed", 0.02), ("baseline", 0.0))
    ]
    known = np.isfinite(drawn[0][0])
    expected = summarise_differences((drawn[0] - drawn[1])[:, known])
    found = table.blocks[0].rows["baseline"]["occlusion_f1"].difference
    assert found == expected
    assert found is not None
    assert found.seeds == 3
    assert table.blocks[0].rows["proposed"]["occlusion_f1"].difference is None


def test_a_union_has_the_pictures_of_its_parts(runs):
    cell = compare(SPEC, Runs(runs, "laptop"), SEEDS).blocks[1].rows["baseline"]["f1"]
    parts = [
        np.mean(
            [
                canned.draw("proposed", seed, 0.02)[part]["f1"] - canned.draw("baseline", seed)[part]["f1"]
                for seed in SEEDS
            ],
            axis=0,
        )
        for part in canned.UNION
    ]
    assert cell.difference is not None
    assert cell.difference.mean == pytest.approx(np.concatenate(parts).mean())


def test_only_what_is_significantly_best_is_bold(runs):
    rows = compare(SPEC, Runs(runs, "laptop"), SEEDS).blocks[0].rows
    assert rows["proposed"]["f1"].is_best
    assert not rows["baseline"]["f1"].is_best
    assert rows["baseline"]["rmse"].is_best  # lower is better
    assert not any(cell.is_best for cell in rows[ALL_VISIBLE].values())


def test_a_lead_that_the_seeds_do_not_agree_on_is_not_bold(tmp_path):
    for seed, shift in zip(SEEDS, (0.06, 0.05, -0.02), strict=True):
        canned.write_run(tmp_path, "baseline", seed)
        canned.write_run(tmp_path, "proposed", seed, shift=shift)
    rows = compare(SPEC, Runs(tmp_path, "laptop"), SEEDS).blocks[0].rows
    difference = rows["baseline"]["f1"].difference
    assert difference is not None
    assert difference.mean == pytest.approx(0.03, abs=0.005)
    assert difference.interval is not None
    assert not difference.interval.is_clear_of_zero
    assert not any(cell.is_best for row in rows.values() for cell in row.values())


def test_one_seed_makes_nothing_bold(tmp_path):
    canned.write_run(tmp_path, "baseline", 0)
    canned.write_run(tmp_path, "proposed", 0, shift=0.05)
    rows = compare(SPEC, Runs(tmp_path, "laptop"), [0]).blocks[0].rows
    difference = rows["baseline"]["f1"].difference
    assert difference is not None
    assert difference.interval is not None
    assert difference.interval.is_clear_of_zero
    assert not any(cell.is_best for row in rows.values() for cell in row.values())
    assert rows["proposed"]["f1"].interval is None


def test_the_mask_that_hides_nothing_has_a_row(runs):
    rows = compare(SPEC, Runs(runs, "laptop"), SEEDS).blocks[0].rows
    expected = np.mean([canned.draw("all_visible", s, -0.08)["glasses"]["f1"].mean() for s in SEEDS])
    assert rows[ALL_VISIBLE]["f1"].mean == pytest.approx(expected)


def test_a_missing_run_is_a_gap_and_not_an_error(tmp_path):
    canned.write_run(tmp_path, "proposed", 1)
    table = compare(SPEC, Runs(tmp_path, "laptop"), [0, 1])
    assert table.missing == [("baseline", 0), ("baseline", 1), ("proposed", 0)]
    assert table.blocks[0].rows["baseline"]["f1"].mean is None
    assert not table.blocks[0].rows["proposed"]["f1"].is_best  # nobody to beat


def test_runs_of_other_presets_are_left_alone(tmp_path):
    canned.write_run(tmp_path, "proposed", 0, preset="smoke")
    assert not Runs(tmp_path, "laptop").found


def test_of_two_runs_the_one_with_the_standard_name_counts(tmp_path):
    standard = canned.write_run(tmp_path, "proposed", 0)
    canned.write_run(tmp_path / "a", "proposed", 0).rename(tmp_path / "demo")
    assert Runs(tmp_path, "laptop").found["proposed", 0].folder == standard
    standard.rename(tmp_path / "other")
    with pytest.raises(OccfitError, match="Two runs are of proposed, seed 0"):
        Runs(tmp_path, "laptop")


def test_torn_scores_are_refused(tmp_path):
    folder = canned.write_run(tmp_path, "proposed", 0)
    (folder / "scores.csv").unlink()
    with pytest.raises(OccfitError, match=r"can't be read.*scores.csv"):
        compare(SPEC, Runs(tmp_path, "laptop"), [0])
    (folder / "metrics.json").write_text("{")
    with pytest.raises(OccfitError, match=r"can't be read.*metrics.json"):
        Runs(tmp_path, "laptop")
    with pytest.raises(OccfitError, match="no such folder"):
        Runs(tmp_path / "nowhere", "laptop")


@pytest.mark.parametrize("name", ["table1", "table2", "table3", "table4"])
def test_the_shipped_tables_can_be_read(name):
    spec = read_spec(EXPERIMENTS / f"{name}.yaml")
    assert set(spec.published) <= set(spec.rows)
    for sets in spec.published.values():
        assert set(sets) <= set(spec.test_sets)
        assert all(set(metrics) <= set(spec.metrics) for metrics in sets.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("metrics: [f2]", "no score 'f2'"),
        ("rows: [mofa]", "reference 'proposed'"),
        ("rows: 3", "'rows' is wrong"),
        ("colour: red", "'colour' is unknown"),
        ("[", "isn't YAML"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, change, message):
    text = (EXPERIMENTS / "table4.yaml").read_text()
    key = change.partition(":")[0]
    lines = [line for line in text.splitlines() if not line.startswith(f"{key}:")]
    (tmp_path / "table.yaml").write_text("\n".join([*lines, change]) + "\n")
    with pytest.raises(OccfitError, match=message):
        read_spec(tmp_path / "table.yaml")
