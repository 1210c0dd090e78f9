"""The recognition stage: a small network learns to tell synthetic people apart.

The perceptual terms show it photographs, photographs whose hidden pixels are black, and renderings on black. So it
learns from all three, under other light and with parts missing, that these are the same person. It is never told what
hides a face: an occluder in front of one is one more disturbance.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from pydantic import PositiveInt
from safetensors.torch import save_file
from torch import Tensor, nn

from occfit.errors import OccfitError
from occfit.metrics.verification import fold_accuracies, verification_pairs
from occfit.networks.recognition import IdentityResNet, SyntheticRecognition
from occfit.types import Image

WEIGHTS = "recognition.safetensors"
REPORT = "recognition.json"


@dataclass(frozen=True)
class RecognitionTraining:
    """What the stage learns from, and how.

    Attributes:
        width: channels of the network's first stage.
        dimensions: length of the embedding.
        people: identities it learns.
        pictures: how many there are of each of them.
        unseen: other identities, for verification.
        steps: AdamW's steps; the rate rises over the first tenth and then falls to zero as a cosine.
        batch: pictures a step.
        learning_rate: the highest.
        margin: by which the right identity's cosine must exceed the others (CosFace, Wang et al. 2018).
        scale: what the cosines are multiplied with in the softmax.
    """

    width: PositiveInt = 16
    dimensions: PositiveInt = 128
    people: PositiveInt = 400
    pictures: PositiveInt = 8
    unseen: PositiveInt = 100
    steps: PositiveInt = 700
    batch: PositiveInt = 128
    learning_rate: float = 4e-3
    margin: float = 0.1
    scale: float = 16.0

    def network(self, weights: Path | None = None) -> SyntheticRecognition:
        """The frozen network, with the weights that the stage wrote."""
        return SyntheticRecognition(self.width, self.dimensions, weights)


@dataclass(frozen=True)
class IdentityImages:
    """Labelled pictures.

    Attributes:
        image: RGB.
        face_region: where the face model projects by the true parameters, whatever stands before it.
        rendering: the face alone on black, by its true parameters.
        identity: 0, 1, ... in any order.
    """

    image: UInt8[Tensor, "n 3 h w"]
    face_region: Bool[Tensor, "n h w"]
    rendering: UInt8[Tensor, "n 3 h w"]
    identity: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: Int[Tensor, " b"]) -> "IdentityImages":
        return IdentityImages(
            self.image[index], self.face_region[index], self.rendering[index], self.identity[index]
        )

    def photographs(self) -> Image:
        return self.image.float() / 255

    def masked(self) -> Image:
        """The photographs, black around the face."""
        return self.photographs() * self.face_region[:, None]

    def renderings(self) -> Image:
        return self.rendering.float() / 255


def train_recognition(
    config: RecognitionTraining,
    seen: IdentityImages,
    unseen: IdentityImages,
    seed: int,
    precision: str = "32-true",
    device: torch.device | str = "cpu",
    on_step: Callable[[int], None] = lambda step: None,
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Trains the network of `SyntheticRecognition`. The same seed, machine and threads give the same bits.

    Args:
        seen: what it learns from.
        unseen: other people, on whom it is verified.
        precision: `bf16-mixed` computes the convolutions in bf16, anything else in float32.
        on_step: called with the number of steps done.

    Returns:
        The state dict of `SyntheticRecognition.network`, and its `verification_report` on `unseen` beside
        `train_loss` and `train_accuracy` of the last tenth of the steps.

    Raises:
        OccfitError: the loss stops being a number.
    """
    network, classifier = _new_network(config, int(seen.identity.max()) + 1, seed)
    parameters = [*network.to(device).parameters(), *classifier.to(device).parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=0.05)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        config.learning_rate,
        total_steps=config.steps,
        pct_start=rising_share(config.steps),
        cycle_momentum=False,
    )
    generator = torch.Generator().manual_seed(seed)
    batches = _endless_batches(len(seen), config.batch, generator)
    last = []
    for step in range(config.steps):
        batch = seen[next(batches)]
        images, labels = training_views(batch, generator).to(device), batch.identity.to(device)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            embedding = network(images)
        cosines = F.normalize(embedding.float(), dim=1) @ F.normalize(classifier.weight, dim=1).T
        loss = margin_softmax_loss(cosines, labels, config.margin, config.scale)
        if not torch.isfinite(loss):
            raise OccfitError("The recognition network's loss is no number any more", f"step {step}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if step >= config.steps * 9 // 10:
            last.append((loss.item(), (cosines.argmax(dim=1) == labels).float().mean().item()))
        on_step(step + 1)
    losses, accuracies = torch.tensor(last, dtype=torch.float64).mean(dim=0).tolist()
    state = {name: value.cpu() for name, value in network.state_dict().items()}
    report = {"train_loss": losses, "train_accuracy": accuracies}
    return state, report | verification_report(network.cpu().eval(), unseen, seed)


def rising_share(steps: int) -> float:
    """The share of the steps in which the learning rate rises: a tenth.

    The rise ends one step before that share is done. A tenth of ten steps would end it on the step it begins with, and
    `OneCycleLR` divides by its length, so there it is a fifth.
    """
    return 0.2 if steps == 10 else 0.1


def _new_network(config: RecognitionTraining, people: int, seed: int) -> tuple[IdentityResNet, nn.Linear]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return IdentityResNet(config.width, config.dimensions), nn.Linear(
            config.dimensions, people, bias=False
        )


def _endless_batches(count: int, batch: int, generator: torch.Generator) -> Iterator[Int[Tensor, " b"]]:
    """Batches of indices; every index comes once before any comes again."""
    order = torch.empty(0, dtype=torch.int64)
    while True:
        while len(order) < batch:
            order = torch.cat([order, torch.randperm(count, generator=generator)])
        yield order[:batch]
        order = order[batch:]


def margin_softmax_loss(
    cosines: Float[Tensor, "b k"], labels: Int[Tensor, " b"], margin: float, scale: float
) -> Float[Tensor, ""]:
    """CosFace (Wang et al. 2018, eq. 4): cross-entropy of s (cos_j - m [j = label])."""
    return F.cross_entropy(scale * (cosines - margin * F.one_hot(labels, cosines.shape[1])), labels)


def training_views(batch: IdentityImages, generator: torch.Generator) -> Image:
    """One picture of each sample, chosen and disturbed at random.

    The photograph's face with whatever hides it, or the rendering's, before its own surroundings, another's, or black;
    mirrored or not, moved by up to 2 pixels, under another exposure, contrast and tint, and every second picture
    with a black rectangle over a part.
    """
    choice = torch.rand(len(batch), 1, 1, 1, generator=generator)
    photographs, renderings = (_relight(p, generator) for p in (batch.photographs(), batch.renderings()))
    others = photographs[torch.randperm(len(batch), generator=generator)]
    surroundings = torch.where((choice < 0.35) | (choice > 0.85), photographs, others * (choice < 0.5))
    faces = torch.where(choice < 0.7, photographs, renderings)
    views = _move(torch.where(batch.face_region[:, None], faces, surroundings), generator)
    return views * ~_rectangles(len(batch), views.shape[-1], generator)


def _uniform(low: float, high: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.empty(shape).uniform_(low, high, generator=generator)


def _relight(images: Image, generator: torch.Generator) -> Image:
    """gain * image^gamma; the gain differs a little between the colours."""
    count = len(images)
    gamma = torch.exp2(_uniform(-0.25, 0.25, (count, 1, 1, 1), generator))
    gain = torch.exp2(_uniform(-0.25, 0.25, (count, 1, 1, 1), generator))
    tint = torch.exp2(_uniform(-0.1, 0.1, (count, 3, 1, 1), generator))
    return (gain * tint * images**gamma).clamp(0, 1)


def _move(images: Image, generator: torch.Generator, reach: int = 2) -> Image:
    """Every image moved by its own whole number of pixels, half of them mirrored."""
    size = images.shape[-1]
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    shift = torch.randint(0, 2 * reach + 1, (2, len(images), 1), generator=generator)
    mirrored = torch.rand(len(images), 1, generator=generator) < 0.5
    rows, columns = shift + torch.arange(size)
    columns = torch.where(mirrored, columns.flip(1), columns)
    sample = torch.arange(len(images))[:, None, None]
    return padded[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _rectangles(count: int, size: int, generator: torch.Generator) -> Bool[Tensor, "b 1 h w"]:
    """True inside a rectangle with sides of up to half the picture; every second picture has none."""
    extent = _uniform(0.1, 0.5, (2, count, 1), generator) * size
    extent = extent * (torch.rand(count, 1, generator=generator) < 0.5)
    start = _uniform(0, 1, (2, count, 1), generator) * (size - extent)
    centres = torch.arange(size) + 0.5
    rows, columns = (start < centres) & (centres < start + extent)
    return (rows[:, :, None] & columns[:, None, :])[:, None]


@torch.no_grad()
def verification_report(
    network: nn.Module, images: IdentityImages, seed: int, folds: int = 10
) -> dict[str, float]:
    """How often the network says rightly whether two pictures show the same person.

    `verification` is over pairs of photographs, `verification_masked` over a photograph and another that is
    black around the face, `verification_rendering` over a photograph and another's rendering. Each is
    the mean over ten folds of people (`_std` its spread), the threshold from the other nine.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs, same, fold = verification_pairs(images.identity, folds, generator)
    photographs = embed_all(network, images.photographs())
    others = {
        "verification": photographs,
        "verification_masked": embed_all(network, images.masked()),
        "verification_rendering": embed_all(network, images.renderings()),
    }
    report = {}
    for name, other in others.items():
        similarity = (photographs[pairs[:, 0]] * other[pairs[:, 1]]).sum(dim=1)
        accuracies = fold_accuracies(similarity, same, fold)
        report |= {name: accuracies.mean().item(), f"{name}_std": accuracies.std().item()}
    return report


def embed_all(network: nn.Module, images: Image, batch: int = 128) -> Float[Tensor, "n d"]:
    """Embeddings of unit length."""
    return F.normalize(torch.cat([network(part) for part in images.split(batch)]), dim=1)


def write_recognition(folder: Path, state: dict[str, Tensor], report: dict[str, float]) -> None:
    """Puts the stage's result into its folder: the weights, and what was measured."""
    save_file({name: value.contiguous() for name, value in state.items()}, folder / WEIGHTS)
    (folder / REPORT).write_text(json.dumps(report, indent=1))
