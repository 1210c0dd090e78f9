"""Pictures of a fit say what their docstrings say, pixel by pixel."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from occfit.fitting.pictures import (
    edge,
    error_map,
    mask_picture,
    overlay,
    paste,
    strip,
    tint,
    to_picture,
    truth_picture,
)
from occfit.types import FaceBatch

pytestmark = pytest.mark.unit

SIZE = 12


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def square() -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[2:9, 3:10] = True
    return mask


def test_an_image_is_clamped_and_rounded():
    image = torch.tensor([-1.0, 0.5, 2.0]).view(3, 1, 1)
    np.testing.assert_array_equal(to_picture(image), [[[0, 128, 255]]])


def test_pasting_changes_the_mask_s_pixels_only(photo, square):
    pasted = paste(photo, 255 - photo, square)
    np.testing.assert_array_equal(pasted[square], 255 - photo[square])
    np.testing.assert_array_equal(pasted[~square], photo[~square])


def test_a_veil_is_a_weighted_mean(photo, square):
    veiled = tint(photo, square, (200, 100, 0), opacity=0.25)
    expected = np.round(photo[square] * 0.75 + np.array([50, 25, 0]))
    np.testing.assert_array_equal(veiled[square], expected)
    np.testing.assert_array_equal(veiled[~square], photo[~square])


def test_the_edge_is_inside_the_mask_and_one_pixel_wide(square):
    found = edge(square)
    assert found.sum() == 4 * 7 - 4
    assert not found[3:8, 4:9].any()
    assert not (found & ~square).any()


def test_the_picture_s_border_is_an_edge():
    assert edge(np.ones((4, 4), bool)).sum() == 12


def test_the_overlay_pastes_the_visible_face_and_keeps_what_is_outside(photo, square):
    visible = square.copy()
    visible[:, 7:] = False
    drawn = overlay(photo, 255 - photo, square, visible)
    interior = square & ~edge(square)
    np.testing.assert_array_equal(drawn[~square], photo[~square])
    np.testing.assert_array_equal(drawn[interior & visible], 255 - photo[interior & visible])
    hidden = interior & ~visible
    assert (drawn[hidden][:, 0] >= photo[hidden][:, 0] * 0.65).all(), "the occluder shows through"
    assert not np.array_equal(drawn[hidden], photo[hidden])


def test_no_error_is_black_and_a_large_one_bright(photo, square):
    assert error_map(photo, photo, square)[square].max() < 10
    far = np.where(photo > 127, 0, 255).astype(np.uint8)
    assert error_map(photo, far, square)[square].mean() > 150
    assert (error_map(photo, far, square)[~square] == 40).all()


def test_a_strip_holds_its_pictures_in_order(photo, square):
    row = strip([photo, mask_picture(square)], gap=3)
    assert row.shape == (SIZE, 2 * SIZE + 3, 3)
    np.testing.assert_array_equal(row[:, :SIZE], photo)
    np.testing.assert_array_equal(row[:, -SIZE:, 0] == 255, square)


def test_a_true_mask_is_grey_where_nobody_knows_it():
    half = torch.tensor([[[[1.0, 1.0, 0.0, 0.0]]]])
    batch = FaceBatch(torch.zeros(1, 3, 1, 4), torch.zeros(1, 68, 2), torch.tensor([0]))
    assert truth_picture(batch)[..., 0].tolist() == [[128, 128, 128, 128]]
    labelled = replace(batch, visibility=torch.tensor([[[[1.0, 0.0, 0.0, 0.0]]]]))
    assert truth_picture(labelled)[..., 0].tolist() == [[255, 0, 0, 0]]
    assert truth_picture(replace(labelled, known=half))[..., 0].tolist() == [[255, 0, 128, 128]]
