"""How fast photographs are prepared on this machine's CPU: `python -m benchmarks.prepare`.

Made-up JPEGs of 1024 px with given landmarks, without and with a mask, are aligned to 64 and 224 px by one process and
by one a core. Processes are started, and each has made a chunk, before the clock runs.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from occfit.data.alignment import standard_template
from occfit.data.preparation.chunks import CHUNK, Task
from occfit.data.preparation.crew import Orders, make_chunks
from occfit.data.preparation.pipeline import make_plan
from occfit.data.sources.image_folder import ImagesSource, inner_face
from occfit.face_model.builtin.model import builtin_face_model

BAR = 60
"""Photographs of 1024 px a second on two cores."""

SIDE = 1024
DIFFERENT = 16
"""As many pictures are made up; the others are copies."""


def write_tree(folder: Path, count: int) -> None:
    """Photographs with the noise and the file size of real ones (250 kB), their landmarks and masks."""
    rng = np.random.default_rng(0)
    points = standard_template(builtin_face_model(), SIDE) * 0.7 + np.float32(0.15 * SIDE)
    for name in ("img", "landmarks", "masks"):
        (folder / name).mkdir()
    row = "".join(f"{x - 0.5:.2f},{y - 0.5:.2f}\n" for x, y in points)
    Image.fromarray(inner_face(points, (SIDE, SIDE))).save(folder / "mask.png")
    for number in range(count):
        path = folder / "img" / f"{number:05d}.jpg"
        if number < DIFFERENT:
            coarse = Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8)).resize((SIDE, SIDE))
            grain = rng.normal(0, 7, (SIDE, SIDE, 1))
            picture = np.clip(np.asarray(coarse) * 0.7 + 30 + grain, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(path, quality=90)
        else:
            path.hardlink_to(folder / "img" / f"{number % DIFFERENT:05d}.jpg")
        (folder / "landmarks" / f"{number:05d}.csv").write_text(row)
        (folder / "masks" / f"{number:05d}.png").hardlink_to(folder / "mask.png")


def photographs_per_second(tree: Path, masks: bool, size: int, workers: int) -> float:
    source = ImagesSource(
        root=tree / "img", landmarks=tree / "landmarks", masks=tree / "masks" if masks else None
    )
    plan = make_plan(source, builtin_face_model(), size)
    with tempfile.TemporaryDirectory() as work:
        orders = Orders(plan.source, plan.geometry, plan.detector, Path(work))
        warm = [Task(10_000 + number, plan.tasks[0].items[:2]) for number in range(2 * workers)]
        tasks = [*warm, *plan.tasks]
        started, timed = time.perf_counter(), 0
        for made, (_, record) in enumerate(make_chunks(orders, tasks, workers), 1):
            if made == len(warm):
                started = time.perf_counter()
            elif made > len(warm):
                timed += len(record.positions)
        return timed / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--photographs", type=int, default=10 * CHUNK, help="prepared per number (default: 640)"
    )
    count = parser.parse_args().photographs
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    table = Table("photographs", "1 process", f"{cores} processes", "ratio", "of the bar")
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        write_tree(tree, count)
        for masks in (False, True):
            for size in (64, 224):
                one, all_cores = (
                    photographs_per_second(tree, masks, size, workers) for workers in (1, cores)
                )
                name = f"to {size} px, {'with a mask' if masks else 'landmarks alone'}"
                passed = f"{all_cores / BAR:.2f}"
                table.add_row(
                    name, f"{one:.0f} / s", f"{all_cores:.0f} / s", f"{all_cores / one:.2f}x", passed
                )
    Console().print(table)


if __name__ == "__main__":
    main()
