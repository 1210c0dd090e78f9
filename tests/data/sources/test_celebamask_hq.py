"""CelebAMask-HQ: labels, split, the paper's sets, and what is wrong with a picture or the folder."""

import numpy as np
import pytest
from photo_trees import CELEBA_SIDE, celeba_tree, nobody, write_levels, write_photo

from occfit.data.sources import celebamask_hq
from occfit.data.sources.celebamask_hq import (
    LABELS,
    MAPPING,
    PARTS,
    PICTURES,
    CelebAMaskHQSource,
    official_split,
    read_labels,
)
from occfit.data.sources.photo_source import Found
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit


@pytest.fixture
def tree(tmp_path):
    return celeba_tree(tmp_path / "CelebAMask-HQ")


def source(tree, **settings) -> CelebAMaskHQSource:
    return CelebAMaskHQSource(root=tree, landmarks=tree / "landmarks", **settings)


def test_the_labels_have_their_published_numbers():
    numbers = {"skin": 1, "eye_g": 3, "mouth": 10, "hair": 13, "hat": 14, "cloth": 18}
    assert {name: LABELS.index(name) for name in numbers} == numbers
    assert sorted(LABELS.index(name) for name in celebamask_hq.VISIBLE_FACE) == [1, 2, 4, 5, 6, 7, 10, 11, 12]


def test_the_split_is_celebas():
    edges = {162_770: "train", 162_771: "validation", 182_637: "validation", 182_638: "overall"}
    assert {index: official_split(index) for index in edges} == edges


def test_the_listing_follows_the_mapping(tree):
    items = source(tree).items()
    assert [(item.name, item.split) for item in items] == [
        ("0", "train"),
        ("1", "validation"),
        ("2", "overall"),
        ("3", "overall"),
        ("4", "overall"),
    ]
    assert all(item.mask == tree / PARTS / "0" for item in items)


def test_later_labels_overwrite_earlier_ones(tree):
    glasses = read_labels(tree / PARTS / "0", 3)
    plain = read_labels(tree / PARTS / "0", 2)
    assert set(np.unique(plain)) == {0, LABELS.index("skin"), LABELS.index("nose"), LABELS.index("cloth")}
    both = (glasses == LABELS.index("eye_g")) & (plain == LABELS.index("nose"))
    assert both.any()
    assert not ((plain == LABELS.index("skin")) & (glasses == LABELS.index("nose"))).any()


def test_visible_face_is_what_no_later_label_covers(tree):
    one = source(tree)
    photo = one.read(one.items()[4], nobody)
    assert photo.visibility is not None
    assert photo.occluders is not None
    assert photo.known is None
    middle = CELEBA_SIDE // 2
    assert photo.visibility[CELEBA_SIDE // 3, middle] == 0
    assert photo.occluders[CELEBA_SIDE // 3, middle] == 255
    assert photo.visibility[int(0.8 * CELEBA_SIDE), middle] == 255


def test_a_corrected_mask_replaces_the_labels(tree):
    hand = np.full((CELEBA_SIDE, CELEBA_SIDE), 0)
    hand[:30] = 255
    write_levels(tree / "corrected" / "2.png", hand)
    one = source(tree, corrected=tree / "corrected")
    visibility = one.read(one.items()[2], nobody).visibility
    assert visibility is not None
    assert np.array_equal(visibility, hand)
    assert one.read(one.items()[3], nobody).known is None


def found(items, hidden):
    return [Found(position, item, hidden[position]) for position, item in enumerate(items)]


def test_the_papers_sets_are_drawn_from_those_who_qualify(tree, monkeypatch):
    items = [item for item in source(tree).items() if item.split == "overall"] * 4
    items = [type(item)(**{**vars(item), "name": str(number)}) for number, item in enumerate(items)]
    hidden = [0.0, 0.03, 0.3] * 4
    monkeypatch.setattr(celebamask_hq, "COUNTS", {"unoccluded": 2, "occluded": 3})
    chosen = source(tree, seed=3).split(found(items, hidden))
    assert len(chosen["overall"]) == 12
    assert len(chosen["unoccluded"]) == 2
    assert len(chosen["occluded"]) == 3
    assert all(hidden[position] == 0.0 for position in chosen["unoccluded"])
    assert all(hidden[position] == 0.3 for position in chosen["occluded"])
    assert chosen == source(tree, seed=3).split(found(items, hidden))
    draws = {tuple(source(tree, seed=seed).split(found(items, hidden))["occluded"]) for seed in range(6)}
    assert len(draws) > 1


def test_fewer_candidates_than_the_papers_are_said(tree):
    one = source(tree)
    items = one.items()
    chosen = one.split(found(items, [0.0, 0.0, 0.0, 0.3, 0.3]))
    assert one.remarks(items, chosen)[0].startswith("unoccluded has 1 pictures, not the paper's 558")
    assert list(one.test_sets(["overall", "occluded", "unoccluded"])) == ["unoccluded", "occluded", "overall"]
    assert one.judged_on(["overall"]) == "overall"


@pytest.mark.parametrize("part", ["skin", "nose"])
def test_a_missing_part_is_named(tree, part):
    (tree / PARTS / "0" / f"00001_{part}.png").unlink()
    one = source(tree)
    with pytest.raises(OccfitError, match=f"part '{part}' is missing.*00001_{part}.png"):
        one.read(one.items()[1], nobody)


def test_parts_and_pictures_of_other_sizes_are_refused(tree):
    one = source(tree)
    write_levels(tree / PARTS / "0" / "00001_hair.png", np.zeros((9, 8)))
    with pytest.raises(OccfitError, match="part 'hair' has 8 x 9 pixels, the others 64 x 64"):
        one.read(one.items()[1], nobody)
    write_photo(tree / PICTURES / "2.jpg", side=100)
    with pytest.raises(OccfitError, match="64 x 64 pixels, which doesn't fit the photograph's 100 x 100"):
        one.read(one.items()[2], nobody)


def test_a_picture_without_a_row_is_listed_with_its_problem(tree):
    lines = (tree / MAPPING).read_text().splitlines()
    (tree / MAPPING).write_text("\n".join(lines[:-1]) + "\n")
    assert [item.problem for item in source(tree).items()] == [None] * 4 + [f"{MAPPING} has no row for it"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [("3 190001 190001.jpg", "'3' is there 2 times"), ("3", "Row 7 of the mapping is '3'")],
)
def test_a_mapping_that_makes_no_sense_is_refused(tree, line, reason):
    (tree / MAPPING).write_text((tree / MAPPING).read_text() + line + "\n")
    with pytest.raises(OccfitError, match=reason):
        source(tree).items()


@pytest.mark.parametrize("name", [PICTURES, PARTS, MAPPING])
def test_a_folder_that_is_not_the_data_set_is_refused(tree, name):
    (tree / name).rename(tree / "elsewhere")
    with pytest.raises(OccfitError, match=name):
        source(tree).items()
