"""The preview's parts: bars that add up, and reasons that are one reason."""

import numpy as np
import pytest

from occfit.publishing.preview_page import HEIGHT, WIDTH, by_reason, histogram

pytestmark = pytest.mark.unit


def test_reasons_are_one_but_for_their_numbers_names_and_files():
    rejected = [
        ("a", "The mask has 3 x 4 pixels, the photograph 5 x 6 [/m/a.png]. Make it again"),
        ("b", "No face was found"),
        ("c", "The mask has 30 x 4.5 pixels, the photograph 5 x 6 [/m/c.png]. Make it again"),
        ("d", "A landmark is 'x,y'"),
        ("e", "A landmark is '1;2;3'"),
        ("f", "The mask has 1 x 1 pixels, the photograph 5 x 6 [/m/f.png]. Make it again"),
    ]
    assert by_reason(rejected) == [
        ("The mask has N x N pixels, the photograph N x N", 3, "a"),
        ("A landmark is '…'", 2, "d"),
        ("No face was found", 1, "b"),
    ]


def test_bars_fill_the_width_and_the_tallest_the_height():
    values = np.array([0.0, 0.1, 0.1, 0.9, 7.0, np.nan], np.float32)
    found = histogram("shares", values, (0.0, 1.0))
    assert found is not None
    assert (found.low, found.high, found.median, found.count) == ("0", "1", "0.1", 5)
    assert max(height for *_, height in found.bars) == HEIGHT
    right = found.bars[-1]
    assert right[0] + right[2] == pytest.approx(WIDTH, abs=1)
    assert right[3] == pytest.approx(HEIGHT / 2)


def test_nothing_to_count_is_no_histogram():
    assert histogram("nothing", np.full(3, np.nan, np.float32), None) is None
