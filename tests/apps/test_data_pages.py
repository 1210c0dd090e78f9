"""The commands of the pages about data, run as they stand on small data sets of the real layouts."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
from photo_trees import ar_tree, celeba_tree, images_tree
from tiny_run import TRAINING

from occfit.cli import main

pytestmark = [pytest.mark.unit, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SMALL = {
    "size=224": "size=64",
    "preset=paper": "preset=smoke",
    "preset=photo": "preset=smoke",
}
"""What the pages say, and what stands in for it here."""


def commands(page: str) -> list[list[str]]:
    """The commands in a page's blocks of code, one a line, or several lines that end with a backslash."""
    text = (ROOT / "docs" / page).read_text()
    blocks = re.findall(r"^```\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines if line.startswith("occfit ")]
    return [[SMALL.get(part, part) for part in command[1:]] for command in found]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A folder with CelebAMask-HQ and AR, prepared by the page's own commands."""
    folder = tmp_path_factory.mktemp("paper")
    celeba_tree(folder / "CelebAMask-HQ")
    ar_tree(folder / "AR")
    (folder / "CelebAMask-HQ" / "landmarks").rename(folder / "CelebA-HQ-landmarks")
    for name in ("landmarks", "masks"):
        (folder / "AR" / name).rename(folder / f"AR-{name}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for command in commands("celebahq-and-ar.md"):
            if command[0] == "prepare":
                assert main([*command, "workers=0"]) == 0
    return folder


def test_the_paper_is_run_as_its_page_says(prepared, monkeypatch, tmp_path):
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments", ignore=shutil.ignore_patterns("results"))
    (tmp_path / "data").symlink_to(prepared / "data")
    monkeypatch.chdir(tmp_path)
    (train,) = [command for command in commands("celebahq-and-ar.md") if command[0] == "train"]
    for pipeline in ("proposed", "pretrained"):
        assert main([*train, f"pipeline={pipeline}", *TRAINING, f"output=runs/{pipeline}-smoke-0"]) == 0
    assert main(["tables", "--preset", "smoke", "--seeds", "0"]) == 0
    results = tmp_path / "experiments" / "results" / "smoke"
    for table, row in (
        ("table1", "proposed"),
        ("table2", "proposed"),
        ("table3", "proposed"),
        ("table4", "pretrained"),
    ):
        lines = [
            line for line in (results / f"{table}.md").read_text().splitlines() if line.startswith(f"| {row}")
        ]
        assert len(lines) >= 3
        assert all(re.search(r"\d\.\d", line) for line in lines)


@pytest.mark.nightly
def test_every_row_of_the_tables_is_trained_on_such_data(prepared, monkeypatch, tmp_path):
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments", ignore=shutil.ignore_patterns("results"))
    (tmp_path / "data").symlink_to(prepared / "data")
    monkeypatch.chdir(tmp_path)
    (reproduce,) = [command for command in commands("celebahq-and-ar.md") if command[0] == "reproduce"]
    settings = [part.replace("paper", "smoke") for part in reproduce]
    assert main([*settings, *TRAINING]) == 0
    results = tmp_path / "experiments" / "results" / "smoke"
    assert not any("missing" in path.read_text() for path in results.glob("table*.md"))
    assert len(list((results / "figures").glob("*.jpg"))) == 9


@pytest.mark.nightly
def test_your_own_photographs_are_prepared_and_trained_on_as_their_page_says(monkeypatch, tmp_path):
    images_tree(tmp_path / "tree", count=12, masks=False)
    (tmp_path / "tree" / "img").rename(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    world = [f"data.parts.synthetic.source.{key}" for key in ("train=16", "validation=4", "test=4")]
    mixed = [*world, *(f"stages.{stage}.batch=4" for stage in ("initialise", "warm_up", "alternate"))]
    for number, command in enumerate(commands("own-photographs.md")):
        more = []
        if command[0] == "prepare":
            more = ["workers=0", *(["landmarks=tree/landmarks"] if "source=images" in command else [])]
        elif command[0] == "train":
            more = [
                *TRAINING,
                "size=112",
                *(mixed if "data=mixed" in command else []),
                f"output=runs/{number}",
            ]
        assert main([*command, *more]) == 0, command
    assert len(list(tmp_path.glob("runs/*/metrics.json"))) == 3
