"""`occfit release`: a trained system as two small files to share."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0."""
    parser = argparse.ArgumentParser(
        prog="occfit release",
        description="Writes FOLDER/system.safetensors (weights in half precision) and FOLDER/system.json (what they"
        " are), half the checkpoint's size, for `occfit.load(FOLDER)` and `occfit predict --checkpoint FOLDER`. Only"
        " for systems with the built-in face model.",
    )
    parser.add_argument("checkpoint", type=Path, help="a run's checkpoints/last.ckpt")
    parser.add_argument("folder", type=Path, help="where to write; made if missing")
    parser.add_argument(
        "--log-odds",
        type=float,
        default=0.0,
        metavar="L",
        help="added to the segmenter's logits; above 0 calls more pixels visible, for pictures that are hidden less"
        " often than the training's (default: 0)",
    )
    args = parser.parse_args(list(arguments))
    from occfit.fitting.release_writer import write_release

    write_release(args.checkpoint, args.folder, args.log_odds)
    size = sum(file.stat().st_size for file in args.folder.glob("system.*"))
    Console().print(f"{args.folder}: {size / 1e6:.1f} MB", highlight=False, soft_wrap=True)
    return 0
