"""`preview.html` of prepared data: what it looks like, how much there is, and what was left out."""

import base64
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from occfit.data.preparation.contact_sheet import HIDDEN, UNKNOWN, VISIBLE, Sheet, contact_sheet
from occfit.data.preparation.measures import measure
from occfit.data.preparation.pipeline import PREVIEW, read_rejected
from occfit.data.store import PreparedStore
from occfit.publishing.page import render_page

BINS = 24
QUALITY = 85
WIDTH, HEIGHT = 240, 70
"""A histogram's size in the page's units."""

MEASURES = {
    "roll": ("Roll in the photograph, degrees", (-60.0, 60.0)),
    "yaw": ("Yaw by the landmarks, degrees", (-90.0, 90.0)),
    "face size": ("Face size in the photograph, pixels", None),
    "known": ("Known share of the face", (0.0, 1.0)),
    "hidden": ("Hidden share of what is known of the face", (0.0, 1.0)),
}
"""Title and range; None ends at the largest value."""


@dataclass(frozen=True)
class Histogram:
    """Bars from left to right.

    Attributes:
        title: what is counted.
        bars: x, y, width and height of each, in the page's units.
        low: the left end's label.
        high: the right end's label.
        median: the middle value.
        count: the number of values.
    """

    title: str
    bars: list[tuple[float, float, float, float]]
    low: str
    high: str
    median: str
    count: int


def write_preview(
    folder: Path,
    name: str,
    counts: Mapping[str, int],
    remarks: Sequence[str],
    mean_face: Float[ndarray, "68 3"],
    seed: int = 0,
) -> Path:
    """Writes the page of a collection's stores, which needs nothing but itself.

    Args:
        counts: the splits and their numbers of samples.
        remarks: what the reader should be told.
        seed: the seed of the choice of samples.
    """
    splits = [describe(split, PreparedStore(folder / split), mean_face, seed) for split in counts]
    rejected = read_rejected(folder / "rejected.csv")
    legend = {"visible face": VISIBLE, "no visible face": HIDDEN, "unknown": UNKNOWN}
    text = render_page(
        "preview.html.jinja",
        name=name,
        total=sum(counts.values()),
        splits=splits,
        remarks=list(remarks),
        reasons=by_reason(rejected),
        rejected=len(rejected),
        legend={text: "#{:02x}{:02x}{:02x}".format(*colour) for text, colour in legend.items()},
        width=WIDTH,
        height=HEIGHT,
    )
    path = folder / PREVIEW
    path.write_text(text, encoding="utf-8")
    return path


def describe(
    split: str, store: PreparedStore, mean_face: Float[ndarray, "68 3"], seed: int
) -> dict[str, object]:
    """What the page says of one store."""
    measured = measure(store, mean_face)
    kinds, column = store.metadata.get("kinds", []), store.column("kind")
    counted = Counter() if column is None else Counter(column.tolist())
    drawn = [histogram(title, measured[key], ends) for key, (title, ends) in MEASURES.items()]
    return {
        "name": split,
        "count": len(store),
        "size": store.size[0],
        "masks": "visibility" in store.fields,
        "kinds": {str(kind): counted[number] for number, kind in enumerate(kinds) if counted[number]},
        "histograms": [one for one in drawn if one is not None],
        "sheet": jpeg_uri(contact_sheet(store, seed=seed)),
    }


def by_reason(rejected: Sequence[tuple[str, str]]) -> list[tuple[str, int, str]]:
    """Reasons without the numbers, names and files in them, the commonest first, with how many and the first's name."""
    kinds = [re.sub(r"'[^']*'", "'…'", re.sub(r" \[.*", "", reason)) for _, reason in rejected]
    kinds = [re.sub(r"\d+(\.\d+)?", "N", kind) for kind in kinds]
    first = dict(reversed(list(zip(kinds, (name for name, _ in rejected), strict=True))))
    return [(kind, count, first[kind]) for kind, count in Counter(kinds).most_common()]


def histogram(title: str, values: Float[ndarray, " n"], ends: tuple[float, float] | None) -> Histogram | None:
    """The values' bars; None where there is no number."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return None
    low, high = ends if ends is not None else (0.0, float(values.max()))
    counts, _ = np.histogram(np.clip(values, low, high), bins=BINS, range=(low, high or 1.0))
    tall, step = counts.max(), WIDTH / BINS
    bars = [
        (number * step + 0.5, HEIGHT - HEIGHT * count / tall, step - 1, HEIGHT * count / tall)
        for number, count in enumerate(counts.tolist())
    ]
    median = round(float(np.median(values)), 2 if high <= 1 else 0) + 0.0
    return Histogram(title, bars, f"{low:.3g}", f"{high:.3g}", f"{median:g}", len(values))


def jpeg_uri(picture: Sheet) -> str:
    """The picture as a JPEG inside the page: a sheet of photographs would be several times larger as a PNG."""
    _, code = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(code.tobytes()).decode("ascii")
