"""A folder of one's own photographs: who is listed, in which split, with which truth."""

import numpy as np
import pytest
from photo_trees import SIDE, face_points, images_tree, nobody, visible_levels, write_levels, write_photo

from occfit.data.sources.image_folder import ImagesSource
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit


@pytest.fixture
def tree(tmp_path):
    return images_tree(tmp_path / "tree")


def source(tree, **settings) -> ImagesSource:
    return ImagesSource(root=tree / "img", landmarks=tree / "landmarks", **settings)


def write_tags(tree, *rows: str):
    path = tree / "tags.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_folders_are_searched_and_names_are_paths(tree):
    write_photo(tree / "img" / "more" / "p0.jpeg")
    assert [item.name for item in source(tree).items()] == ["more/p0", "p0", "p1", "p2", "p3"]
    assert source(tree).items()[0].landmarks == tree / "landmarks" / "more" / "p0.csv"


def test_masks_inside_the_folder_are_no_photographs(tree):
    (tree / "masks").rename(tree / "img" / "masks")
    items = source(tree, masks=tree / "img" / "masks").items()
    assert [item.name for item in items] == ["p0", "p1", "p2", "p3"]
    assert items[0].mask == tree / "img" / "masks" / "p0.png"


def test_a_mask_says_visible_hidden_and_unknown(tree):
    levels = visible_levels()
    levels[:40] = 128
    write_levels(tree / "masks" / "p0.png", levels)
    one = source(tree, masks=tree / "masks")
    photo = one.read(one.items()[0], nobody)
    assert photo.known is not None
    assert photo.visibility is not None
    assert not photo.known[:40].any()
    assert (photo.known[40:] == 255).all()
    assert np.array_equal(photo.visibility[40:], levels[40:])
    assert np.allclose(photo.landmarks, face_points(), atol=1e-3)


def test_of_a_photograph_without_a_mask_nothing_is_known(tree):
    (tree / "masks" / "p1.png").unlink()
    one = source(tree, masks=tree / "masks")
    items = one.items()
    assert one.read(items[1], nobody).visibility is None
    assert one.remarks(items, {}) == ["1 of 4 photographs have no mask, so nothing is known of them"]


def test_a_column_says_the_split_and_a_mapping_what_its_words_mean(tree):
    tags = write_tags(tree, "name,split,person", "p0,train,a", "p1,choose,b", "p2,report,c", "p3,drop,d")
    splits = {"train": "train", "choose": "validation", "report": "final", "drop": None}
    items = source(tree, tags=tags, splits=splits).items()
    assert [(item.name, item.split, item.person) for item in items] == [
        ("p0", "train", "a"),
        ("p1", "validation", "b"),
        ("p2", "final", "c"),
    ]
    direct = source(
        tree, tags=write_tags(tree, "name,split", "p0,train", "p1,hard", "p2,hard", "p3,easy")
    ).items()
    assert [item.split for item in direct] == ["train", "hard", "hard", "easy"]


def test_shares_depend_on_the_seed_alone_and_keep_a_person_together(tmp_path):
    tree = images_tree(tmp_path, count=30, masks=False)
    tags = write_tags(tree, "name,person", *(f"p{number},{number // 3}" for number in range(30)))
    one = source(tree, tags=tags, validation=0.3, test=0.2, seed=1)
    items = one.items()
    assert items == one.items()
    assert {item.split for item in items} == {"train", "validation", "test"}
    people = {(item.person, item.split) for item in items}
    assert len(people) == 10
    assert {item.split for item in source(tree, validation=0.0).items()} == {"train"}
    assert [item.split for item in items] != [item.split for item in source(tree, tags=tags, seed=2).items()]


def test_without_certain_tags_the_inner_face_is_visible_and_the_rest_unknown(tree):
    tags = write_tags(tree, "name,tags", "p0,beard", "p1,glasses teeth", "p2,", "p3,")
    one = source(tree, tags=tags, visible_unless=("glasses", "hidden"))
    plain, glasses = (one.read(item, nobody) for item in one.items()[:2])
    assert plain.visibility is not None
    assert plain.known is not None
    assert np.array_equal(plain.visibility, plain.known)
    nose, forehead = face_points()[30].astype(int), (face_points()[27] - [0, 0.3 * SIDE]).astype(int)
    assert plain.visibility[nose[1], nose[0]] == 255
    assert plain.known[forehead[1], forehead[0]] == 0
    assert glasses.visibility is None


def test_photographs_and_table_that_differ_are_said_one_by_one(tree):
    tags = write_tags(tree, "name,age", "p0,3", "p1,4", "p2,5", "p9,6")
    problems = {item.name: item.problem for item in source(tree, tags=tags).items() if item.problem}
    assert set(problems) == {"p3", "p9"}
    assert "no row for it" in problems["p3"]
    assert "no photograph of this name" in problems["p9"]


@pytest.mark.parametrize(
    ("rows", "settings", "reason"),
    [
        (["picture,split", "p0,train"], {}, "first column is 'picture', not 'name'"),
        (["name,split", "p0,train", "p0,train"], {}, "'p0' is there 2 times"),
        (["name,split", "p0"], {}, "1 values in row 2, but 2 columns"),
        (["name,split", "p0,odd one"], {}, "can't be called 'odd one'"),
        (["name,split", "p0,val"], {}, r"'val' would be a test set.*splits=\{val"),
        (["name,split", "p0,x"], {"splits": {"y": "train"}}, "'x' stands in the column 'split'"),
        (["name,age", "p0,3"], {"splits": {"y": "train"}}, "column 'split', which isn't there"),
        (["name,age", "p0,3"], {"visible_unless": ("x",)}, "column 'tags', which isn't there"),
        (["name,age", "p0,3"], {"validation": 0.5, "test": 0.5}, "nothing to train on"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tree, rows, settings, reason):
    with pytest.raises(OccfitError, match=reason):
        source(tree, tags=write_tags(tree, *rows), **settings).items()


def test_an_empty_or_missing_folder_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(OccfitError, match=r"holds no photograph.*\.jpg"):
        ImagesSource(root=tmp_path / "empty").items()
    with pytest.raises(OccfitError, match="no folder of photographs"):
        ImagesSource(root=tmp_path / "missing").items()


def test_two_photographs_of_one_name_are_refused(tree):
    write_photo(tree / "img" / "p0.png")
    with pytest.raises(OccfitError, match=r"'p0' is there 2 times.*Rename"):
        source(tree).items()


def test_masks_that_fit_no_photograph_are_refused(tree):
    (tree / "masks" / "p0.png").rename(tree / "q.png")
    with pytest.raises(OccfitError, match=r"No photograph has a mask.*p0\.png"):
        source(tree, masks=tree).items()
