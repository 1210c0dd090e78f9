"""How long the neighbour term searches, by the side of its window: `python -m benchmarks.neighbour`.

Prints milliseconds a batch on one thread of this machine's CPU, and their ratio to window 3's. By default the pictures
are as large as the laptop preset's. Half of each is face.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from occfit.method.losses import neighbour_residual

WINDOWS = (1, 2, 3, 4, 5)


def pictures(size: int, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise for photographs and renderings, and a disc for the face."""
    generator = torch.Generator().manual_seed(0)
    image, rendered = torch.rand(2, batch, 3, size, size, generator=generator)
    across = torch.linspace(-1, 1, size)
    disc = (across.square() + across.square().unsqueeze(1) < 2 / torch.pi).float()
    region = disc.expand(batch, 1, size, size).contiguous()
    return image, rendered * region, region


def search(window: int, image: Tensor, rendered: Tensor, region: Tensor, learns: bool) -> None:
    """The term's residual, as the segmenter's phase needs it; where the rendering learns, with its gradient."""
    rendered = rendered.clone().requires_grad_(learns)
    residual = neighbour_residual(image, rendered, region, window, "norm")
    if learns:
        residual.sum().backward()


def milliseconds(action: Callable[[], None]) -> float:
    """The processor's time, so that what else the machine does counts little."""
    start = time.process_time()
    action()
    return 1e3 * (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64, help="side of a picture (default: 64)")
    parser.add_argument("--batch", type=int, default=32, help="pictures (default: 32)")
    parser.add_argument("--repeats", type=int, default=25, help="the median is printed (default: 25)")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    faces = pictures(chosen.size, chosen.batch)
    actions = {
        (window, learns): lambda window=window, learns=learns: search(window, *faces, learns)
        for window in WINDOWS
        for learns in (False, True)
    }
    for action in actions.values():
        action()
    rounds = [{key: milliseconds(action) for key, action in actions.items()} for _ in range(chosen.repeats)]
    found = {key: statistics.median(times[key] for times in rounds) for key in actions}
    table = Table("window", "forward", "ratio", "forward and backward", "ratio")
    for window in WINDOWS:
        cells = []
        for learns in (False, True):
            taken = found[window, learns]
            cells += [f"{taken:.1f} ms", f"{taken / found[3, learns]:.2f}x"]
        table.add_row(f"{window} px", *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
