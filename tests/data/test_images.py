"""Reading photographs and landmarks: every kind of good file, and every bad one with its reason."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from occfit.data.images import read_image, read_landmarks
from occfit.errors import OccfitError

pytestmark = pytest.mark.unit

HEIGHT, WIDTH = 24, 32
PHOTOS = Path(__file__).parents[3] / "shared" / "photos"


@pytest.fixture
def picture() -> np.ndarray:
    """A smooth picture without symmetry: red grows to the right, green downwards."""
    columns, rows = np.meshgrid(np.linspace(0, 255, WIDTH), np.linspace(0, 255, HEIGHT))
    return np.stack([columns, rows, np.full_like(rows, 90)], axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "jpg"])
def test_every_format_is_read(tmp_path, picture, suffix):
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(picture).save(path, lossless=True, quality=100)
    found = read_image(path)
    assert found.dtype == np.uint8
    tolerance = 0 if suffix != "jpg" else 12
    assert np.abs(found.astype(int) - picture).max() <= tolerance


def test_the_name_does_not_decide_the_format(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "photo.jpg", format="PNG")
    assert np.array_equal(read_image(tmp_path / "photo.jpg"), picture)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, picture, orientation):
    """The camera stores what the EXIF standard says for an upright scene; reading gives the scene back."""
    stored = {
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture, 1),
        7: np.rot90(picture, 2).transpose(1, 0, 2),
        8: np.rot90(picture, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "photo.png"), picture)


def test_grey_becomes_rgb(tmp_path, picture):
    grey = picture[..., 0]
    Image.fromarray(grey).save(tmp_path / "photo.png")
    assert np.array_equal(read_image(tmp_path / "photo.png"), np.repeat(grey[..., None], 3, axis=2))


def test_black_and_white_becomes_rgb(tmp_path, picture):
    Image.fromarray(picture[..., 0] > 100).save(tmp_path / "photo.png")
    assert np.array_equal(read_image(tmp_path / "photo.png")[..., 1], (picture[..., 0] > 100) * np.uint8(255))


def test_what_is_transparent_is_black(tmp_path, picture):
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:, :10], alpha[:, 10:20] = 0, 128
    Image.fromarray(np.concatenate([picture, alpha], axis=2)).save(tmp_path / "photo.png")
    found = read_image(tmp_path / "photo.png")
    assert not found[:, :10].any()
    assert np.abs(found[:, 10:20] - picture[:, 10:20] * (128 / 255)).max() <= 1
    assert np.array_equal(found[:, 20:], picture[:, 20:])


def test_grey_with_transparency_and_palettes_are_read(tmp_path, picture):
    grey = np.dstack([picture[..., 0], np.where(picture[..., 1] > 128, 255, 0).astype(np.uint8)])
    Image.fromarray(grey).save(tmp_path / "grey.png")
    expected = np.where(grey[..., 1] > 0, grey[..., 0], 0)
    assert np.array_equal(read_image(tmp_path / "grey.png")[..., 2], expected)
    palette = Image.fromarray(picture // 64 * 64).quantize(64)
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(read_image(tmp_path / "palette.png"), np.array(palette.convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled(tmp_path, picture, suffix):
    deep = picture[..., 0].astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / f"photo.{suffix}")
    found = read_image(tmp_path / f"photo.{suffix}")
    assert np.array_equal(found, np.repeat(picture[..., :1], 3, axis=2))


def test_16_bit_colour_is_scaled(tmp_path, picture):
    import cv2

    cv2.imwrite(str(tmp_path / "photo.png"), picture[..., ::-1].astype(np.uint16) * 257)
    assert np.array_equal(read_image(tmp_path / "photo.png"), picture)


def test_cmyk_is_converted(tmp_path, picture):
    Image.fromarray(picture).convert("CMYK").save(tmp_path / "photo.jpg", quality=100)
    assert np.abs(read_image(tmp_path / "photo.jpg").astype(int) - picture).max() <= 12


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "an empty file"), (b"not a picture at all", "isn't a picture"), (b"GIF89a", "isn't a picture")],
)
def test_what_is_no_picture_is_refused(tmp_path, content, reason):
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(OccfitError, match=rf"{reason}.*photo\.jpg.*\. (Save|Copy) it again"):
        read_image(tmp_path / "photo.jpg")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_torn_file_is_refused(tmp_path, picture, suffix, share):
    path = tmp_path / f"photo.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, picture.shape, np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(OccfitError, match=rf"photo\.{suffix}"):
        read_image(path)


def test_a_broken_png_chunk_is_refused(tmp_path, picture):
    path = tmp_path / "photo.png"
    Image.fromarray(picture).save(path)
    content = bytearray(path.read_bytes())
    content[40:60] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(OccfitError, match=r"photo\.png"):
        read_image(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(OccfitError, match="no such photograph"):
        read_image(tmp_path / "photo.jpg")
    with pytest.raises(OccfitError, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("size", [(1, 1), (100, 8), (15, 100)])
def test_too_small_photographs_are_refused(tmp_path, size):
    Image.new("RGB", size).save(tmp_path / "photo.png")
    with pytest.raises(OccfitError, match=f"only {size[0]} x {size[1]} pixels"):
        read_image(tmp_path / "photo.png")


def test_too_large_photographs_are_refused(tmp_path):
    Image.new("L", (32_001, 16)).save(tmp_path / "photo.png")
    with pytest.raises(OccfitError, match="Crop or shrink"):
        read_image(tmp_path / "photo.png")


def test_a_picture_without_a_certain_scale_is_refused(tmp_path, picture):
    Image.fromarray(picture[..., 0].astype(np.float32)).save(tmp_path / "photo.tif")
    with pytest.raises(OccfitError, match="32 bits"):
        read_image(tmp_path / "photo.tif")


ROWS = [f"{3 * row}.25,{row}" for row in range(68)]
POINTS = np.array([[3 * row + 0.75, row + 0.5] for row in range(68)], np.float32)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(ROWS),
        "\n".join(ROWS) + "\n\n",
        "\r\n".join(["x,y", *ROWS]),
        "\ufeffx;y\n" + "\n".join(ROWS).replace(",", ";"),
        "\n".join(f"  {row.replace(',', '   ')}  " for row in ROWS),
        "\n".join(ROWS).replace(",", " , "),
    ],
)
def test_landmarks_are_read_half_a_pixel_farther(tmp_path, text):
    (tmp_path / "photo.csv").write_text(text, encoding="utf-8", newline="")
    found = read_landmarks(tmp_path / "photo.csv")
    assert found.dtype == np.float32
    assert np.array_equal(found, POINTS)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (ROWS[:67], "67 rows, not 68"),
        ([*ROWS, "1,2"], "69 rows, not 68"),
        ([], "0 rows, not 68"),
        ([*ROWS[:10], "nan,3", *ROWS[11:]], r"'nan,3'.*row 11"),
        ([*ROWS[:10], "3,inf", *ROWS[11:]], r"'3,inf'.*row 11"),
        (["nan,nan"] * 68, r"row 1\b"),
        (["NA,NA", *ROWS[1:]], r"'NA,NA'.*row 1\b"),
        ([*ROWS[:10], "3", *ROWS[11:]], r"'3'.*row 11.*two numbers"),
        ([*ROWS[:10], "3,4,5", *ROWS[11:]], "'3,4,5'"),
        ([*ROWS[:10], "3,", *ROWS[11:]], "'3,'"),
        (["x,y", *ROWS[:10], "left eye", *ROWS[11:]], r"'left eye'.*row 12"),
    ],
)
def test_bad_landmarks_are_refused(tmp_path, rows, reason):
    (tmp_path / "photo.csv").write_text("\n".join(rows))
    with pytest.raises(OccfitError, match=reason) as raised:
        read_landmarks(tmp_path / "photo.csv")
    assert "photo.csv" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_and_unreadable_landmarks_are_refused(tmp_path):
    with pytest.raises(OccfitError, match=r"There are no landmarks.*photo\.csv.*68 rows"):
        read_landmarks(tmp_path / "photo.csv")
    (tmp_path / "photo.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(OccfitError, match="can't be read"):
        read_landmarks(tmp_path / "photo.csv")


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the real photographs aren't here")
def test_real_photographs_and_their_landmarks_are_read():
    for path in sorted((PHOTOS / "img").glob("*.jpg"))[::8]:
        photo, points = read_image(path), read_landmarks(PHOTOS / "landmarks" / f"{path.stem}.csv")
        assert 200 < max(photo.shape) <= 512
        assert (points > -50).all()
        assert (points < 562).all()
