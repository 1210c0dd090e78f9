"""The same numbers are the same text."""

import json
import math

import numpy as np
import pytest

from occfit.errors import OccfitError
from occfit.scoring.canonical import canonical, write_json

pytestmark = pytest.mark.unit


def test_what_is_not_a_number_is_null():
    assert canonical([math.nan, math.inf, -math.inf, np.float32("nan")]) == [None, None, None, None]


def test_floats_keep_eight_digits_whatever_their_kind():
    third = canonical(1 / 3)
    assert third == 0.33333333
    assert canonical(np.float64(1 / 3)) == third
    assert canonical(123456789.123) == 123456790.0
    assert math.copysign(1, canonical(-0.0)) == 1


def test_plain_types_come_out_of_numpy_s():
    value = canonical({"a": np.arange(3), 2: (np.bool_(True), np.int64(7)), "b": None})
    assert value == {"a": [0, 1, 2], "2": [True, 7], "b": None}
    assert type(value["2"][0]) is bool
    assert type(value["2"][1]) is int


def test_the_file_is_valid_json_and_ends_with_a_newline(tmp_path):
    path = tmp_path / "deep" / "metrics.json"
    write_json(path, {"mean": math.nan, "name": "é"})
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == {"mean": None, "name": "é"}
    assert text.endswith("}\n")
    assert [file.name for file in path.parent.iterdir()] == ["metrics.json"]


def test_a_place_that_can_t_be_written_is_an_error_of_ours(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OccfitError, match="can't be written"):
        write_json(tmp_path / "file" / "metrics.json", {})
