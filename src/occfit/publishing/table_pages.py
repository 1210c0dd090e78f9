"""A comparison's tables, written: Markdown, LaTeX, CSV and one HTML page, at Weights & Biases, and in the terminal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from occfit.errors import OccfitError
from occfit.publishing import table_formats as formats
from occfit.publishing.page import render_page
from occfit.scoring.canonical import write_text
from occfit.scoring.comparison import ComparisonTable, compare
from occfit.scoring.experiments import EXPERIMENTS, Runs, read_spec

NOTE = (
    "Synthetic faces stand in for CelebA-HQ and AR, the built-in face model for the Basel Face Model: compare orders "
    "and differences with the paper's, not values."
)


def shipped_tables(folder: Path = EXPERIMENTS) -> list[Path]:
    """The paper's tables.

    Raises:
        OccfitError: they aren't here.
    """
    found = sorted(folder.glob("table*.yaml"))
    if not found:
        remedy = "Run it in a checkout of occfit, or name the tables: --tables FILE ..."
        raise OccfitError("There are no tables", folder, remedy)
    return found


def make_tables(
    runs: Path, preset: str, seeds: Sequence[int], specs: Sequence[Path], output: Path
) -> list[ComparisonTable]:
    """Compares the runs and writes `table*.md`, `.tex`, `tables.csv`, `tables.tex` and `index.html`.

    The page shows the figures too that lie in `output/figures`.

    Raises:
        OccfitError: a spec or a run can't be read, or the folder can't be written.
    """
    found = Runs(runs, preset)
    tables = [compare(read_spec(path), found, seeds) for path in specs]
    for table in tables:
        write_text(output / f"{table.spec.name}.md", formats.markdown(table, str(runs)))
        write_text(output / f"{table.spec.name}.tex", formats.latex(table, str(runs)))
    write_text(output / "tables.tex", formats.latex_document([table.spec.name for table in tables]))
    write_text(output / "tables.csv", formats.csv_text(tables))
    figures = sorted((output / "figures").glob("figure*.jpg"), key=lambda path: (len(path.name), path.name))
    page = render_page(
        "tables.html.jinja",
        title=f"occfit: tables, preset {preset}",
        how_to_read=formats.HOW_TO_READ.replace("`", ""),
        notes=[NOTE],
        tables=[as_html(table, str(runs)) for table in tables],
        figures=[path.relative_to(output).as_posix() for path in figures],
    )
    write_text(output / "index.html", page)
    return tables


def log_tables(tables: Sequence[ComparisonTable], project: str, folder: Path) -> None:
    """A run at Weights & Biases with a Table for each table, a line a cell.

    Raises:
        OccfitError: wandb isn't installed.
    """
    try:
        import wandb
    except ImportError as error:
        raise OccfitError("wandb isn't installed", remedy="pip install 'occfit[wandb]'") from error
    preset = tables[0].preset
    run = wandb.init(
        project=project, job_type="tables", group=f"tables {preset}", dir=folder, name=f"tables {preset}"
    )
    for table in tables:
        run.log(
            {table.spec.name: wandb.Table(columns=list(formats.CSV_COLUMNS), data=formats.cell_rows(table))}
        )
    run.finish()


def as_html(table: ComparisonTable, runs: str) -> dict[str, Any]:
    """The texts of a table's page."""
    spec = table.spec
    blocks = [
        {
            "title": formats.block_title(block),
            "rows": [
                {
                    "name": formats.row_name(row),
                    "cells": [formats.cell_text(cells[metric], metric) for metric in spec.metrics],
                    "differences": [
                        "" if row == spec.reference else formats.difference_text(cells[metric], metric)
                        for metric in spec.differences
                    ],
                }
                for row, cells in block.rows.items()
            ],
        }
        for block in table.blocks
    ]
    return {
        "name": spec.name,
        "title": spec.title,
        "caption": spec.caption,
        "preset": formats.preset_line(table).replace("`", ""),
        "missing": formats.commands(table, runs),
        "columns": [formats.heading(metric) for metric in spec.metrics],
        "differences": [formats.heading(metric) for metric in spec.differences],
        "reference": spec.reference,
        "blocks": blocks,
    }


def print_tables(tables: Sequence[ComparisonTable], console: Console) -> None:
    """Each table's leading number: a row a system, a column a test set."""
    for table in tables:
        metric = table.spec.differences[0]
        title = f"{table.spec.title}: {formats.heading(metric)}"
        shown = Table(title=title, title_justify="left", box=None, padding=(0, 0, 0, 2), pad_edge=False)
        shown.add_column("system")
        for block in table.blocks:
            shown.add_column(block.title, justify="right")
        for row in table.blocks[0].rows:
            cells = [block.rows[row][metric] for block in table.blocks]
            texts = [formats.number(cell.mean, metric) for cell in cells]
            bold = [
                f"[bold]{text}[/]" if cell.is_best else text for cell, text in zip(cells, texts, strict=True)
            ]
            shown.add_row(formats.row_name(row), *bold)
        console.print(shown)
        for command in formats.commands(table):
            console.print(
                f"missing: {command}", style="yellow", highlight=False, markup=False, soft_wrap=True
            )
