"""AR: sets by number, raw files of both layouts, and no score without a mask."""

import numpy as np
import pytest
from photo_trees import AR, ar_tree, draw_picture, nobody, write_levels

from occfit.data.sources.ar import HEIGHT, WIDTH, ARSource, read_raw, set_of
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return ar_tree(tmp_path_factory.mktemp("ar"))


def source(tree, **settings) -> ARSource:
    return ARSource(
        root=tree / "raw", **{"masks": tree / "masks", "landmarks": tree / "landmarks", **settings}
    )


def test_the_number_says_the_set():
    sets = {number: set_of(f"M-001-{number:02d}") for number in range(1, 27)}
    names = {
        name: [number for number, one in sets.items() if one == name]
        for name in ("neutral", "glasses", "scarf")
    }
    assert names == {"neutral": [1, 14], "glasses": [8, 9, 10, 21, 22, 23], "scarf": [11, 12, 13, 24, 25, 26]}


def test_only_pictures_of_the_sets_with_a_mask_are_listed(tree):
    items = source(tree).items()
    assert [(item.name, item.split, item.kind, item.person) for item in items] == [
        ("F-002-11", "scarf", 2, "F-002"),
        ("F-002-14", "neutral", 0, "F-002"),
        ("F-002-26", "scarf", 2, "F-002"),
        ("M-001-01", "neutral", 0, "M-001"),
        ("M-001-08", "glasses", 1, "M-001"),
    ]


def test_the_sets_have_a_union(tree):
    sets = source(tree).test_sets(["scarf", "neutral"])
    assert list(sets) == ["neutral", "scarf", "ar_overall"]
    assert sets["ar_overall"].parts == ("neutral", "scarf")


def test_a_picture_is_read_in_both_layouts(tree, tmp_path):
    one = source(tree)
    photo = one.read(one.items()[3], nobody)
    assert np.array_equal(photo.image, draw_picture(HEIGHT, AR.index("M-001-01"), WIDTH))
    picture = draw_picture(HEIGHT, 5, WIDTH)
    picture.tofile(tmp_path / "x.raw")
    assert np.array_equal(read_raw(tmp_path / "x.raw"), picture)
    assert np.array_equal(read_raw(tmp_path / "x.raw", "interleaved"), picture)
    assert not np.array_equal(read_raw(tmp_path / "x.raw", "planar"), picture)


def test_without_masks_there_is_nothing_to_score(tree):
    with pytest.raises(OccfitError, match=r"hand-made masks alone.*Say masks="):
        source(tree, masks=None).items()


def test_masks_that_fit_no_picture_are_refused(tree, tmp_path):
    write_levels(tmp_path / "M-009-01.png", np.zeros((4, 4)))
    with pytest.raises(OccfitError, match=r"No picture of AR's three sets has a mask"):
        source(tree, masks=tmp_path).items()


def test_a_file_of_another_length_is_refused(tmp_path):
    (tmp_path / "M-001-01.raw").write_bytes(b"1234")
    with pytest.raises(OccfitError, match="4 bytes, a picture of 768 x 576 pixels 1327104"):
        read_raw(tmp_path / "M-001-01.raw")


def test_one_name_in_two_folders_is_refused(tree, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m-001-01.RAW").write_bytes(b"")
    with pytest.raises(OccfitError, match="'M-001-01' is there 2 times"):
        ARSource(root=tmp_path, masks=tree / "masks").items()
