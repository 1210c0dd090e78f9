"""The world as prepared stores, painted once and kept."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np
from filelock import FileLock
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from occfit.data.store import PreparedStore, StoreWriter
from occfit.data.synthetic.occluders import KINDS
from occfit.data.synthetic.workshop import Workshop, suitable_workers
from occfit.data.synthetic.world import WORLD_VERSION, WorldConfig, split_digest
from occfit.errors import OccfitError
from occfit.face_model.morphable_model import MorphableModel


def prepare_synthetic(
    config: WorldConfig,
    face_model: MorphableModel,
    cache: Path,
    workers: int | None = None,
    progress: bool = True,
    splits: Sequence[str] | None = None,
) -> dict[str, PreparedStore]:
    """The stores `train`, `validation` and the six test sets; what isn't in the cache yet is painted.

    Each split lies under the digest of everything that its samples depend on. Two processes that want the same one
    paint it once.

    Args:
        cache: the folder of everything that can be made again.
        workers: processes that paint; 0 paints in this one, None takes one a core where that pays. They are
            spawned, so a script needs the usual `if __name__ == "__main__"`.
        progress: show a live bar.
        splits: the only splits to prepare; None prepares all.

    Raises:
        OccfitError: the cache can't be written, or a painting process ended.
    """
    counts = config.counts()
    wanted = {split: counts[split] for split in (splits or counts)}
    return _prepare(config, face_model, cache, wanted, workers, progress)


def recognition_identities(
    config: WorldConfig,
    face_model: MorphableModel,
    cache: Path,
    people: int = 400,
    unseen: bool = False,
    workers: int | None = None,
    progress: bool = True,
) -> PreparedStore:
    """Pictures of `people` persons for the recognition network, `config.pictures_per_person` of each, in a row.

    Pose, light, expression and background differ between a person's pictures, and three in ten have an occluder. The
    store's `identity` numbers the persons from 0.

    Args:
        unseen: whether the people are in no other set, to verify on.
    """
    split = "unseen_identities" if unseen else "identities"
    counts = {split: people * config.pictures_per_person}
    return _prepare(config, face_model, cache, counts, workers, progress)[split]


def _prepare(
    config: WorldConfig,
    face_model: MorphableModel,
    cache: Path,
    counts: Mapping[str, int],
    workers: int | None,
    progress: bool,
) -> dict[str, PreparedStore]:
    root = Path(cache) / "synthetic"
    folders = {
        split: root / f"{split}-{split_digest(config, face_model, split, count)[:24]}"
        for split, count in counts.items()
    }
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        remedy = "Set OCCFIT_CACHE to a folder that you may write to"
        raise OccfitError(f"The cache can't be written: {error.strerror}", root, remedy) from error
    with ExitStack() as held:
        for folder in sorted(folders.values()):
            held.enter_context(FileLock(folder.with_suffix(".lock")))
        missing = {split: counts[split] for split, folder in folders.items() if not _is_finished(folder)}
        if missing:
            chosen = suitable_workers(sum(missing.values())) if workers is None else workers
            with Workshop(config, face_model, chosen) as workshop:
                _paint(workshop, missing, folders, progress)
    return {split: PreparedStore(folder) for split, folder in folders.items()}


def _is_finished(folder: Path) -> bool:
    """Whether a whole store lies there; a torn one is painted again."""
    try:
        PreparedStore(folder)
    except OccfitError:
        return False
    return True


def _paint(
    workshop: Workshop, counts: Mapping[str, int], folders: Mapping[str, Path], progress: bool
) -> None:
    columns = (
        TextColumn("painting {task.fields[split]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task("painting", total=sum(counts.values()), split="")
        for split, count in counts.items():
            bar.update(task, split=split)
            with StoreWriter(folders[split], _metadata(workshop.config, split)) as writer:
                first = 0
                for samples in workshop.samples(split, count):
                    names = [f"synthetic/{split}/{first + k}" for k in range(len(samples))]
                    unmoved = np.broadcast_to(np.eye(2, 3), (len(samples), 2, 3))
                    writer.add(**vars(samples), aligned_to_photo=unmoved, provenance=names)
                    first += len(samples)
                    bar.update(task, advance=len(samples))


def _metadata(config: WorldConfig, split: str) -> dict[str, object]:
    return {
        "source": "synthetic",
        "split": split,
        "version": WORLD_VERSION,
        "config": asdict(config),
        "kinds": list(KINDS),
    }
