"""Ten steps of every stage, recorded. Where they change, finished stages in people's caches are out of date."""

import pytest
from lightning.pytorch.loggers import Logger

from occfit.runs.stage import STAGES

pytestmark = pytest.mark.unit

STEPS = 10
RECORDED: dict[str, tuple[int, list[float]]] = {
    "initialise": (
        2,
        [2.58602, 1.41969, 1.91597, 2.18793, 1.95365, 2.17014, 1.81450, 1.69333, 2.34048, 1.76214],
    ),
    "warm_up": (
        2,
        [0.72160, 0.70128, 0.63655, 0.64965, 0.49482, 0.55342, 0.46525, 0.41521, 0.52075, 0.44517],
    ),
    "alternate": (
        3,
        [0.35047, 0.33747, 0.85798, 0.75989, 0.87447, 0.53922, 0.30530, 0.70618, 1.03135, 0.62321],
    ),
}


class Totals(Logger):
    """The total of every step's objective."""

    def __init__(self):
        super().__init__()
        self.values: list[float] = []

    @property
    def name(self) -> str:
        return "totals"

    @property
    def version(self) -> str:
        return ""

    def log_metrics(self, metrics, step=None):
        self.values += [value for key, value in metrics.items() if key.endswith("/total")]

    def log_hyperparams(self, params, *args, **kwargs):
        """Nothing to record."""


@pytest.mark.parametrize("stage", RECORDED)
def test_ten_steps_are_the_recorded_ones(make_module, fit, stage):
    """Beyond rounding: if this fails, a stage computes something else from the same configuration.

    Raise the stage's number in `occfit.runs.stage`, and record the new numbers with it.
    """
    version, recorded = RECORDED[stage]
    totals = Totals()
    fit(make_module(stage), STEPS, logger=totals)
    assert len(totals.values) == STEPS
    found = ", ".join(f"{value:.5f}" for value in totals.values)
    assert totals.values == pytest.approx(recorded, rel=0.01), found
    assert STAGES[stage].version == version
