"""Another system's masks and reconstructions, from files, scored like our own.

    DIR/TEST_SET/000000/visible.png           white = visible face
                        face_region.png       white = where its face model projects
                        reconstruction.png    its picture of the face; without it there is no RMSE
                        landmarks.csv         68 rows `x,y`, a detector's pixel indices; without it there is no NME

which are names that `occfit predict` uses too. Files have the size of the test pictures, that `write_pictures` gives.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from PIL import Image
from rich.progress import track

from occfit.data.data_source import Splits
from occfit.data.images import read_image, read_landmarks
from occfit.data.store import PreparedStore
from occfit.errors import OccfitError
from occfit.fitting.pictures import to_picture
from occfit.runs.machine import describe_machine
from occfit.scoring.canonical import canonical, write_json, write_text
from occfit.scoring.picture_scores import ALL_VISIBLE, SetScores, complete, evaluate
from occfit.scoring.results import SYSTEM, describe_sets, scores_table, summaries, with_histograms
from occfit.types import Explanation, FaceBatch, FaceParams, Rendering

NAMED = 10
"""As many pictures without a prediction are named; the others are counted."""


class FilePredictions:
    """Explains a test set's pictures with what lies in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, batch: FaceBatch) -> Explanation:
        found = [self.read(index, batch.image.shape[-1]) for index in batch.index.tolist()]
        image, region, visible, landmarks = (torch.stack(part) for part in zip(*found, strict=True))
        nothing = torch.zeros(len(batch), 0, 3)
        rendering = Rendering(image, region, landmarks, nothing, nothing)
        return Explanation(FaceParams.zeros(len(batch)), rendering, visible)

    def read(self, index: int, size: int) -> tuple[torch.Tensor, ...]:
        """Reconstruction, region, mask and landmarks of one picture, NaN where a file isn't there.

        Raises:
            OccfitError: a file is torn or has another size.
        """
        folder = picture_folder(self.folder, index)
        visible, region = (read_mask(folder / name, size) for name in ("visible.png", "face_region.png"))
        image = torch.full((3, size, size), torch.nan)
        if (path := folder / "reconstruction.png").exists():
            image = torch.from_numpy(read_sized(path, size)).permute(2, 0, 1).float() / 255
        landmarks = torch.full((68, 2), torch.nan)
        if (path := folder / "landmarks.csv").exists():
            landmarks = torch.from_numpy(read_landmarks(path))
        return image, region, visible, landmarks


def picture_folder(folder: Path, index: int) -> Path:
    return folder / f"{index:06d}"


def read_sized(path: Path, size: int) -> np.ndarray:
    picture = read_image(path)
    if picture.shape[:2] != (size, size):
        height, width = picture.shape[:2]
        reason = f"The picture has {width} x {height} pixels, the test picture {size} x {size}"
        raise OccfitError(reason, path, "Bring it back to the test picture's size")
    return picture


def read_mask(path: Path, size: int) -> torch.Tensor:
    return torch.from_numpy(read_sized(path, size)[..., 0] > 127).float().unsqueeze(0)


class Chosen:
    """Some samples of a store, in order."""

    def __init__(self, store: PreparedStore, chosen: Bool[np.ndarray, " n"]):
        self.store, self.indices = store, np.flatnonzero(chosen)

    def __len__(self) -> int:
        return len(self.indices)

    def batch(self, indices: range) -> FaceBatch:
        return self.store.batch(self.indices[list(indices)])


def evaluate_predictions(
    folder: Path, output: Path, splits: Splits, system: str, preset: str, seed: int
) -> dict[str, Any]:
    """Scores the predictions in a folder and writes `metrics.json` and `scores.csv`, as a run's folder has them.

    A picture without `visible.png` and `face_region.png` isn't scored; how many there are, and which, is in the notes.

    Args:
        splits: the data with the test sets; those without a folder are left out.
        system, preset, seed: what the tables shall call it.

    Raises:
        OccfitError: there are no predictions of any test set, or a file is torn or has another size.
    """
    scores: dict[str, dict[str, SetScores]] = {SYSTEM: {}, ALL_VISIBLE: {}}
    notes = []
    for name, store in splits.test.items():
        there = [has_prediction(folder / name, index) for index in range(len(store))]
        is_there = np.array(there)
        if not is_there.any():
            continue
        if not is_there.all():
            notes.append(describe_missing(name, is_there))
        found = evaluate({SYSTEM: FilePredictions(folder / name)}, {name: Chosen(store, is_there)})
        for key in scores:
            scores[key][name] = expand(found[key][name], is_there)
    if not scores[SYSTEM]:
        remedy = f"Lay them out as {folder}/glasses/000000/visible.png and face_region.png"
        raise OccfitError("There are no predictions", folder, remedy)
    all_scores = {key: complete(sets, splits.sets) for key, sets in scores.items()}
    metrics = canonical(
        {
            "system": system,
            "preset": preset,
            "seed": seed,
            **describe_machine("cpu"),
            "notes": notes,
            **describe_sets(all_scores[SYSTEM], splits),
            "test_sets": with_histograms(summaries(all_scores[SYSTEM]), all_scores[SYSTEM]),
            ALL_VISIBLE: {"test_sets": summaries(all_scores[ALL_VISIBLE])},
        }
    )
    write_text(output / "scores.csv", scores_table(all_scores))
    write_json(output / "metrics.json", metrics)
    return metrics


def has_prediction(folder: Path, index: int) -> bool:
    place = picture_folder(folder, index)
    return (place / "visible.png").exists() and (place / "face_region.png").exists()


def describe_missing(test_set: str, is_there: Bool[np.ndarray, " n"]) -> str:
    """`3 of 320 pictures of glasses have no prediction: 000005, 000017, 000201`."""
    missing = np.flatnonzero(~is_there)
    names = ", ".join(f"{index:06d}" for index in missing[:NAMED])
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    return f"{len(missing)} of {len(is_there)} pictures of {test_set} have no prediction: {names}{more}"


def expand(scores: SetScores, is_there: Bool[np.ndarray, " n"]) -> SetScores:
    """A line for every picture of the test set, NaN for those that weren't scored, so that systems can be paired."""

    def spread(values: np.ndarray) -> np.ndarray:
        whole = np.full(len(is_there), np.nan)
        whole[is_there] = values
        return whole

    values = {key: spread(value) for key, value in scores.values.items()}
    return SetScores(np.arange(len(is_there)), spread(scores.held_out), values, scores.histogram)


def write_pictures(stores: Mapping[str, PreparedStore], folder: Path) -> int:
    """The test pictures, for another system: DIR/TEST_SET/000000.png, and the 68 landmarks in 000000.csv.

    Returns:
        How many pictures there are.

    Raises:
        OccfitError: the folder can't be written.
    """
    places = [(name, store, index) for name, store in stores.items() for index in range(len(store))]
    for name, store, index in track(places, "writing pictures"):
        batch, place = store[index], folder / name
        rows = [f"{x:.3f},{y:.3f}" for x, y in (batch.landmarks[0] - 0.5).tolist()]
        write_text(place / f"{index:06d}.csv", "\n".join(rows) + "\n")
        Image.fromarray(to_picture(batch.image[0])).save(place / f"{index:06d}.png")
    return len(places)
