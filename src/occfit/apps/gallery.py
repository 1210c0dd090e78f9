"""`index.html`: all photographs of one `occfit predict`, with links to each one's files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occfit.publishing.page import render_page
from occfit.scoring.canonical import write_json, write_text

SURE = 0.95
"""Confidence below which a face is marked as unsure."""


@dataclass(frozen=True)
class Entry:
    """A photograph that was fitted.

    Attributes:
        folder: its results, below the output folder.
        name: the photograph's file name.
        visible_fraction: the rendered region's visible share; NaN if the region is empty.
        is_occluded: whether something is said to hide the face.
        confidence: how sure it is that there is a face; None if its landmarks were given.
        is_one_of_several: whether the photograph shows other faces, which were not fitted.
    """

    folder: str
    name: str
    visible_fraction: float
    is_occluded: bool = False
    confidence: float | None = None
    is_one_of_several: bool = False

    @classmethod
    def of(cls, folder: str, name: str, record: Mapping[str, Any]) -> "Entry":
        """From a `fit.json`'s content."""
        marks = record["landmarks"]
        return cls(
            folder,
            name,
            record["visible_fraction"],
            record["is_occluded"],
            marks["confidence"],
            marks["faces"] > 1 and "/" not in folder,
        )

    @property
    def is_unsure(self) -> bool:
        return self.confidence is not None and self.confidence < SURE


def write_gallery(out: Path, entries: Sequence[Entry], failures: Sequence[tuple[str, str]]) -> None:
    """Writes `index.html` and `summary.json`; failures are (photograph, reason).

    Raises:
        OccfitError: the folder can't be written.
    """
    write_text(out / "index.html", render_page("gallery.html.jinja", entries=entries, failures=failures))
    write_json(
        out / "summary.json",
        {
            "fitted": [
                {
                    "photo": entry.name,
                    "folder": entry.folder,
                    "visible_fraction": entry.visible_fraction,
                    "is_occluded": entry.is_occluded,
                    "confidence": entry.confidence,
                    "is_unsure": entry.is_unsure,
                }
                for entry in entries
            ],
            "failed": [{"photo": photo, "reason": reason} for photo, reason in failures],
        },
    )
