"""What the paper says beyond its tables, looked up in scored runs: extreme light, skin-coloured occluders, limits.

    python -m benchmarks.claims [--runs runs] [--preset laptop] [--seeds 0 1 2]

Trains nothing. Pictures are sorted by the contrast of the light on their visible face and by the kind of their
occluder; masks are looked at part by part of the face.
"""

import argparse
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.spatial import KDTree

from occfit.apps.arguments import add_runs
from occfit.cli import exit_code_of
from occfit.data.store import PreparedStore
from occfit.data.synthetic import KINDS
from occfit.errors import OccfitError
from occfit.face_model.morphable_model import MorphableModel
from occfit.face_model.regions import REGIONS
from occfit.fitting.visible_regions import draw_regions
from occfit.publishing.figure_specs import light_contrast
from occfit.rendering.renderer import FaceRenderer
from occfit.scoring.experiments import Runs, ScoredRun
from occfit.scoring.scored_system import load_run, run_splits
from occfit.types import Rendering

ROWS = ("deep3d", "egger", "pretrained", "baseline", "neighbour", "perceptual", "proposed")
WILD = ("unoccluded", "occluded", "overall")
ABLATIONS = ("baseline", "neighbour", "perceptual", "proposed")
EDGE = 1.5
"""Pixels; nearer to a pixel of the other kind than this is at the edge."""

BROW_REACH = 4.0
"""Millimetres around the brows' landmarks that count as brow."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables.

    Raises:
        OccfitError: no run of the proposed pipeline is there.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_runs(parser)
    chosen = parser.parse_args(arguments)
    runs, console = Runs(chosen.runs, chosen.preset), Console()
    found = {row: runs.seeds(row, chosen.seeds) for row in ROWS}
    found = {row: by_seed for row, by_seed in found.items() if by_seed}
    if "proposed" not in found:
        raise OccfitError("There is no run of 'proposed'", chosen.runs, "`make reproduce-tables` makes them")
    first = next(iter(found["proposed"].values()))
    stores = run_splits(load_run(first.folder / "checkpoints" / "last.ckpt")).test
    console.print(light_table(found, stores))
    console.print(kind_table(found, stores))
    folders = [run.folder for run in found["proposed"].values()]
    console.print(region_table(folders, stores))
    for test_set in ("glasses", "scarf"):
        console.print(
            edge_table({row: found[row] for row in ABLATIONS if row in found}, test_set, stores[test_set])
        )
    return 0


def column(by_seed: Mapping[int, ScoredRun], test_sets: Sequence[str], metric: str) -> np.ndarray:
    """Every picture's score, mean over seeds, one test set after the other."""
    per_seed = []
    for run in by_seed.values():
        parts = [run.images(test_set, metric) for test_set in test_sets]
        per_seed.append(np.concatenate([part for part in parts if part is not None]))
    return np.mean(per_seed, axis=0)


def light_table(found: Mapping[str, Mapping[int, ScoredRun]], stores: Mapping[str, PreparedStore]) -> Table:
    """F1 by quarters of the light's contrast, on all wild pictures."""
    contrast = np.concatenate([light_contrast(stores[name]) for name in WILD])
    quarter = np.searchsorted(np.quantile(contrast, [0.25, 0.5, 0.75]), contrast)
    table = Table(title=f"F1 by contrast of light, {len(contrast)} wild pictures", title_justify="left")
    for heading in ("system", "lowest quarter", "second", "third", "highest quarter", "highest - lowest"):
        table.add_column(heading)
    for row, by_seed in found.items():
        values = column(by_seed, WILD, "f1")
        means = [np.nanmean(values[quarter == part]) for part in range(4)]
        table.add_row(row, *(f"{mean:.3f}" for mean in means), f"{means[3] - means[0]:+.3f}")
    return table


def kind_table(found: Mapping[str, Mapping[int, ScoredRun]], stores: Mapping[str, PreparedStore]) -> Table:
    """F1 of the occlusion class by kind of occluder, on all wild pictures; hands have the colour of skin."""
    parts = [stores[name].column("kind") for name in WILD]
    kinds = np.concatenate([part for part in parts if part is not None])
    names = [name for name in KINDS if name != "none" and (kinds == KINDS.index(name)).sum() >= 10]
    table = Table(title="F1 of what hides the face, by kind, wild pictures", title_justify="left")
    table.add_column("system")
    for name in names:
        table.add_column(f"{name} ({(kinds == KINDS.index(name)).sum()})")
    for row, by_seed in found.items():
        values = column(by_seed, WILD, "occlusion_f1")
        means = [np.nanmean(values[kinds == KINDS.index(name)]) for name in names]
        table.add_row(row, *(f"{mean:.3f}" for mean in means))
    return table


def region_table(folders: Sequence[Path], stores: Mapping[str, PreparedStore]) -> Table:
    """What `proposed` gets wrong, part by part: visible pixels called hidden, and hidden ones called visible."""
    table = Table(title="proposed, errors by part of the face, % of its pixels", title_justify="left")
    for heading in (
        "part",
        "neutral: visible called hidden",
        "glasses: hidden called visible",
        "of all hidden there",
    ):
        table.add_column(heading)
    missed = {name: np.zeros((len(REGIONS) + 1, 2)) for name in ("neutral", "glasses")}
    for folder in folders:
        system = load_run(folder / "checkpoints" / "last.ckpt").systems["system"]
        for name in missed:
            missed[name] += count_errors(system, stores[name], hidden=name == "glasses")
    total = missed["glasses"][:, 1].sum()
    for index, part in enumerate((*REGIONS, "brows")):
        plain, glasses = missed["neutral"][index], missed["glasses"][index]
        wrong = [f"{100 * a / max(1, b):.1f}" for a, b in (plain, glasses)]
        table.add_row(part, *wrong, f"{100 * glasses[1] / total:.0f} %")
    return table


def edge_table(found: Mapping[str, Mapping[int, ScoredRun]], test_set: str, store: PreparedStore) -> Table:
    """Wrong pixels of each truth, next to the occluder's edge and farther from it, as a share of those pixels."""
    table = Table(title=f"{test_set}: wrong pixels, % of their kind, mean over seeds", title_justify="left")
    heads = [f"{kind}, {place}" for kind in ("hidden", "visible") for place in ("at the edge", "farther")]
    for heading in ("system", *heads):
        table.add_column(heading)
    for row, by_seed in found.items():
        shares = []
        for run in by_seed.values():
            system = load_run(run.folder / "checkpoints" / "last.ckpt").systems["system"]
            wrong, every = count_by_edge(system, store)
            shares.append(100 * wrong / np.maximum(every, 1))
        table.add_row(row, *(f"{share:.1f}" for share in np.mean(shares, axis=0)))
    return table


@torch.no_grad()
def count_by_edge(system, store: PreparedStore) -> tuple[np.ndarray, np.ndarray]:
    """Wrong and all pixels of the rendered regions: hidden at the edge, hidden farther, visible at it, farther."""
    wrong, every = np.zeros(4), np.zeros(4)
    for start in range(0, len(store), 64):
        batch = store.batch(range(start, min(start + 64, len(store))))
        found = system(batch)
        assert batch.visibility is not None
        for one in range(len(batch)):
            region = found.rendering.face_region[one, 0].numpy() > 0.5
            truth = batch.visibility[one, 0].numpy() > 0.5
            error = (found.visibility[one, 0].numpy() > 0.5) != truth
            for index, kind in enumerate((region & ~truth, region & truth)):
                depth = cv2.distanceTransform((~(region & ~kind)).astype(np.uint8), cv2.DIST_L2, 3)
                for place, chosen in enumerate((kind & (depth <= EDGE), kind & (depth > EDGE))):
                    every[2 * index + place] += chosen.sum()
                    wrong[2 * index + place] += (chosen & error).sum()
    return wrong, every


@torch.no_grad()
def count_errors(system, store: PreparedStore, hidden: bool) -> np.ndarray:
    """Wrong pixels, and all pixels, of one truth (hidden or visible), by part: `REGIONS`, then the brows."""
    counts = np.zeros((len(REGIONS) + 1, 2))
    for start in range(0, len(store), 64):
        batch = store.batch(range(start, min(start + 64, len(store))))
        found = system(batch)
        parts = draw_regions(system.renderer, found.rendering)
        brows = draw_brows(system.renderer, found.rendering)
        parts = torch.cat([parts & ~brows, brows], dim=1)
        assert batch.visibility is not None
        truth, predicted = batch.visibility > 0.5, found.visibility > 0.5
        concerned = ~truth if hidden else truth
        wrong = predicted != truth
        for index in range(parts.shape[1]):
            part = parts[:, index : index + 1] & concerned
            counts[index] += [int((part & wrong).sum()), int(part.sum())]
    return counts


def draw_brows(renderer: FaceRenderer, rendering: Rendering) -> torch.Tensor:
    """Where the brows are rendered."""
    marked = brow_vertices(renderer.face_model).float().view(1, -1, 1)
    return renderer.draw(rendering.vertices, marked) > 0.5


def brow_vertices(model: MorphableModel) -> torch.Tensor:
    """The vertices near the line through each brow's five landmarks."""
    points = model.mean_shape.numpy()
    marks = points[model.landmark_vertices.numpy()]
    lines = [
        start + share * (end - start)
        for brow in (marks[17:22], marks[22:27])
        for start, end in pairwise(brow)
        for share in np.linspace(0, 1, 5)
    ]
    distance, _ = KDTree(np.array(lines)).query(points)
    return torch.from_numpy(distance < BROW_REACH)


if __name__ == "__main__":
    raise SystemExit(exit_code_of(main))
