"""The layout of FOCUS: tables without a header, masks of zeros and ones beside the pictures."""

import numpy as np
import pytest
from photo_trees import face_points, focus_row, focus_tree, nobody, visible_levels, write_levels

from occfit.data.sources.focus import FocusSource
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit


@pytest.fixture
def tree(tmp_path):
    return focus_tree(tmp_path)


def test_a_tables_name_says_the_split(tree):
    items = FocusSource(root=tree).items()
    assert [(item.name, item.split) for item in items] == [
        ("faces/1", "train"),
        ("faces/2", "train"),
        ("faces/3", "wild"),
    ]
    renamed = FocusSource(root=tree, splits={"wild": "validation", "train": None}).items()
    assert [(item.name, item.split) for item in renamed] == [("faces/3", "validation")]


def test_points_are_pixel_indices_and_ones_are_visible(tree):
    one = FocusSource(root=tree)
    first, second, _ = one.items()
    photo = one.read(first, nobody)
    assert np.allclose(photo.landmarks, face_points(), atol=1e-3)
    assert photo.visibility is not None
    assert np.array_equal(photo.visibility, visible_levels())
    assert one.read(second, nobody).visibility is None
    assert one.remarks(one.items(), {}) == ["1 of 3 pictures have no mask, so nothing is known of them"]


def test_a_short_row_is_listed_with_its_problem(tree):
    row = focus_row("faces/3.jpg", face_points()).rsplit(",", 1)[0]
    (tree / "wild.csv").write_text(row + "\n")
    assert FocusSource(root=tree).items()[2].problem == "Row 1 of wild.csv has 135 numbers, not 136"


def test_a_picture_in_two_tables_is_refused(tree):
    (tree / "more.csv").write_text((tree / "wild.csv").read_text())
    with pytest.raises(OccfitError, match="'faces/3' is there 2 times"):
        FocusSource(root=tree).items()


def test_a_mask_of_another_size_is_refused(tree):
    write_levels(tree / "faces" / "1_visible_skin_mask.png", np.ones((5, 7)))
    one = FocusSource(root=tree)
    with pytest.raises(OccfitError, match="The mask has 7 x 5 pixels, the photograph 96 x 96"):
        one.read(one.items()[0], nobody)


def test_a_folder_without_tables_is_refused(tree):
    for path in tree.glob("*.csv"):
        path.unlink()
    with pytest.raises(OccfitError, match=r"no table of landmarks.*filename,x0,y0"):
        FocusSource(root=tree).items()
