"""The stages of training: what learns in each of them, from which objective, behind which mask.

Everything that depends on a stage's name is here. A run's `pipeline` is a list of these names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from occfit.errors import OccfitError, nearest
from occfit.method.objectives import Objective
from occfit.method.schedule import Learning, Phase, Schedule
from occfit.method.visibility import PredictedVisibility, RobustVisibility, VisibilitySource
from occfit.runs.config import LearningConfig, StageConfig, StageName, TrainConfig, instantiate


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
        name: the stage's name in `pipeline`, `stages` and `optimizer`.
        version: a number to be raised by hand when the stage computes something else from the same configuration.
        objectives: the configuration's objective of each phase that the stage has.
        has_segmenter: whether there is a segmenter, which then gives the system's mask.
        is_robust: whether the system's mask is eq. 9's, since nothing else is known yet.
    """

    name: str
    version: int
    objectives: Mapping[Phase, str]
    has_segmenter: bool
    is_robust: bool = False

    @property
    def is_taught(self) -> bool:
        """Whether the encoder learns behind a mask, so that the configuration's `visibility` has a say."""
        return self.objectives.get(Phase.RECONSTRUCTION) == "reconstruction"

    def make_objectives(self, config: TrainConfig) -> dict[Phase, Objective]:
        return {
            phase: instantiate(getattr(config.objective, name)) for phase, name in self.objectives.items()
        }

    def make_schedule(self, config: TrainConfig) -> Schedule:
        return instantiate(self.learning(config).schedule)

    def make_learning(self, config: TrainConfig) -> dict[Phase, Learning]:
        """How the network of each phase learns; a network without an entry doesn't."""
        how = self.learning(config)
        nodes = {Phase.RECONSTRUCTION: how.encoder, Phase.SEGMENTATION: how.segmenter}
        return {phase: instantiate(node) for phase, node in nodes.items() if node is not None}

    def system_mask(self, config: TrainConfig, chosen: VisibilitySource) -> VisibilitySource:
        """Where the mask of the system comes from that the stage trains.

        Args:
            chosen: the configuration's `visibility`.
        """
        if self.is_robust:
            return RobustVisibility(config.objective.initialisation["threshold"])
        return PredictedVisibility() if self.has_segmenter else chosen

    def teacher(self, chosen: VisibilitySource) -> VisibilitySource | None:
        """Where the mask comes from behind which the encoder learns; None: it learns behind none, or the system's."""
        return chosen if self.is_taught else None

    def length(self, config: TrainConfig) -> StageConfig:
        return getattr(config.stages, self.name)

    def learning(self, config: TrainConfig) -> LearningConfig:
        return getattr(config.optimizer, self.name)

    def subtree(self, config: TrainConfig) -> dict[str, Any]:
        """What of the configuration decides the stage's result, besides what every stage has."""
        plain = config.plain()
        groups = {"segmenter": self.has_segmenter, "visibility": self.is_taught}
        return {name: plain[name] for name, is_used in groups.items() if is_used} | {
            "objective": {name: plain["objective"][name] for name in self.objectives.values()},
            "optimizer": plain["optimizer"][self.name],
            "stage": plain["stages"][self.name],
        }


STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            "initialise",
            version=2,
            objectives={Phase.RECONSTRUCTION: "initialisation"},
            has_segmenter=False,
            is_robust=True,
        ),
        Stage("warm_up", version=2, objectives={Phase.SEGMENTATION: "warm_up"}, has_segmenter=True),
        Stage(
            "alternate",
            version=3,
            objectives={Phase.RECONSTRUCTION: "reconstruction", Phase.SEGMENTATION: "segmentation"},
            has_segmenter=True,
        ),
        Stage(
            "reconstruct",
            version=1,
            objectives={Phase.RECONSTRUCTION: "reconstruction"},
            has_segmenter=False,
        ),
    )
}


def stages_of(config: TrainConfig) -> list[StageName]:
    """The stages that a run trains, in order.

    A run that begins with a trained system leaves out `initialise` and `warm_up`, which make a system that can
    alternate, unless its pipeline has no other stage.
    """
    if config.init is None:
        return config.pipeline
    return [stage for stage in config.pipeline if stage not in ("initialise", "warm_up")] or config.pipeline


def find_stage(name: str) -> Stage:
    """The stage of a name.

    Raises:
        OccfitError: there is none.
    """
    if name not in STAGES:
        raise OccfitError(f"There is no stage '{name}'", remedy=nearest(name, STAGES))
    return STAGES[name]
