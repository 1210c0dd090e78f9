"""Scores of a system by skin tone and pose, on synthetic faces whose truth is known: `python -m benchmarks.groups`.

No refinement, and landmarks as the synthetic detector gives them. It doesn't replace photographs with labels of skin
tone.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from rich.console import Console
from rich.table import Table

import occfit
from occfit.cache import cache_dir
from occfit.cli import exit_code_of
from occfit.data.store import PreparedStore
from occfit.data.synthetic import WorldConfig, prepare_synthetic
from occfit.face_model import builtin_face_model
from occfit.fitting.face_fitter import SMALL
from occfit.scoring.picture_scores import evaluate
from occfit.types import FaceParams

COLUMNS = {"f1": "F1", "occlusion_f1": "occ F1", "coverage": "coverage", "landmark_nme": "NME, %"}
SKIN = ("darkest quarter", "darker", "lighter", "lightest quarter")
TURNS = {"up to 15 degrees": (0, 15), "15 to 30": (15, 30), "30 and more": (30, 180)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.groups", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=SMALL, help="default: the package's system")
    parser.add_argument("--seed", type=int, default=100, help="of the world (default: 100)")
    parser.add_argument("--pictures", type=int, default=640, help="default: 640")
    args = parser.parse_args()
    return exit_code_of(lambda: run(args))


def run(args: argparse.Namespace) -> int:
    fitter = occfit.load(args.checkpoint)
    model = builtin_face_model("coarse")
    world = WorldConfig(size=fitter.checkpoint.size, seed=args.seed, test=args.pictures)
    store = prepare_synthetic(world, model, cache_dir() / "data", splits=["overall"])["overall"]
    values = evaluate({"system": fitter.system}, {"overall": store})["system"]["overall"].values
    table = Table(
        "pictures", "n", *COLUMNS.values(), title=f"{args.checkpoint.name}, {len(store)} synthetic faces"
    )
    for name, chosen in groups(store).items():
        cells = [
            100 * values[key][chosen] if "NME" in title else values[key][chosen]
            for key, title in COLUMNS.items()
        ]
        texts = [f"{np.nanmean(cell):.1f}" if "NME" in title else f"{np.nanmean(cell):.3f}"
                 for cell, title in zip(cells, COLUMNS.values(), strict=True)]  # fmt: skip
        table.add_row(name, str(int(chosen.sum())), *texts)
    Console().print(table)
    return 0


def groups(store: PreparedStore) -> dict[str, Bool[ndarray, " n"]]:
    """Which pictures are in each group: quarters by the brightness of the albedo, and turns of the head about y."""
    import torch

    params = FaceParams.from_vector(torch.from_numpy(store.arrays(range(len(store)))["params"]))
    brightness = skin_brightness(params)
    quarter = np.searchsorted(np.quantile(brightness, [0.25, 0.5, 0.75]), brightness)
    turn = np.abs(np.rad2deg(params.pose[:, 1].numpy()))
    found = {f"skin: {name}": quarter == number for number, name in enumerate(SKIN)}
    return found | {f"turned {name}": (turn >= low) & (turn < high) for name, (low, high) in TURNS.items()}


def skin_brightness(params: FaceParams) -> Float[ndarray, " n"]:
    """Mean albedo over the face and the channels, linear."""
    model = builtin_face_model("coarse")
    return np.concatenate([model.albedo(part).mean(dim=(1, 2)).numpy() for part in params.albedo.split(64)])


if __name__ == "__main__":
    sys.exit(main())
