"""`index.html`: all photographs of one `occfit predict`, with links to each one's files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from occfit.apps.page import render_page
from occfit.evaluation.canonical import write_json, write_text


@dataclass(frozen=True)
class Entry:
    """A photograph that was fitted.

    Attributes:
        folder: its results, below the output folder.
        name: the photograph's file name.
        visible_fraction: of the rendered region; NaN if the region is empty.
    """

    folder: str
    name: str
    visible_fraction: float


def write_gallery(out: Path, entries: Sequence[Entry], failures: Sequence[tuple[str, str]]) -> None:
    """Writes `index.html` and `summary.json`; failures are (photograph, reason).

    Raises:
        OccfitError: the folder can't be written.
    """
    write_text(out / "index.html", render_page("gallery.html.jinja", entries=entries, failures=failures))
    write_json(
        out / "summary.json",
        {
            "fitted": [{"photo": e.name, "visible_fraction": e.visible_fraction} for e in entries],
            "failed": [{"photo": photo, "reason": reason} for photo, reason in failures],
        },
    )
