"""How well a system finds faces and what hides them on photographs: `python -m benchmarks.photographs --help`.

Photographs with true masks, as they are and behind painted sunglasses, face masks, scarves and hands. Beside each score
stands that of calling everything face. `--half choose` is for decisions, `--half report` for what is reported.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import occfit
from benchmarks.photographs.scores import (
    CONDITIONS,
    HALVES,
    cases,
    contact_row,
    find_names,
    score,
    true_visible_fraction,
    write_scores,
)
from occfit.cli import exit_code_of
from occfit.errors import OccfitError
from occfit.fitting.face_fitter import SMALL

COLUMNS = {
    "accuracy": "ACC",
    "precision": "PPV",
    "recall": "TPR",
    "f1": "F1",
    "occlusion_f1": "occ F1",
    "occlusion_iou": "occ IoU",
    "coverage": "coverage",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.photographs",
        description="Scores a system on photographs with true masks, as they are and behind painted occluders. Writes"
        " scores.csv and one contact sheet a condition. The sheets show the photographs: mind their terms.",
    )
    parser.add_argument(
        "photos", type=Path, help="folder with img/, landmarks/*.csv and visible/*.png (255 = face)"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=SMALL,
        help="a checkpoint, or a released system's folder (default: the package's)",
    )
    parser.add_argument(
        "--refine", action=argparse.BooleanOptionalAction, default=True, help="as in occfit predict"
    )
    parser.add_argument(
        "--detect", action="store_true", help="let the built-in detector find the landmarks, too"
    )
    parser.add_argument("--half", choices=(*HALVES, "both"), default="choose", help="default: choose")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/photographs"), help="default: runs/photographs"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is painted (default: 0)")
    return exit_code_of(lambda: run(parser.parse_args()))


def run(args: argparse.Namespace) -> int:
    console = Console()
    fitter = occfit.load(args.checkpoint)
    if not args.refine:
        fitter.refinement = None
    names = find_names(args.photos, args.half)
    args.out.mkdir(parents=True, exist_ok=True)
    missed, answers, rows, sheets = [], [], [], {condition: [] for condition in CONDITIONS}
    total = len(names) * len(CONDITIONS)
    for case in track(cases(args.photos, names, args.seed), "fitting", total, console=Console(stderr=True)):
        try:
            fit = fitter(case.photo, None if args.detect else case.landmarks)
        except OccfitError:
            missed.append(f"{case.name} ({case.condition})")
            continue
        shares = (fit.visible_fraction, true_visible_fraction(case, fit))
        answers.append((case.condition, fit.is_occluded, *shares))
        sheets[case.condition].append(contact_row(case, fit))
        for system, everything in ((fitter.checkpoint.system, False), ("everything is face", True)):
            scores = score(case, fit, everything)
            rows.append({"name": case.name, "condition": case.condition, "system": system, **scores})
    write_scores(args.out / "scores.csv", rows)
    for condition, sheet in sheets.items():
        if sheet:
            cv2.imwrite(str(args.out / f"{condition}.jpg"), np.concatenate(sheet)[..., ::-1])
    console.print(scores_table(rows, f"{args.checkpoint}, {len(names)} photographs ({args.half})"))
    console.print(occlusion_answers(answers))
    if args.detect:
        console.print(f"No face found: {', '.join(missed) or 'none'}", highlight=False, soft_wrap=True)
    console.print(f"Pictures and scores of each photograph: {args.out}", highlight=False, soft_wrap=True)
    return 0


def scores_table(rows: list[dict], title: str) -> Table:
    """Means over photographs; an occlusion score counts where something hides the face."""
    table = Table("condition", *COLUMNS.values(), title=title)
    for condition in CONDITIONS:
        for system in dict.fromkeys(row["system"] for row in rows):
            chosen = [row for row in rows if (row["condition"], row["system"]) == (condition, system)]
            means = [np.nanmean([row[key] for row in chosen]) for key in COLUMNS]
            label = f"  {system}" if system == "everything is face" else condition
            table.add_row(label, *(f"{mean:.3f}" for mean in means))
    return table


def occlusion_answers(answers: list[tuple[str, bool, float, float]]) -> Table:
    """How often "is this face occluded?" is answered rightly, and how far the visible share is from the true one.

    Args:
        answers: condition, whether it is called occluded, visible share of the region, and the true share.
    """
    table = Table("condition", "called occluded", "visible share", "true", "mean error", title="is_occluded")
    for condition in CONDITIONS:
        chosen = np.array([values for name, *values in answers if name == condition], float)
        if len(chosen):
            called, found, true = chosen.T
            cells = [f"{found.mean():.2f}", f"{true.mean():.2f}", f"{np.abs(found - true).mean():.3f}"]
            table.add_row(condition, f"{int(called.sum())} of {len(called)}", *cells)
    return table


if __name__ == "__main__":
    sys.exit(main())
