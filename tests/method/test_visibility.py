"""The mask sources: what each calls visible, and behind what it teaches."""

from dataclasses import replace

import pytest
import torch
from tiny_world import plain_evidence

from occfit.errors import OccfitError
from occfit.method.visibility import (
    LabelledVisibility,
    PredictedVisibility,
    RobustVisibility,
    SkinVisibility,
    VisibilitySource,
    WholeFace,
)

pytestmark = pytest.mark.unit

SIZE = 8


@pytest.fixture
def scene(generator):
    """A batch, its rendering, and a mask: on the left half the rendering is right, on the right far off."""
    image = torch.rand(2, 3, SIZE, SIZE, generator=generator)
    rendered = image.clone()
    rendered[..., SIZE // 2 :] = 1 - (image[..., SIZE // 2 :] > 0.5).float()
    region = torch.ones(2, 1, SIZE, SIZE)
    region[:, :, 0] = 0
    mask = torch.rand(2, 1, SIZE, SIZE, generator=generator)
    evidence = plain_evidence(image, rendered, region, mask)
    return replace(evidence.batch, visibility=(mask > 0.7).float()), evidence.rendering, mask


def test_eq_9_calls_visible_what_the_rendering_explains(scene):
    batch, rendering, mask = scene
    source = RobustVisibility(0.01)
    found, logits = source(batch, rendering, None)
    squared = ((batch.image - rendering.image) ** 2).sum(1, keepdim=True)
    assert torch.equal(found, rendering.face_region * (squared < 0.01).float())
    assert logits is None
    assert torch.equal(source.teach(batch, rendering, mask), found)


def test_the_segmenters_mask_is_its_probability_and_teaches_with_its_gradient(scene):
    batch, rendering, _ = scene
    logits = torch.linspace(-3, 3, 2 * SIZE * SIZE).view(2, 1, SIZE, SIZE).requires_grad_()
    found, given = PredictedVisibility()(batch, rendering, lambda image, picture: logits)
    torch.testing.assert_close(found, logits.sigmoid())
    assert given is logits
    assert PredictedVisibility().teach(batch, rendering, found) is found


def test_a_predicted_mask_needs_a_segmenter(scene):
    batch, rendering, _ = scene
    with pytest.raises(OccfitError, match=r"needs a segmenter.*visibility=whole"):
        PredictedVisibility()(batch, rendering, None)


def test_the_labels_teach_and_are_no_systems_mask(scene):
    batch, rendering, mask = scene
    source = LabelledVisibility()
    assert source.needs_labels
    assert (source(batch, rendering, None)[0] == 1).all()
    assert torch.equal(source.teach(batch, rendering, mask), batch.visibility)
    with pytest.raises(OccfitError, match="no true masks"):
        source.teach(replace(batch, visibility=None), rendering, mask)


def test_without_a_mask_everything_is_visible(scene):
    batch, rendering, mask = scene
    assert (WholeFace()(batch, rendering, None)[0] == 1).all()
    assert (WholeFace().teach(batch, rendering, mask) == 1).all()


def test_skin_teaches_wholly_where_it_is_likely(scene):
    batch, rendering, mask = scene
    source = SkinVisibility()
    colours = batch.image.permute(0, 2, 3, 1).flatten(0, 2)
    is_red = colours[:, 0] > 0.5
    source.detector.fit(colours[is_red], colours[~is_red])
    found, _ = source(batch, rendering, None)
    taught = source.teach(batch, rendering, mask)
    assert torch.equal(taught[found > 0.5], torch.ones_like(taught[found > 0.5]))
    assert torch.equal(taught[found <= 0.5], found[found <= 0.5])
    assert 0 < (found > 0.5).float().mean() < 1
    assert "detector.mean" in source.state_dict()


def test_a_source_has_to_say_what_its_mask_is(scene):
    batch, rendering, _ = scene
    with pytest.raises(OccfitError, match="no mask source"):
        VisibilitySource()(batch, rendering, None)
