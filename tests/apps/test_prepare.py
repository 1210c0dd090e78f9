"""`occfit prepare` and `occfit data` as they are typed: what is written, and one line for each mistake."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from photo_trees import ar_tree, celeba_tree, focus_tree, images_tree, write_photo, write_points
from PIL import Image

from occfit.cli import main
from occfit.data.preparation.pipeline import WORK, read_rejected
from occfit.data.prepared_sets import read_collection


@pytest.fixture
def tree(tmp_path) -> Path:
    return images_tree(tmp_path / "tree")


def arguments(tree: Path, output: Path, *more: str) -> list[str]:
    given = [f"root={tree / 'img'}", f"landmarks={tree / 'landmarks'}", f"masks={tree / 'masks'}"]
    return ["prepare", "source=images", *given, f"output={output}", "workers=0", "size=32", *more]


def said(capsys) -> str:
    """What went to stderr since the last call, without the bar."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("occfit: ")]
    assert len(lines) == 1
    return lines[0]


def test_photographs_become_a_collection_with_a_page(tree, tmp_path, capsys):
    (tree / "img" / "p3.jpg").write_bytes(b"torn")
    tags = tree / "tags.csv"
    tags.write_text("name,split,person\np0,train,a\np1,choose,b\np2,report,b\np3,train,c\n")
    splits = "splits={train: train, choose: validation, report: final}"
    output = tmp_path / "out"
    assert main(arguments(tree, output, f"tags={tags}", splits)) == 0
    found = read_collection(output)
    assert {name: len(store) for name, store in found.stores.items()} == {
        "train": 1,
        "validation": 1,
        "final": 1,
    }
    assert (found.name, found.judged_on) == ("images", "final")
    assert found.stores["final"].metadata["tags"] == [{"split": "report", "person": "b"}]
    assert [name for name, _ in read_rejected(output / "rejected.csv")] == ["p3"]
    page = (output / "preview.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3
    assert "The file isn&#39;t a picture of a known format" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert not (output / WORK).exists()
    assert "1 left out" in capsys.readouterr().out
    assert main(arguments(tree, output, f"tags={tags}", splits)) == 0
    assert capsys.readouterr().out == f"It is finished already: {output}\n"
    assert main(arguments(tree, output)) == 2
    assert "prepared in another way" in said(capsys)


def test_landmarks_that_nobody_gives_are_found(tmp_path, astronaut, capsys):
    (tmp_path / "img").mkdir()
    Image.fromarray(astronaut).save(tmp_path / "img" / "astronaut.png")
    write_photo(tmp_path / "img" / "noise.png")
    output = tmp_path / "out"
    given = [
        "prepare",
        "source=images",
        f"root={tmp_path / 'img'}",
        f"output={output}",
        "source.validation=0",
    ]
    assert main([*given, "workers=0"]) == 0
    train = read_collection(output).stores["train"]
    assert len(train) == 1
    assert train.size == (64, 64)
    assert train.fields == ("image", "landmarks", "aligned_to_photo")
    assert read_rejected(output / "rejected.csv") == [
        ("noise", "No face was found. Give its landmarks, or leave it out")
    ]


def test_the_gated_layouts_and_a_painted_copy_of_one(tmp_path, capsys):
    celeba, ar, focus = celeba_tree(tmp_path / "c"), ar_tree(tmp_path / "a"), focus_tree(tmp_path / "f")
    out = tmp_path / "out"
    common = ["workers=0", "size=32"]
    assert (
        main(
            [
                "prepare",
                "source=celebamask_hq",
                f"root={celeba}",
                f"landmarks={celeba / 'landmarks'}",
                f"output={out / 'c'}",
                *common,
            ]
        )
        == 0
    )
    assert "unoccluded has 1 pictures, not the paper's 558" in capsys.readouterr().out
    given = [f"root={ar / 'raw'}", f"masks={ar / 'masks'}", f"landmarks={ar / 'landmarks'}"]
    assert main(["prepare", "source=ar", *given, f"output={out / 'a'}", *common]) == 0
    assert list(read_collection(out / "a").sets) == ["neutral", "glasses", "scarf", "ar_overall"]
    assert main(["prepare", "source=focus", f"root={focus}", f"output={out / 'f'}", *common]) == 0
    assert {name: len(store) for name, store in read_collection(out / "f").stores.items()} == {
        "train": 2,
        "wild": 1,
    }
    painted = ["prepare", "source=composite", f"store={out / 'c'}", "source.occluded=1", "workers=0"]
    assert main([*painted, f"output={out / 'p'}"]) == 0
    stores = read_collection(out / "p").stores
    assert list(stores) == ["train", "validation", "unoccluded", "occluded", "overall"]
    assert stores["overall"].size == (32, 32)
    for name in ("a", "c", "f", "p"):
        assert main(["data", "check", str(out / name)]) == 0
    capsys.readouterr()
    assert main([*painted, f"output={out / 'q'}", "size=64"]) == 2
    assert "The prepared pictures have 32 pixels, not 64" in said(capsys)


MISTAKES = {
    "root= is missing": ["source=images"],
    "source= is missing. Choose from ar, celebamask_hq": ["root=/nowhere"],
    "There is no source=image. Did you mean 'images'?": ["source=image"],
    "tags= means nothing to this source": ["source=ar", "root=/nowhere", "tags=x"],
    "There is no folder of photographs [/nowhere]": ["source=images", "root=/nowhere"],
    "AR is scored by hand-made masks alone": ["source=ar", "root={tree}"],
    "The folder holds no photograph": ["source=images", "root={tree}/empty"],
    "There is no folder of CelebAMask-HQ's files": ["source=celebamask_hq", "root={tree}"],
    "The folder holds no table of landmarks": ["source=focus", "root={tree}"],
    "There is no prepared store": ["source=composite", "store={tree}"],
    "Unknown key 'source.copy'. Did you mean": ["source=composite", "store={tree}", "source.copy=2"],
    "'size' is 8": ["source=images", "root={tree}/img", "size=8"],
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line(tree, tmp_path, capsys, line):
    (tree / "empty").mkdir()
    given = [text.replace("{tree}", str(tree)) for text in MISTAKES[line]]
    assert main(["prepare", f"output={tmp_path / 'out'}", *given]) == 2
    assert line in said(capsys)


def test_an_output_that_holds_something_else_is_left_alone(tree, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    assert main(arguments(tree, tmp_path / "mine")) == 2
    assert "holds something else" in said(capsys)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["diary.txt"]


@pytest.mark.nightly
def test_a_terminated_preparation_goes_on_to_the_same_bits(tmp_path):
    tree = images_tree(tmp_path / "tree", count=3, masks=False)
    picture, points = (tree / "img" / "p0.jpg").read_bytes(), (tree / "landmarks" / "p0.csv").read_text()
    for number in range(3, 1000):
        (tree / "img" / f"p{number}.jpg").write_bytes(picture)
        (tree / "landmarks" / f"p{number}.csv").write_text(points)
    given = ["prepare", "source=images", f"root={tree / 'img'}", f"landmarks={tree / 'landmarks'}", "size=96"]
    command = [sys.executable, "-m", "occfit.cli", *given, "workers=1", f"output={tmp_path / 'stopped'}"]
    process = subprocess.Popen(command, env=os.environ, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    work = tmp_path / "stopped" / WORK
    while not list(work.glob("chunk-*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "the same command goes on from there" in errors
    assert 0 < len(list(work.glob("chunk-*.safetensors"))) < 16
    for name in ("stopped", "whole"):
        assert main([*given, "workers=0", f"output={tmp_path / name}"]) == 0
    stores = [read_collection(tmp_path / name).stores for name in ("stopped", "whole")]
    assert stores[0]["train"].digest == stores[1]["train"].digest


def test_data_is_shown_and_drawn(tree, tmp_path, capsys):
    output = tmp_path / "out"
    main(arguments(tree, output, "source.validation=0.5", "source.test=0.4"))
    capsys.readouterr()
    assert main(["data", "show", str(output), "--out", str(tmp_path / "sheet.png")]) == 0
    shown = capsys.readouterr().out
    for name, store in read_collection(output).stores.items():
        assert f"{name}: {len(store)} samples of 32 x 32 pixels from images" in shown
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert np.asarray(sheet).std() > 20
    assert main(["data", "check", str(tmp_path)]) == 2
    assert "There is no prepared store" in said(capsys)


def test_a_broken_store_is_one_line_and_an_exit_code(tree, tmp_path, capsys):
    output = tmp_path / "out"
    main(arguments(tree, output, "source.validation=0"))
    shard = output / "train" / "shard-00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-4])
    capsys.readouterr()
    assert main(["data", "check", str(output)]) == 1
    assert "A shard of the store is torn" in capsys.readouterr().out


def test_swapped_landmarks_of_all_photographs_are_the_one_reason(tree, tmp_path, capsys):
    for path in (tree / "landmarks").iterdir():
        points = np.loadtxt(path, delimiter=",") + 0.5
        write_points(path, points * [-1, 1] + [96, 0])
    assert main(arguments(tree, tmp_path / "out")) == 2
    assert "Not one of 4 photographs can be used" in (line := said(capsys))
    assert "left and right swapped" in line
