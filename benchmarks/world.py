"""How fast the synthetic world is painted on this machine's CPU: `python -m benchmarks.world`.

Prints training pictures per second, in one process and in one a core, and their ratio to the bar.
"""

import argparse
import os
import time

from rich.console import Console
from rich.table import Table

from occfit.data.synthetic.workshop import Workshop
from occfit.data.synthetic.world import BLOCK, WorldConfig
from occfit.face_model import builtin_face_model

BAR = 150
"""Pictures of 64 px a second on two cores."""


def pictures_per_second(config: WorldConfig, workers: int, count: int) -> float:
    """Painting alone: processes are started, and each has painted a block, before the clock runs."""
    with Workshop(config, builtin_face_model("coarse"), workers) as workshop:
        for _ in workshop.samples("train", BLOCK * max(1, 2 * workers)):
            pass
        start = time.perf_counter()
        for _ in workshop.samples("train", count):
            pass
        return count / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=960, help="painted per number (default: 960)")
    count = parser.parse_args().pictures
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    table = Table("world", "1 process", f"{cores} processes", "ratio", "of the bar")
    for size in (64, 112):
        for varied in (False, True):
            config = WorldConfig(size=size, varied=varied)
            one, all_cores = (
                pictures_per_second(config, 0, count // 2),
                pictures_per_second(config, cores, count),
            )
            passed = f"{all_cores / BAR:.2f}" if size == 64 else ""
            name = f"{size} px{', varied' if varied else ''}"
            table.add_row(name, f"{one:.0f} / s", f"{all_cores:.0f} / s", f"{all_cores / one:.2f}x", passed)
    Console().print(table)


if __name__ == "__main__":
    main()
