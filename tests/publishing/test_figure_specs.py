"""Which pictures a figure shows, and what is refused."""

from pathlib import Path

import canned
import numpy as np
import pytest
import yaml
from lit_faces import write_store

from occfit.data.data_source import SetDescription, Splits
from occfit.errors import OccfitError
from occfit.publishing.figure_specs import FigureSpec, choose, light_contrast, read_figures
from occfit.scoring.experiments import Runs

pytestmark = pytest.mark.unit

SHIPPED = Path(__file__).parents[2] / "experiments" / "figures.yaml"


def spec(rule: str, **pictures: int) -> FigureSpec:
    return FigureSpec("Figure", ["target", "truth"], pictures, rule, "figure1")


def test_contrast_is_that_of_the_visible_face(splits):
    found = light_contrast(splits.test["glasses"])
    assert found == pytest.approx([0.5, 0.0, 0.3], abs=0.1)


def test_illumination_takes_the_largest_contrast(splits):
    assert choose(spec("illumination", neutral=1, ar_overall=2), splits, {}, 0) == [
        ("neutral", 1),
        ("scarf", 1),
        ("neutral", 1),
    ]


def test_random_depends_on_the_seed_and_the_figure_alone(splits):
    first = choose(spec("random", ar_overall=5), splits, {}, 0)
    assert first == choose(spec("random", ar_overall=5), splits, {}, 0)
    assert first != choose(spec("random", ar_overall=5), splits, {}, 1)
    assert len(set(first)) == 5
    everything = choose(spec("random", ar_overall=9), splits, {}, 0)
    assert {test_set for test_set, _ in everything} == {"neutral", "glasses", "scarf"}


def test_lowest_takes_the_worst_by_a_runs_scores(tmp_path):
    canned.write_run(tmp_path / "runs", "deep3d", 0)
    runs = {row: run for (row, _), run in Runs(tmp_path / "runs", "laptop").found.items()}
    store = write_store(tmp_path / "glasses", [0.1] * canned.PICTURES)
    splits = Splits({}, test={"glasses": store}, sets={"glasses": SetDescription("glasses")})
    expected = np.argsort(canned.draw("deep3d", 0)["glasses"]["precision"])[:3]
    found = choose(spec("lowest deep3d precision", glasses=3), splits, runs, 0)
    assert found == [("glasses", index) for index in expected]


def test_the_shipped_figures_are_the_papers():
    names = [figure.name for figure in read_figures(SHIPPED)]
    assert names == ["figure1", *(f"figure{number}" for number in range(3, 11))]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("columns", ["target", "proposed.picture"], "no column 'proposed.picture'"),
        ("rule", "best", "no rule 'best'"),
        ("pictures", {"glasses": "many"}, "pictures.glasses' is wrong"),
        ("title", None, "title' is wrong"),
    ],
)
def test_a_wrong_figure_is_refused(tmp_path, key, value, message):
    figure = yaml.safe_load(SHIPPED.read_text())["figure1"] | {key: value}
    (tmp_path / "figures.yaml").write_text(yaml.safe_dump({"figure1": figure}))
    with pytest.raises(OccfitError, match=message):
        read_figures(tmp_path / "figures.yaml")


def test_an_unknown_test_set_is_refused(splits):
    with pytest.raises(OccfitError, match="no test set 'hats'"):
        choose(spec("random", hats=1), splits, {}, 0)
