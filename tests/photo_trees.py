"""Small data sets in exactly the layouts that people have: made-up pictures, the mean face, simple masks."""

from pathlib import Path

import numpy as np
from PIL import Image

from occfit.data.alignment import standard_template
from occfit.data.preparation.pipeline import Plan, make_plan
from occfit.data.sources.ar import HEIGHT, WIDTH
from occfit.data.sources.celebamask_hq import MAPPING, PARTS, PICTURES
from occfit.data.sources.image_folder import inner_face
from occfit.data.sources.photo_source import PhotoSource
from occfit.face_model.builtin.model import builtin_face_model

SIDE = 96
"""A made-up photograph's, in pixels."""


def nobody(image: np.ndarray) -> np.ndarray:
    """A finder for photographs whose landmarks are given: asking it is a mistake."""
    raise AssertionError("landmarks were given, but looked for")


def plan_of(source: PhotoSource, size: int = 32, limit: int | None = None) -> Plan:
    return make_plan(source, builtin_face_model(), size, limit=limit)


def face_points(side: int = SIDE, shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """The mean face from the front, filling most of a picture."""
    return (
        standard_template(builtin_face_model(), side) * 0.9
        + np.float32(0.05 * side)
        + np.array(shift, np.float32)
    )


def draw_picture(side: int = SIDE, seed: int = 0, width: int | None = None) -> np.ndarray:
    """Blurred noise, another one for each seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).resize((width or side, side), Image.Resampling.BILINEAR))


def write_photo(path: Path, side: int = SIDE, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_picture(side, seed)).save(path, quality=95)
    return path


def write_points(path: Path, points: np.ndarray) -> Path:
    """A detector's pixel indices, one row `x,y` a point."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{x:.3f},{y:.3f}\n" for x, y in points - 0.5))
    return path


def write_levels(path: Path, levels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels.astype(np.uint8)).save(path)
    return path


def visible_levels(side: int = SIDE) -> np.ndarray:
    """White between brows, cheeks and chin, black elsewhere."""
    return inner_face(face_points(side), (side, side))


def images_tree(folder: Path, count: int = 4, masks: bool = True) -> Path:
    """`img/p0.jpg` ..., `landmarks/p0.csv` ..., `masks/p0.png` ..."""
    for number in range(count):
        write_photo(folder / "img" / f"p{number}.jpg", seed=number)
        write_points(folder / "landmarks" / f"p{number}.csv", face_points(shift=(number % 3, 0)))
        if masks:
            write_levels(folder / "masks" / f"p{number}.png", visible_levels())
    return folder


CELEBA = {0: 5, 1: 170_000, 2: 190_000, 3: 190_001, 4: 190_002}
"""Number in CelebA-HQ to index in CelebA: one to train on, one to validate on, three to test on."""

CELEBA_SIDE = 128


def celeba_tree(folder: Path, hair: float = 0.6) -> Path:
    """Every picture has skin and nose; 3 wears glasses, and hair hides the upper part of 4's face.

    Args:
        hair: the height down to which it falls, as a share of the picture's.
    """
    side = CELEBA_SIDE // 2
    rows, columns = np.mgrid[:side, :side] / side
    parts = {
        "skin": (rows > 0.15) & (abs(columns - 0.5) < 0.42),
        "nose": (abs(rows - 0.55) < 0.08) & (abs(columns - 0.5) < 0.08),
        "cloth": rows > 0.97,
    }
    lines = ["idx orig_idx orig_file"]
    for number, original in CELEBA.items():
        write_photo(folder / PICTURES / f"{number}.jpg", CELEBA_SIDE, seed=number)
        write_points(folder / "landmarks" / f"{number}.csv", face_points(CELEBA_SIDE))
        extra = (
            {"eye_g": abs(rows - 0.42) < 0.12}
            if number == 3
            else {"hair": rows < hair}
            if number == 4
            else {}
        )
        for name, where in (parts | extra).items():
            write_levels(
                folder / PARTS / "0" / f"{number:05d}_{name}.png",
                np.repeat(where[..., None] * 255, 3, axis=2),
            )
        lines.append(f"{number} {original} {original:06d}.jpg")
    (folder / MAPPING).write_text("\n".join(lines) + "\n")
    return folder


AR = ("M-001-01", "M-001-02", "M-001-08", "F-002-11", "F-002-14", "F-002-26", "F-003-01")
"""Neutral, a smile, glasses, scarf, neutral, scarf, and a neutral one without a mask."""


def ar_tree(folder: Path, planar: bool = True) -> Path:
    points = face_points(HEIGHT, shift=((WIDTH - HEIGHT) / 2, 0))
    for number, name in enumerate(AR):
        picture = draw_picture(HEIGHT, number, WIDTH)
        (folder / "raw").mkdir(parents=True, exist_ok=True)
        (np.moveaxis(picture, 2, 0) if planar else picture).tofile(folder / "raw" / f"{name}.raw")
        write_points(folder / "landmarks" / f"{name}.csv", points)
        if name != AR[-1]:
            write_levels(folder / "masks" / f"{name}.png", inner_face(points, (HEIGHT, WIDTH)))
    return folder


def focus_row(name: str, points: np.ndarray) -> str:
    return ",".join([name, *(f"{value:.3f}" for value in (points - 0.5).reshape(-1))])


def focus_tree(folder: Path) -> Path:
    """`train.csv` with two pictures, of which one has a mask, and `wild.csv` with one."""
    for number in (1, 2, 3):
        write_photo(folder / "faces" / f"{number}.jpg", seed=number)
        if number != 2:
            mask = np.repeat((visible_levels() > 0)[..., None], 3, axis=2).astype(np.uint8)
            write_levels(folder / "faces" / f"{number}_visible_skin_mask.png", mask)
    tables = {"train": (1, 2), "wild": (3,)}
    for name, numbers in tables.items():
        rows = [focus_row(f"faces/{number}.jpg", face_points()) for number in numbers]
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
    return folder
