"""`occfit data`: checks prepared data, or says what is in it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from occfit.errors import OccfitError

SHOWN = 20
"""As many problems are printed."""


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0, or 1 if a check found something."""
    parser = argparse.ArgumentParser(
        prog="occfit data", description="Checks prepared data, or says what is in it."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="read everything and name what is wrong, one line each")
    show = commands.add_parser("show", help="say what is in it, and draw a sheet of samples")
    for command in (check, show):
        command.add_argument(
            "folder", type=Path, help="what `occfit prepare` has written, or one store in it"
        )
    show.add_argument(
        "--out", type=Path, metavar="FILE", help="a PNG or JPEG for samples with masks and landmarks"
    )
    show.add_argument("--count", type=int, default=24, help="samples of each store on it (24)")
    show.add_argument("--seed", type=int, default=0, help="of the choice of samples (0)")
    chosen = parser.parse_args(list(arguments))
    if chosen.command == "check":
        return check_data(chosen.folder)
    return show_data(chosen.folder, chosen.out, chosen.count, chosen.seed)


def check_data(folder: Path) -> int:
    """Prints each problem; 1 if there is one."""
    from occfit.data.preparation.store_check import open_stores, problems

    found = list(problems(folder))
    for line in found[:SHOWN]:
        print(line)
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN} more")
    if not found:
        stores = open_stores(folder)
        print(f"Sound: {sum(len(store) for store in stores.values())} samples in {', '.join(stores)}")
    return int(bool(found))


def show_data(folder: Path, out: Path | None, count: int, seed: int) -> int:
    """Prints what there is, and draws it."""
    from occfit.data.preparation.store_check import open_stores
    from occfit.data.prepared_sets import SETS, read_collection

    stores = open_stores(folder)
    for name, store in stores.items():
        height, width = store.size
        source = store.metadata.get("source", "unknown source")
        print(f"{name}: {len(store)} samples of {width} x {height} pixels from {source}")
        print(f"  {', '.join(store.fields)}")
        for note in store.metadata.get("notes", []):
            print(f"  {note}")
    if (folder / SETS).exists():
        collection = read_collection(folder)
        for name, one in collection.sets.items():
            print(f"test set {name}: {' + '.join(one.parts) or one.title}")
        if collection.judged_on:
            print(f"judged on {collection.judged_on}")
    if out is not None:
        draw(out, list(stores.values()), max(1, count), seed)
        print(out)
    return 0


def draw(out: Path, stores: Sequence, count: int, seed: int) -> None:
    """Writes the stores' samples as one picture.

    Raises:
        OccfitError: The file's name says no known format, or it can't be written.
    """
    import numpy as np
    from PIL import Image

    from occfit.data.preparation.contact_sheet import contact_sheet

    sheets = [contact_sheet(store, count, seed=seed) for store in stores]
    width = max(sheet.shape[1] for sheet in sheets)
    wide = [
        np.pad(sheet, ((0, 8), (0, width - sheet.shape[1]), (0, 0)), constant_values=255) for sheet in sheets
    ]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(wide)).save(out)
    except (OSError, ValueError) as error:
        raise OccfitError(
            f"The picture can't be written ({error})", out, "Name a .png or .jpg file"
        ) from error
