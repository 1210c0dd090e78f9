"""The landmark network's training, on the synthetic world's pictures: faces in crops that fit badly, and crops of none.

It sees a face as a detector's box shows it, off the middle, turned and in another size, and as its own first answer
shows it, nearly upright; in any light, blurred, grey, with parts missing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray
from pydantic import PositiveInt
from torch import Tensor

from occfit.data.alignment import standard_template
from occfit.data.similarity import Matrix, apply, compose, warp
from occfit.data.store import PreparedStore
from occfit.errors import OccfitError
from occfit.face_model.ibug_landmarks import FLIP
from occfit.face_model.morphable_model import MorphableModel
from occfit.method.schedule import WarmUpCosine
from occfit.metrics.reconstruction import landmark_nme
from occfit.networks.landmark_network import CROP_SIZE, LandmarkNetwork
from occfit.rendering.camera import Camera, project, to_camera
from occfit.types import FaceParams, Image

PADDING = 0.5
"""Picture widths that are mirrored around a picture, so that a crop larger than it isn't mostly black."""


@dataclass(frozen=True)
class Jitter:
    """How far a crop is from showing the face as the template does: half ranges.

    Attributes:
        shift: a share of the crop's side.
        scale: a difference of the scale's natural logarithm.
        rotation: degrees.
    """

    shift: float
    scale: float
    rotation: float

    def draw(self, rng: np.random.Generator) -> Matrix:
        """A similarity of the crop's plane about its middle."""
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation))
        factor = math.exp(rng.uniform(-self.scale, self.scale))
        linear = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centre = np.full(2, CROP_SIZE / 2)
        shift = rng.uniform(-self.shift, self.shift, 2) * CROP_SIZE
        return np.column_stack([linear, centre - linear @ centre + shift])


FROM_BOX, FROM_FIRST_ANSWER = Jitter(0.16, 0.35, 30), Jitter(0.04, 0.10, 8)


@dataclass(frozen=True)
class LandmarkTraining:
    """What the network learns from, and how.

    Attributes:
        width: the network's channels in its first stage.
        steps: AdamW's steps; the rate falls as a cosine.
        batch: crops a step.
        learning_rate: the highest.
        faceless: share of crops without a face in its place.
        sureness: weight of the question whether there is a face.
    """

    width: PositiveInt = 20
    steps: PositiveInt = 8000
    batch: PositiveInt = 64
    learning_rate: float = 2e-3
    faceless: float = 0.2
    sureness: float = 0.05


@dataclass(frozen=True)
class Crops:
    """A batch of training crops.

    Attributes:
        image: the crops, `CROP_SIZE` wide and high.
        landmarks: true, pixels of the crop.
        is_face: whether the face lies about as in the template.
    """

    image: Image
    landmarks: Float[Tensor, "b 68 2"]
    is_face: Bool[Tensor, " b"]


class CropSource:
    """Cuts crops from a prepared store whose true parameters are known.

    Raises:
        OccfitError: the store has no parameters.
    """

    def __init__(self, store: PreparedStore, face_model: MorphableModel):
        params = store.column("params")
        if params is None:
            raise OccfitError("The store has no true parameters", store.folder, "Train on synthetic data")
        self.store = store
        self.size = store.size[0]
        self.landmarks = true_landmarks(
            face_model, FaceParams.from_vector(torch.from_numpy(params)), self.size
        )

    def cut(self, indices: Int[ndarray, " b"], matrices: list[Matrix], is_face: Bool[ndarray, " b"]) -> Crops:
        """Args:
        indices: the samples' positions in the store.
        matrices: changes of the crop's plane after the face has been put where the template has it.
        is_face: what to call each.
        """
        pictures = self.store.arrays(indices)["image"]
        to_crop = np.column_stack([CROP_SIZE / self.size * np.eye(2), np.zeros(2)])
        crops, points = [], []
        for index, picture, change in zip(indices, pictures, matrices, strict=True):
            matrix = compose(change, to_crop)
            crops.append(cut_padded(picture, matrix))
            points.append(apply(matrix, self.landmarks[index]))
        image = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
        return Crops(image, torch.from_numpy(np.stack(points)), torch.from_numpy(is_face))


@torch.no_grad()
def true_landmarks(
    face_model: MorphableModel, params: FaceParams, size: int, batch: int = 256
) -> Float[ndarray, "n 68 2"]:
    """The 68 projected points of faces, in pixels of pictures of `size`."""
    parts = []
    for start in range(0, len(params), batch):
        part = params[slice(start, start + batch)]
        points = face_model.vertices(part.shape, part.expression)[:, face_model.landmark_vertices]
        parts.append(project(to_camera(points, part.pose), Camera(size)))
    return torch.cat(parts).numpy()


def cut_padded(picture: UInt8[ndarray, "h w 3"], matrix: Matrix) -> UInt8[ndarray, "s s 3"]:
    """The crop that shows the picture's point p at `matrix` p, mirror images around the picture."""
    border = int(PADDING * len(picture))
    padded = cv2.copyMakeBorder(picture, border, border, border, border, cv2.BORDER_REFLECT_101)
    moved = matrix.copy()
    moved[:, 2] -= matrix[:, :2] @ np.full(2, border)
    return warp(padded, moved, (CROP_SIZE, CROP_SIZE), cv2.INTER_AREA)


def training_crops(source: CropSource, count: int, faceless: float, rng: np.random.Generator) -> Crops:
    """Half as from a box, half as from a first answer; the faceless ones show a part of a face, or it far too small."""
    is_face = rng.random(count) >= faceless
    matrices = [face_jitter(rng) if face else faceless_jitter(rng) for face in is_face]
    crops = source.cut(rng.integers(len(source.store), size=count), matrices, is_face)
    return mirrored(repainted(crops, rng), rng)


def face_jitter(rng: np.random.Generator) -> Matrix:
    return (FROM_BOX if rng.random() < 0.5 else FROM_FIRST_ANSWER).draw(rng)


def faceless_jitter(rng: np.random.Generator) -> Matrix:
    """Beside the face, close to a part of it, or from far away."""
    matrix = Jitter(0.16, 0.2, 180).draw(rng)
    choice = rng.random()
    middle = np.full(2, CROP_SIZE / 2)
    if choice < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        matrix[:, 2] += rng.uniform(0.5, 0.9) * CROP_SIZE * np.array([np.cos(angle), np.sin(angle)])
        return matrix
    factor = rng.uniform(2.2, 5) if choice < 0.85 else rng.uniform(0.25, 0.45)
    off = rng.uniform(-0.3, 0.3, 2) * CROP_SIZE * factor
    return compose(np.column_stack([factor * np.eye(2), middle - factor * middle + off]), matrix)


def repainted(crops: Crops, rng: np.random.Generator) -> Crops:
    """The crops in other light and through other cameras, with rectangles missing."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    image, count = crops.image, len(crops.image)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    def chosen(share: float) -> Tensor:
        return torch.rand(count, 1, 1, 1, generator=generator) < share

    grey = image.mean(dim=1, keepdim=True).expand_as(image)
    image = torch.where(chosen(0.2), grey, image)
    image = image.clamp(1e-4, 1) ** uniform(0.6, 1.6, 1, 1, 1)
    image = image * uniform(0.7, 1.25, 1, 1, 1) * uniform(0.88, 1.12, 3, 1, 1)
    small = F.interpolate(image, scale_factor=0.4, mode="bilinear", antialias=True)
    blurred = F.interpolate(small, size=image.shape[-2:], mode="bilinear")
    image = torch.lerp(image, blurred, chosen(0.25) * uniform(0, 1, 1, 1, 1))
    image = image + chosen(0.4) * uniform(0, 0.08, 1, 1, 1) * torch.randn(image.shape, generator=generator)
    image = torch.where(rectangles(count, generator) & chosen(0.25), uniform(0, 1, 3, 1, 1), image)
    return Crops(image.clamp(0, 1), crops.landmarks, crops.is_face)


def rectangles(count: int, generator: torch.Generator) -> Bool[Tensor, "b 1 s s"]:
    """One a crop, up to half its side."""
    corner = torch.rand(count, 2, generator=generator) * CROP_SIZE
    extent = (0.1 + 0.4 * torch.rand(count, 2, generator=generator)) * CROP_SIZE
    centres = torch.arange(CROP_SIZE) + 0.5
    inside = (centres - corner[..., None]).abs() < extent[..., None] / 2
    return (inside[:, 1, :, None] & inside[:, 0, None, :])[:, None]


def mirrored(crops: Crops, rng: np.random.Generator) -> Crops:
    """Half of them mirrored, the points renamed."""
    is_mirrored = torch.from_numpy(rng.random(len(crops.image)) < 0.5)
    flipped = torch.stack([CROP_SIZE - crops.landmarks[..., 0], crops.landmarks[..., 1]], dim=-1)[:, FLIP]
    return Crops(
        torch.where(is_mirrored[:, None, None, None], crops.image.flip(3), crops.image),
        torch.where(is_mirrored[:, None, None], flipped, crops.landmarks),
        crops.is_face,
    )


def landmark_training_loss(
    points: Float[Tensor, "b 68 2"], logits: Float[Tensor, " b"], crops: Crops, sureness: float
) -> Float[Tensor, ""]:
    """Mean distance of the points over the crop's side, of faces, and the cross-entropy of there being one."""
    distance = ((points - crops.landmarks).square().sum(dim=2) + 1e-4).sqrt().mean(dim=1) / CROP_SIZE
    faces = crops.is_face.float()
    regression = (distance * faces).sum() / faces.sum().clamp(min=1)
    return regression + sureness * F.binary_cross_entropy_with_logits(logits, faces)


def train_landmarks(
    config: LandmarkTraining,
    source: CropSource,
    face_model: MorphableModel,
    seed: int,
    precision: str = "32-true",
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> LandmarkNetwork:
    """The trained network. The same seed, machine and threads give the same bits.

    Args:
        precision: `bf16-mixed` computes the convolutions in bf16, anything else in float32.
        on_step: called with the number of steps done and the last loss.

    Raises:
        OccfitError: the loss stops being a number.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LandmarkNetwork(config.width)
    network.template.copy_(torch.from_numpy(standard_template(face_model, CROP_SIZE)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=1e-3)
    rate = WarmUpCosine(config.steps, warm_up=100)
    rng = np.random.default_rng(seed)
    for step in range(config.steps):
        crops = training_crops(source, config.batch, config.faceless, rng)
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * rate(step)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            points, logits = network.answer(crops.image)
        loss = landmark_training_loss(points, logits, crops, config.sureness)
        if not torch.isfinite(loss):
            raise OccfitError("The landmark network's loss is no number any more", f"step {step}")
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        on_step(step + 1, loss.item())
    return network.eval().requires_grad_(False)


@torch.no_grad()
def landmark_report(network: LandmarkNetwork, source: CropSource, seed: int) -> dict[str, float]:
    """On a store's faces: error in eye distances from a box (`nme_box`) and from a first answer (`nme`); the share of
    faces that the network calls one (`found`), and of crops without one that it doesn't (`refused`)."""
    rng = np.random.default_rng(seed)
    count = len(source.store)
    indices, yes, no = np.arange(count), np.ones(count, bool), np.zeros(count, bool)
    errors = {}
    right = []
    for name, jitter in (("nme_box", FROM_BOX), ("nme", FROM_FIRST_ANSWER)):
        crops = source.cut(indices, [jitter.draw(rng) for _ in indices], yes)
        guess = network(crops.image)
        errors[name] = landmark_nme(guess.landmarks, crops.landmarks).mean().item()
        right.append((guess.confidence > 0.5).float().mean().item())
    crops = source.cut(indices, [faceless_jitter(rng) for _ in indices], no)
    return errors | {
        "found": float(np.mean(right)),
        "refused": (network(crops.image).confidence < 0.5).float().mean().item(),
    }
