"""A photograph that is moved or cut by hand is aligned as arithmetic says."""

import numpy as np
import pytest
import torch
from skimage import data

from occfit.data.alignment import standard_template
from occfit.errors import OccfitError
from occfit.face_model import builtin_face_model
from occfit.fitting.aligning import align_photos, inside_photo

pytestmark = pytest.mark.unit

SIZE = 64


@pytest.fixture(scope="module")
def template() -> np.ndarray:
    return standard_template(builtin_face_model(), SIZE)


def test_a_photograph_whose_landmarks_are_the_template_s_stays_as_it_is(template):
    photo = data.astronaut()[:SIZE, :SIZE].copy()
    moved = np.zeros((SIZE + 7, SIZE + 5, 3), np.uint8)
    moved[7:, 5:] = photo
    batch, alignments = align_photos(
        [photo, moved], [template, template + np.array([5, 7], np.float32)], template, SIZE
    )
    expected = torch.from_numpy(photo).permute(2, 0, 1) / 255
    for image, alignment, shift in zip(batch.image, alignments, [(0, 0), (5, 7)], strict=True):
        torch.testing.assert_close(image, expected, atol=1.5 / 255, rtol=0)
        np.testing.assert_allclose(alignment.to_photo(template), template + shift, atol=1e-3)
    np.testing.assert_allclose(batch.landmarks[1], template, atol=1e-3)
    assert batch.index.tolist() == [0, 1]


def test_landmarks_beside_the_photograph_are_refused(template):
    photo = np.zeros((SIZE, SIZE, 3), np.uint8)
    with pytest.raises(OccfitError, match="No landmark lies in the photograph"):
        align_photos([photo], [template + 1000], template, SIZE)


def test_what_was_padded_is_not_inside():
    """An aligned picture of 8 pixels, twice as dense as the photograph, whose corner lies at (1, 2) of it."""
    matrix = np.array([[2.0, 0, -2], [0, 2, -4]])
    inside = inside_photo(matrix, 8, shape=(4, 3))[0, 0]
    expected = torch.zeros(8, 8)
    expected[:4, :4] = 1
    assert torch.equal(inside, expected)
