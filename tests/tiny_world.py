"""A world small enough to train in: a bumpy dome for a face, 32 px, networks of a few thousand weights."""

import itertools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from occfit.face_model.morphable_model import MorphableModel
from occfit.method.evidence import Evidence
from occfit.method.module import OccFit
from occfit.method.objectives import (
    Objective,
    PerceptualTerm,
    ReconstructionObjective,
    RobustInitialisationObjective,
    SegmentationObjective,
    WarmUpObjective,
)
from occfit.method.prices import ResidualPrice
from occfit.method.schedule import (
    AlternatingSchedule,
    ConstantPhase,
    Learning,
    Phase,
    Schedule,
    WarmUpCosine,
)
from occfit.method.visibility import PredictedVisibility, RobustVisibility
from occfit.networks.encoder import Encoder, EncoderScale
from occfit.networks.recognition import RecognitionNetwork
from occfit.networks.resnet import BasicBlock, ResNet
from occfit.networks.segmenter import UNet
from occfit.rendering.rasterize import make_rasterizer
from occfit.rendering.renderer import FaceRenderer
from occfit.types import PARAMETER_COUNT, FaceBatch, FaceParams, Rendering

SIZE = 32
LIGHTNINGS_WARNINGS = (
    ".*LeafSpec",
    ".*does not have many workers",
    r".*module\(s\) in eval mode at the start of training",
)
SCALE = EncoderScale(
    shape=1.0,
    expression=1.0,
    albedo=1.0,
    rotation=0.1,
    translation_xy=10.0,
    translation_z=10.0,
    illumination=0.3,
)


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_dome() -> MorphableModel:
    """A dome of 13 x 13 vertices and 140 mm across."""
    steps = torch.linspace(-1, 1, 13)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    points = torch.stack([70 * x, 70 * y, 50 * (2 - x**2 - y**2)], dim=-1).flatten(0, 1)
    corner = (torch.arange(12).view(-1, 1) * 13 + torch.arange(12)).flatten()
    triangles = torch.cat(
        [
            torch.stack([corner, corner + 1, corner + 14], 1),
            torch.stack([corner, corner + 14, corner + 13], 1),
        ]
    )
    generator = draw(0)

    def basis(count: int, scale: float) -> Tensor:
        return scale * torch.randn(len(points), 3, count, generator=generator)

    return MorphableModel(
        "dome",
        points,
        basis(80, 0.3),
        basis(64, 0.3),
        torch.full((len(points), 3), 0.5),
        basis(80, 0.01),
        triangles,
        torch.linspace(0, len(points) - 1, 68).long(),
    )


def make_renderer() -> FaceRenderer:
    return FaceRenderer(make_dome(), make_rasterizer("numba"), SIZE)


def make_faces(renderer: FaceRenderer) -> FaceBatch:
    """24 domes on grey noise; every second one has a red square painted over it."""
    vector = 0.3 * torch.randn(24, 257, generator=draw(1))
    vector[:, 224:230] *= torch.tensor([0.3, 0.3, 0.3, 20, 20, 20])
    with torch.no_grad():
        rendering = renderer(FaceParams.from_vector(vector))
    background = torch.rand(24, 1, SIZE, SIZE, generator=draw(2)).expand(-1, 3, -1, -1)
    region = rendering.face_region
    image, visibility = torch.lerp(background, rendering.image, region), region.clone()
    image[::2, :, 10:20, 12:22] = torch.tensor([0.9, 0.1, 0.1]).view(3, 1, 1)
    visibility[::2, :, 10:20, 12:22] = 0
    return FaceBatch(image.clamp(0, 1), rendering.landmarks, torch.arange(24), visibility, vector)


Choose = Callable[[Callable[[int], FaceBatch], int], FaceBatch]
"""(the batch of a number, a number) -> the batch that a training gets under this number."""


def as_they_are(batch: Callable[[int], FaceBatch], number: int) -> FaceBatch:
    return batch(number)


class Numbered(IterableDataset):
    """Batches from number `start` on: a pure function of their number, 5 of 24 samples each, for ever."""

    def __init__(self, faces: FaceBatch, start: int, choose: Choose):
        self.faces, self.start, self.choose = faces, start, choose

    def batch(self, number: int) -> FaceBatch:
        places = range(number * 5, number * 5 + 5)
        indices = [int(torch.randperm(24, generator=draw(p // 24))[p % 24]) for p in places]
        return self.faces[torch.tensor(indices)]

    def __iter__(self) -> Iterator[FaceBatch]:
        return (self.choose(self.batch, number) for number in itertools.count(self.start))


class TinyData(LightningDataModule):
    def __init__(self, faces: FaceBatch, choose: Choose):
        super().__init__()
        self.faces, self.choose = faces, choose

    def train_dataloader(self) -> DataLoader:
        assert self.trainer is not None
        module = self.trainer.lightning_module
        assert isinstance(module, OccFit)
        return DataLoader(Numbered(self.faces, module.data_position, self.choose), batch_size=None)

    def val_dataloader(self) -> DataLoader:
        return DataLoader([self.faces[:6], self.faces[6:10]], batch_size=None)  # type: ignore[arg-type]


def alternation_objectives() -> dict[Phase, Objective]:
    return {
        Phase.RECONSTRUCTION: ReconstructionObjective(
            {"pixel": 4.0, "perceptual": 0.5, "area": 0.5, "landmark": 0.01, "prior": 0.001}
        ),
        Phase.SEGMENTATION: SegmentationObjective(
            {
                "neighbour": 1.0,
                "perceptual_exclusion": 0.3,
                "area": 1.0,
                "perceptual_inclusion": 0.3,
                "binary": 0.1,
            },
            price=ResidualPrice(),
            ceiling=10.0,
            perceptual=PerceptualTerm(layers="maps"),
        ),
    }


STAGES: dict[str, tuple[Callable[[], dict[Phase, Objective]], Schedule]] = {
    "initialise": (
        lambda: {
            Phase.RECONSTRUCTION: RobustInitialisationObjective(
                {"robust": 1.0, "perceptual": 0.1, "landmark": 0.01, "prior": 0.001}
            )
        },
        ConstantPhase(Phase.RECONSTRUCTION),
    ),
    "warm_up": (lambda: {Phase.SEGMENTATION: WarmUpObjective()}, ConstantPhase(Phase.SEGMENTATION)),
    "alternate": (alternation_objectives, AlternatingSchedule(period=5, segmentation_steps=2)),
}


def make_encoder() -> Encoder:
    """Thin and, unlike the shipped small one, with batch statistics, which training must keep apart."""
    encoder = Encoder("small", scale=SCALE)
    encoder.backbone = ResNet(BasicBlock, (1, 1, 1, 1), 8, stem="half", norm=nn.BatchNorm2d)
    encoder.head = nn.Linear(encoder.backbone.features, PARAMETER_COUNT)
    nn.init.zeros_(encoder.head.weight)
    nn.init.zeros_(encoder.head.bias)
    return encoder


class TinyRecognition(RecognitionNetwork):
    """Two random convolutions, for pictures of any size."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 8, 3, 2, 1)
        self.freeze()

    def extract(self, image: Tensor, landmarks: Tensor):
        first = torch.relu(self.first(image))
        second = torch.relu(self.second(first))
        return second.mean((2, 3)), (first, second)


def make_module(renderer: FaceRenderer, stage: str = "alternate", seed: int = 0, **replaced: Any) -> OccFit:
    """A stage's module with the same initial weights every time; keywords replace its arguments."""
    objectives, schedule = STAGES[stage]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = make_encoder()
        segmenter = None if stage == "initialise" else UNet(8, 2)
        torch.manual_seed(5)
        recognition = TinyRecognition()
    learning = Learning(
        lambda parameters: torch.optim.AdamW(parameters, lr=1e-3), WarmUpCosine(steps=40, warm_up=3), 1.0
    )
    arguments = {
        "face_renderer": renderer,
        "encoder": encoder,
        "segmenter": segmenter,
        "recognition": recognition,
        "objectives": objectives(),
        "schedule": schedule,
        "learning": dict.fromkeys(objectives(), learning),
        "visibility": RobustVisibility(0.17) if segmenter is None else PredictedVisibility(),
    }
    return OccFit(**(arguments | replaced))


def fit(
    module: OccFit,
    data: TinyData,
    steps: int,
    resume: Path | None = None,
    **options: Any,
) -> Trainer:
    """Trains for some steps; `resume` is a checkpoint to go on from."""
    defaults = {
        "accelerator": "cpu",
        "max_steps": steps,
        "max_epochs": -1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "limit_val_batches": 0,
        "log_every_n_steps": 1,
    }
    with warnings.catch_warnings():
        for message in LIGHTNINGS_WARNINGS:
            warnings.filterwarnings("ignore", message)
        trainer = Trainer(**(defaults | options))
        trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
    return trainer


def plain_evidence(
    image: Tensor, rendered: Tensor, region: Tensor, visibility: Tensor, logits: Tensor | None = None
) -> Evidence:
    """Evidence for objectives that look at pixels alone."""
    batch, size = len(image), image.shape[-1]
    landmarks = torch.full((batch, 68, 2), size / 2)
    rendering = Rendering(rendered, region, landmarks, torch.zeros(batch, 1, 3), torch.zeros(batch, 1, 3))
    photographs = FaceBatch(image, landmarks, torch.arange(batch))
    return Evidence(photographs, FaceParams.zeros(batch), rendering, visibility, logits)
