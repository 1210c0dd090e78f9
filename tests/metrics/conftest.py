"""Random photographs and fits to score."""

import pytest
import torch

from occfit.types import FaceBatch, Mask, Rendering

SIZE, VERTICES = 16, 40


def blobs(count: int, generator: torch.Generator, share: float) -> Mask:
    """Random masks of about the given share, in patches of 4 pixels."""
    small = (torch.rand(count, 1, SIZE // 4, SIZE // 4, generator=generator) < share).float()
    return small.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)


def random_fit(count: int, generator: torch.Generator) -> Rendering:
    return Rendering(
        image=torch.rand(count, 3, SIZE, SIZE, generator=generator) * 1.2,
        face_region=blobs(count, generator, 0.7),
        landmarks=torch.rand(count, 68, 2, generator=generator) * SIZE,
        vertices=60 * torch.randn(count, VERTICES, 3, generator=generator),
        normals=torch.nn.functional.normalize(torch.randn(count, VERTICES, 3, generator=generator), dim=-1),
    )


@pytest.fixture
def fits(generator) -> tuple[FaceBatch, Rendering, Mask, Rendering]:
    """Eleven photographs, what a system makes of them, its visibility, and the rendering of the truth."""
    count = 11
    region = blobs(count, generator, 0.8)
    batch = FaceBatch(
        image=torch.rand(count, 3, SIZE, SIZE, generator=generator),
        landmarks=torch.rand(count, 68, 2, generator=generator) * SIZE,
        index=torch.randperm(count, generator=generator),
        visibility=region * blobs(count, generator, 0.6),
        face_region=region,
    )
    visibility = torch.rand(count, 1, SIZE, SIZE, generator=generator)
    return batch, random_fit(count, generator), visibility, random_fit(count, generator)
