"""`occfit predict`: every file it promises, in the photograph's pixels, and every bad input in one line."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

import occfit
from occfit.apps.photographs import find_photos, results_name, shown
from occfit.apps.predict import DETECTORS, main
from occfit.cli import main as command_line
from occfit.data.detection import detectors
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit

FILES = {
    "visible.png", "face_region.png", "overlay.jpg", "reconstruction.png", "mesh.obj", "fit.json", "strip.jpg",
}  # fmt: skip


class Links(HTMLParser):
    """Collects everything that a page refers to."""

    def __init__(self, page: Path):
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.found += [value for key, value in attrs if key in ("href", "src") and value]


def picture(path: Path) -> Image.Image:
    with Image.open(path) as file:
        return file.copy()


def predict(checkpoint: Path, photos: list[Path], out: Path, landmarks: Path | None = None) -> int:
    folder = landmarks or photos[0].parent / "landmarks"
    arguments = [*photos, "--checkpoint", checkpoint, "--landmarks", folder, "--out", out]
    return main([str(argument) for argument in arguments])


def test_a_photograph_gives_every_file_in_its_own_pixels(checkpoint, photos, tmp_path):
    out = tmp_path / "out"
    assert predict(checkpoint, [photos], out) == 0
    folder = out / "astronaut"
    assert {file.name for file in folder.iterdir()} == FILES
    for name in ("visible.png", "face_region.png", "overlay.jpg", "reconstruction.png"):
        assert picture(folder / name).size == (512, 512)
    visible, region = (np.asarray(picture(folder / f"{name}.png")) for name in ("visible", "face_region"))
    assert set(np.unique(visible)) <= {0, 255}
    assert set(np.unique(region)) == {0, 255}
    assert not (visible > region).any()
    assert len(trimesh.load(folder / "mesh.obj", process=False).vertices) > 1000  # type: ignore


def test_the_face_region_lies_on_the_face(checkpoint, photos, tmp_path):
    """Of the mean face, since the encoder is untrained: alignment alone puts it on eyes, nose and mouth."""
    predict(checkpoint, [photos], tmp_path / "out")
    region = np.asarray(picture(tmp_path / "out" / "astronaut" / "face_region.png")) > 0
    for x, y in [(205, 101), (247, 103), (225, 125), (225, 147), (225, 175)]:
        assert region[y, x]
    for x, y in [(225, 250), (120, 110), (330, 110), (225, 20)]:
        assert not region[y, x]


def test_fit_json_says_what_was_found(checkpoint, photos, tmp_path):
    predict(checkpoint, [photos], tmp_path / "out")
    record = json.loads((tmp_path / "out" / "astronaut" / "fit.json").read_text())
    sizes = {name: len(values) for name, values in record["parameters"].items()}
    assert sizes == {"shape": 80, "expression": 64, "albedo": 80, "pose": 6, "illumination": 27}
    assert record["pose"] == {
        "angles_degrees": {"x": 0, "y": 0, "z": 0},
        "translation_mm": [0, 0, -1000],
    }
    assert record["photo_size"] == [512, 512]
    assert len(record["checkpoint"]["sha256"]) == 64
    there, back = (np.array(record["alignment"][key]) for key in ("photo_to_aligned", "aligned_to_photo"))
    np.testing.assert_allclose(there[:, :2] @ back[:, :2], np.eye(2), atol=1e-5)
    assert 0 <= record["visible_fraction"] <= 1


def test_the_gallery_links_only_to_files_that_are_there(checkpoint, photos, tmp_path):
    picture(photos / "astronaut.png").save(photos / "a name, #1 & more.png")
    landmarks = photos.parent / "landmarks"
    shutil.copy(landmarks / "astronaut.csv", landmarks / "a name, #1 & more.csv")
    predict(checkpoint, [photos], tmp_path / "out")
    links = Links(tmp_path / "out" / "index.html").found
    assert len(links) == 2 * 8
    from urllib.parse import unquote

    assert all((tmp_path / "out" / unquote(link)).is_file() for link in links)


def test_one_bad_photograph_is_reported_and_the_others_are_done(checkpoint, photos, tmp_path, capsys):
    (photos / "broken.jpg").write_bytes(b"not a picture")
    (photos / "caf\udce9.jpg").write_bytes(b"nor this")
    assert predict(checkpoint, [photos], tmp_path / "out") == 1
    assert (tmp_path / "out" / "astronaut" / "fit.json").is_file()
    assert not (tmp_path / "out" / "broken").exists()
    page = (tmp_path / "out" / "index.html").read_text()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "broken.jpg" in capsys.readouterr().err
    assert "broken.jpg" in page
    assert [entry["photo"] for entry in summary["fitted"]] == ["astronaut.png"]
    assert "broken.jpg" in summary["failed"][0]["reason"]


BAD_PHOTOS = {
    "unreadable": b"not a picture",
    "empty": b"",
    "torn": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
}


@pytest.mark.parametrize("kind", BAD_PHOTOS)
def test_a_photograph_that_can_t_be_read_is_named(checkpoint, photos, tmp_path, capsys, kind):
    (photos / "astronaut.png").write_bytes(BAD_PHOTOS[kind])
    assert predict(checkpoint, [photos], tmp_path / "out") == 1
    assert "astronaut.png" in capsys.readouterr().err


def converted(astronaut: np.ndarray, mode: str) -> Image.Image:
    picture = Image.fromarray(astronaut)
    if mode == "I;16":
        grey = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        return Image.fromarray(grey)
    return picture.convert(mode)


def detect(checkpoint: Path, photos: Path, out: Path, *options: str) -> int:
    """`occfit predict` without landmarks."""
    return main([str(photos), "--checkpoint", str(checkpoint), "--out", str(out), *options])


def crowd(astronaut: np.ndarray) -> Image.Image:
    """The astronaut, and smaller beside herself."""
    both = Image.new("RGB", (768, 512))
    both.paste(Image.fromarray(astronaut), (0, 0))
    both.paste(Image.fromarray(astronaut).reduce(2), (512, 0))
    return both


def test_without_landmarks_the_face_is_found(checkpoint, photos, tmp_path):
    assert detect(checkpoint, photos, tmp_path / "out") == 0
    folder = tmp_path / "out" / "astronaut"
    assert {file.name for file in folder.iterdir()} == FILES
    record = json.loads((folder / "fit.json").read_text())
    assert record["landmarks"]["detector"] == "builtin"
    assert 0.5 < record["landmarks"]["confidence"] <= 1
    region = np.asarray(picture(folder / "face_region.png")) > 0
    assert all(region[y, x] for x, y in [(205, 101), (247, 103), (225, 125), (225, 147)])


def test_of_several_faces_the_largest_is_fitted_and_the_others_are_mentioned(
    checkpoint, photos, tmp_path, astronaut, capsys
):
    crowd(astronaut).save(photos / "astronaut.png")
    assert detect(checkpoint, photos, tmp_path / "out") == 0
    assert "1 with several faces" in capsys.readouterr().err
    record = json.loads((tmp_path / "out" / "astronaut" / "fit.json").read_text())
    assert record["landmarks"]["faces"] == 2
    assert np.mean(record["landmarks"]["points"], axis=0)[0] < 512


def test_all_faces_are_fitted_on_request_largest_first(checkpoint, photos, tmp_path, astronaut):
    crowd(astronaut).save(photos / "astronaut.png")
    assert detect(checkpoint, photos, tmp_path / "out", "--faces", "all") == 0
    folders = sorted((tmp_path / "out" / "astronaut").iterdir())
    assert [folder.name for folder in folders] == ["face-1", "face-2"]
    areas = [(np.asarray(picture(folder / "face_region.png")) > 0).sum() for folder in folders]
    assert areas[0] > 2 * areas[1]
    links = Links(tmp_path / "out" / "index.html").found
    assert all((tmp_path / "out" / link).is_file() for link in links)


def test_a_photograph_without_a_face_is_reported_and_the_others_are_done(
    checkpoint, photos, tmp_path, capsys
):
    Image.new("RGB", (200, 150), "teal").save(photos / "empty.png")
    assert detect(checkpoint, photos, tmp_path / "out") == 1
    assert "No face was found in the photograph" in capsys.readouterr().err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [entry["photo"] for entry in summary["fitted"]] == ["astronaut.png"]
    assert "empty.png" in summary["failed"][0]["reason"]


def test_a_face_that_is_not_sure_enough_is_left_out(checkpoint, photos, tmp_path, capsys):
    assert detect(checkpoint, photos, tmp_path / "out", "--min-confidence", "1.01") == 1
    assert "No face was found" in capsys.readouterr().err


def test_the_detectors_that_are_offered_are_those_that_there_are():
    assert sorted(DETECTORS) == sorted(detectors.DETECTORS)


def test_refinement_can_be_left_out(checkpoint, photos, tmp_path):
    assert detect(checkpoint, photos, tmp_path / "out", "--no-refine") == 0
    record = json.loads((tmp_path / "out" / "astronaut" / "fit.json").read_text())
    assert not record["refined"]
    assert set(record["parameters"]["shape"]) == {0}, "the encoder hasn't learned anything"


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", ".png"), ("RGBA", ".png"), ("P", ".png"), ("CMYK", ".jpg"), ("I;16", ".png")]
)
def test_every_kind_of_picture_is_fitted(checkpoint, photos, tmp_path, astronaut, mode, suffix):
    (photos / "astronaut.png").unlink()
    converted(astronaut, mode).save(photos / f"astronaut{suffix}")
    assert predict(checkpoint, [photos], tmp_path / "out") == 0
    expected = converted(astronaut, "L" if mode in ("L", "I;16") else "RGB").convert("RGB")
    below = (0, 300, 512, 512)
    overlay = picture(tmp_path / "out" / "astronaut" / "overlay.jpg").crop(below).reduce(8)
    difference = np.asarray(overlay).astype(int) - np.asarray(expected.crop(below).reduce(8))
    assert np.abs(difference).mean() < 3, "below the face the photograph is unchanged, but for JPEG's losses"


def test_exif_rotation_is_applied(checkpoint, photos, tmp_path, astronaut):
    """A camera held sideways: the file's pixels are turned, and the landmarks are those of the upright picture."""
    (photos / "astronaut.png").unlink()
    turned = Image.fromarray(np.rot90(astronaut[:400]).copy())
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(photos / "astronaut.jpg", exif=exif, quality=95)
    assert predict(checkpoint, [photos], tmp_path / "out") == 0
    region = picture(tmp_path / "out" / "astronaut" / "face_region.png")
    assert region.size == (512, 400)
    assert np.asarray(region)[125, 225] == 255


def rows(points: list[str]) -> str:
    return "\n".join(points) + "\n"


BAD_LANDMARKS = {
    "missing": None,
    "empty": "",
    "too few rows": rows(["1,2"] * 67),
    "too many rows": rows(["1,2"] * 69),
    "one column": rows(["1"] * 68),
    "three columns": rows(["1,2,3"] * 68),
    "not numbers": rows(["a,b"] * 68),
    "nan": rows(["nan,2"] + ["1,2"] * 67),
    "infinite": rows(["inf,2"] + ["1,2"] * 67),
    "all in one point": rows(["5,5"] * 68),
    "outside": rows([f"{1000 + i},{2000 - i}" for i in range(68)]),
}


@pytest.mark.parametrize("kind", BAD_LANDMARKS)
def test_bad_landmarks_name_their_file(checkpoint, photos, tmp_path, capsys, kind):
    file = photos.parent / "landmarks" / "astronaut.csv"
    file.unlink()
    if BAD_LANDMARKS[kind] is not None:
        file.write_text(BAD_LANDMARKS[kind])
    assert predict(checkpoint, [photos], tmp_path / "out") == 1
    message = capsys.readouterr().err
    assert ("astronaut.png" if kind in ("all in one point", "outside") else "astronaut.csv") in message
    assert "Traceback" not in message


def test_an_empty_folder_is_an_error(checkpoint, tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(OccfitError, match="no photograph"):
        predict(checkpoint, [tmp_path / "photos"], tmp_path / "out")


def test_an_output_folder_that_can_t_be_written_is_an_error(checkpoint, photos, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OccfitError, match="output folder can't be written"):
        predict(checkpoint, [photos], tmp_path / "file" / "out")


def test_a_folder_of_landmarks_that_is_not_there_is_an_error(checkpoint, photos, tmp_path):
    with pytest.raises(OccfitError, match="folder of landmarks"):
        predict(checkpoint, [photos], tmp_path / "out", landmarks=tmp_path / "nowhere")


def test_the_command_line_prints_an_error_as_one_line(photos, tmp_path, capsys):
    arguments = [
        photos,
        "--checkpoint",
        tmp_path / "no.ckpt",
        "--landmarks",
        tmp_path,
        "--out",
        tmp_path / "out",
    ]
    assert command_line(["predict", *map(str, arguments)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "no.ckpt" in message


def test_photographs_of_one_name_are_refused_and_the_others_kept(tmp_path):
    for name in ("a/face.jpg", "b/face.png", "b/other.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    photos, failures = find_photos([tmp_path / "a", tmp_path / "b"])
    assert photos == [tmp_path / "b" / "other.jpg"]
    assert [failure.photo.name for failure in failures] == ["face.jpg", "face.png"]
    assert all("results are also named 'face'" in str(failure.error) for failure in failures)


NAMES = {
    "face.jpg": "face",
    "a name, #1 & more.png": "a name, #1 & more",
    "...jpg": "__",
    "..jpg": "_",
    ".jpg": "_jpg",
    "..face.jpg": "__face",
    "index.html.jpg": "index.html_",
    "Summary.JSON.png": "Summary.JSON_",
    "face. .jpg": "face__",
    " .jpg": "_",
    "a\nb.jpg": "a_b",
    "caf\udce9.jpg": "caf_",
    "Müller – ½ 顔 👩\u200d💻.jpg": "Müller – ½ 顔 👩\u200d💻",
}


@pytest.mark.parametrize("name", NAMES)
def test_every_photograph_has_a_folder_name_that_is_safe(name):
    assert results_name(Path("photos") / name) == NAMES[name]


def test_what_is_shown_can_be_written():
    assert shown(Path("caf\udce9\n.jpg")) == "caf\ufffd\ufffd.jpg"
    assert shown("Müller 顔.jpg") == "Müller 顔.jpg"


ODD = ["...jpg", "..jpg", ".jpg", "index.html.jpg", "summary.json.jpg", "face. .jpg", "caf\udce9.jpg"]


@pytest.mark.parametrize("faces", ["largest", "all"])
def test_whatever_a_photograph_is_called_its_results_have_a_folder_of_their_own(
    checkpoint, photos, tmp_path, astronaut, faces
):
    (photos / "astronaut.png").unlink()
    for name in ODD:
        with (photos / name).open("wb") as file:
            Image.fromarray(astronaut).save(file, format="JPEG")
    before = set(tmp_path.rglob("*"))
    out = tmp_path / "results" / "out"
    arguments = [*(photos / name for name in ODD), "--checkpoint", checkpoint, "--out", out, "--no-refine"]
    assert main([*map(str, arguments), "--faces", faces]) == 0
    assert set(out.parent.iterdir()) == {out}
    folders = {results_name(Path(name)) for name in ODD}
    assert len(folders) == len(ODD)
    assert {path.name for path in out.iterdir()} == {*folders, "index.html", "summary.json"}
    results = [out / folder / ("face-1" if faces == "all" else "") for folder in folders]
    assert all({file.name for file in folder.iterdir()} == FILES for folder in results)
    assert {path for path in set(tmp_path.rglob("*")) - before if out not in (path, *path.parents)} == {
        out.parent
    }
    summary = json.loads((out / "summary.json").read_text())
    assert sorted(entry["photo"] for entry in summary["fitted"]) == sorted(map(shown, ODD))


def test_landmarks_go_by_the_photograph_s_own_name(checkpoint, photos, tmp_path):
    """Also where the results' folder can't."""
    landmarks = photos.parent / "landmarks"
    (photos / "astronaut.png").rename(photos / "...png")
    (landmarks / "astronaut.csv").rename(landmarks / "...csv")
    assert predict(checkpoint, [photos], tmp_path / "out") == 0
    assert (tmp_path / "out" / "__" / "fit.json").is_file()


def test_photographs_whose_results_would_go_into_one_folder_are_refused(tmp_path):
    for name in ("...jpg", "__.jpg", "other.jpg"):
        (tmp_path / name).touch()
    photos, failures = find_photos([tmp_path])
    assert photos == [tmp_path / "other.jpg"]
    assert sorted(failure.photo.name for failure in failures) == ["...jpg", "__.jpg"]


def test_a_photograph_named_twice_is_fitted_once(tmp_path):
    (tmp_path / "face.jpg").touch()
    photos, failures = find_photos([tmp_path / "face.jpg", tmp_path, tmp_path / "face.jpg"])
    assert photos == [tmp_path / "face.jpg"]
    assert not failures


def test_a_link_that_leads_nowhere_stops_no_other_photograph(checkpoint, photos, tmp_path, capsys):
    (photos / "loop.png").symlink_to("loop.png")
    assert predict(checkpoint, [photos], tmp_path / "out") == 1
    assert (tmp_path / "out" / "astronaut" / "fit.json").is_file()
    assert "loop.png" in capsys.readouterr().err


def test_a_path_that_is_not_there_is_a_failure(tmp_path):
    (tmp_path / "face.jpg").touch()
    photos, failures = find_photos([tmp_path / "face.jpg", tmp_path / "nowhere.jpg"])
    assert len(photos) == 1
    assert "nowhere.jpg" in str(failures[0].error)


def test_the_same_fit_from_a_file_an_array_and_a_tensor(checkpoint, photos, astronaut):
    import torch

    fitter = occfit.load(checkpoint)
    landmarks = photos.parent / "landmarks" / "astronaut.csv"
    points = np.loadtxt(landmarks, delimiter=",") + 0.5
    tensor = torch.from_numpy(astronaut.copy()).permute(2, 0, 1)
    from_file = fitter(photos / "astronaut.png", landmarks)
    for image in (astronaut, astronaut / 255, tensor, tensor.float() / 255):
        fit = fitter(image, points)
        np.testing.assert_array_equal(fit.photo, from_file.photo)
        np.testing.assert_array_equal(fit.visibility, from_file.visibility)
        np.testing.assert_array_equal(fit.mesh.vertices, from_file.mesh.vertices)
