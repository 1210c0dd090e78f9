"""`occfit landmarks`: trains the network that finds landmarks in photographs."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from occfit.apps.photographs import make_folder


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0."""
    parser = argparse.ArgumentParser(
        prog="occfit landmarks",
        description="Trains the network that finds the 68 landmarks of a face in a detector's box, on the synthetic"
        " world's faces, and says how exact it is on others of them. The package ships one that this command made;"
        " `occfit.data.detection.builtin.BuiltinDetector` takes another.",
    )
    parser.add_argument("file", type=Path, help="where to write the weights, FILE.safetensors")
    parser.add_argument("--pictures", type=positive, default=12_000, help="to learn from (default: 12000)")
    parser.add_argument("--size", type=positive, default=112, help="their side in pixels (default: 112)")
    parser.add_argument("--steps", type=positive, default=8000, help="of training (default: 8000)")
    parser.add_argument("--batch", type=positive, default=64, help="crops a step (default: 64)")
    parser.add_argument("--width", type=positive, default=20, help="of the network (default: 20)")
    parser.add_argument("--threads", type=positive, default=None, help="default: one a core")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    args = parser.parse_args(list(arguments))
    make_folder(args.file.parent)
    report = train(args)
    Console().print(f"{args.file}: {json.dumps(report)}", highlight=False, soft_wrap=True)
    return 0


def positive(text: str) -> int:
    """A whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, writes the file and a report beside it (FILE.json), and returns the report."""
    from occfit.cache import cache_dir
    from occfit.data.synthetic import WorldConfig, prepare_synthetic
    from occfit.face_model import builtin_face_model
    from occfit.networks.landmark_network import write_landmark_network
    from occfit.runs.machine import prepare_machine
    from occfit.runs.preparation import progress_bar
    from occfit.runs.side.landmark_training import (
        CropSource,
        LandmarkTraining,
        landmark_report,
        train_landmarks,
    )
    from occfit.scoring.canonical import write_json

    face_model = builtin_face_model("coarse")
    judged = min(WorldConfig.validation, args.pictures)
    world = WorldConfig(size=args.size, seed=args.seed, train=args.pictures, validation=judged, varied=True)
    stores = prepare_synthetic(world, face_model, cache_dir() / "data", splits=("train", "validation"))
    machine = prepare_machine("cpu", "auto", args.threads)
    training = LandmarkTraining(width=args.width, steps=args.steps, batch=args.batch)
    with progress_bar() as progress:
        task = progress.add_task("landmarks", total=training.steps)
        network = train_landmarks(
            training,
            CropSource(stores["train"], face_model),
            face_model,
            args.seed,
            machine.precision,
            on_step=lambda step, loss: progress.update(
                task, completed=step, description=f"landmarks {loss:.4f}"
            ),
        )
    report = landmark_report(network, CropSource(stores["validation"], face_model), args.seed)
    write_landmark_network(network, args.file)
    record = {
        "steps": args.steps,
        "batch": args.batch,
        "pictures": args.pictures,
        "seed": args.seed,
        **report,
    }
    write_json(args.file.with_suffix(".json"), record)
    return report


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
