import argparse

import pytest

from occfit.apps.arguments import parse_arguments

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "line",
    [
        "--seeds 0 1 data.train=8 --out a/b=c +encoder.components=10 ~trainer.x=",
        "data.train=8 +encoder.components=10 ~trainer.x= --seeds 0 1 --out a/b=c",
        "--seeds 0 1 --out a/b=c data.train=8 +encoder.components=10 ~trainer.x=",
    ],
)
def test_overrides_may_stand_anywhere(line):
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--out")
    parser.add_argument("overrides", nargs="*")
    chosen = parse_arguments(parser, line.split())
    assert chosen.seeds == [0, 1]
    assert chosen.out == "a/b=c"
    assert chosen.overrides == ["data.train=8", "+encoder.components=10", "~trainer.x="]
