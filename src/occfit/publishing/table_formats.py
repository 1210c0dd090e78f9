"""A comparison as Markdown, LaTeX (booktabs), CSV and rows of text for HTML."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from occfit.scoring.comparison import Block, Cell, ComparisonTable
from occfit.scoring.headings import COMMON, HEADINGS
from occfit.scoring.picture_scores import ALL_VISIBLE
from occfit.scoring.statistics import Interval

PAPERS_NAMES = {"accuracy": "ACC", "precision": "PPV", "recall": "TPR"}
ROWS = {ALL_VISIBLE: "all visible"}
DASH = "–"
ONE_SEED = "†"
HOW_TO_READ = (
    "Each cell: mean ± standard deviation over pictures (mean over seeds); in brackets the 95 % interval over seeds; "
    "then the paper's number, on other data. Differences are taken on the same seeds and pictures, and their 95 % "
    f"intervals are over both (bootstrap); {ONE_SEED} marks one of a single seed, which is over pictures alone and "
    "can't say what another training would give. Bold: better than every other row by a difference whose "
    "interval is clear of 0, which takes two seeds or more. `all visible` is no row to beat, but what a mask gets that "
    "hides nothing."
)


@dataclass(frozen=True)
class CellText:
    """A cell's lines of text; `-` for a mean that isn't there."""

    value: str
    interval: str
    published: str
    is_best: bool


def heading(metric: str) -> str:
    return PAPERS_NAMES.get(metric, HEADINGS[metric][0])


def row_name(row: str) -> str:
    return ROWS.get(row, row).replace("_", " ")


def number(value: float | None, metric: str) -> str:
    return DASH if value is None else f"{value:.{HEADINGS[metric][1]}f}"


def interval_text(interval: Interval | None, metric: str, sign: str = "") -> str:
    if interval is None:
        return ""
    digits = HEADINGS[metric][1]
    return f"[{interval.low:{sign}.{digits}f}, {interval.high:{sign}.{digits}f}]"


def cell_text(cell: Cell, metric: str) -> CellText:
    spread = "" if cell.spread is None else f" ± {number(cell.spread, metric)}"
    published = " ± ".join(f"{value:.2f}" for value in cell.published)
    return CellText(
        f"{number(cell.mean, metric)}{spread}",
        interval_text(cell.interval, metric),
        f"paper {published}" if published else "",
        cell.is_best,
    )


def difference_text(cell: Cell, metric: str) -> str:
    """`+0.016 [+0.011, +0.021]`, and a dagger where it rests on a single seed."""
    if cell.difference is None:
        return DASH
    mean, digits = cell.difference.mean, HEADINGS[metric][1]
    interval = interval_text(cell.difference.interval, metric, "+")
    parts = [f"{mean:+.{digits}f}", interval, ONE_SEED if cell.difference.seeds == 1 else ""]
    return " ".join(part for part in parts if part)


def block_title(block: Block) -> str:
    """`glasses (320 pictures, 79 % of the region shows the face)`."""
    details = [] if block.pictures is None else [f"{block.pictures} pictures"]
    if block.visible_share is not None:
        details.append(f"{block.visible_share:.0%} of the region shows the face")
    return block.title + (f" ({', '.join(details)})" if details else "")


def compared_rows(table: ComparisonTable, block: Block) -> list[str]:
    """The rows whose difference to the reference is shown."""
    return [row for row in block.rows if row != table.spec.reference]


def commands(table: ComparisonTable, folder: str = "runs") -> list[str]:
    """What makes each missing run."""
    made = [train_command(row, table.preset, seed, folder) for row, seed in table.missing]
    if COMMON in table.spec.metrics and not table.missing:
        cells = [block.rows[row] for block in table.blocks for row in table.spec.rows]
        if any(one[COMMON].mean is None for one in cells):
            made += [compare_command(table.spec.rows, table.preset, seed, folder) for seed in table.seeds]
    return made


def train_command(row: str, preset: str, seed: int, folder: str) -> str:
    return f"occfit train pipeline={row} preset={preset} seed={seed} output={folder}/{row}-{preset}-{seed}"


def compare_command(rows: Sequence[str], preset: str, seed: int, folder: str) -> str:
    runs = " ".join(f"{folder}/{row}-{preset}-{seed}" for row in rows)
    return f"occfit compare {runs} --out {folder}/common-{preset}-{seed}"


def markdown(table: ComparisonTable, folder: str = "runs") -> str:
    """GitHub's Markdown: a table a test set, and one of the differences."""
    spec = table.spec
    lines = [f"# {spec.title}", "", f"{spec.caption} {preset_line(table)}", "", HOW_TO_READ, ""]
    for block in table.blocks:
        lines += [f"## {block_title(block)}", ""]
        lines += _markdown_rows(["", *(heading(metric) for metric in spec.metrics)])
        for row, cells in block.rows.items():
            texts = [cell_text(cells[metric], metric) for metric in spec.metrics]
            lines.append("| " + " | ".join([row_name(row), *(_markdown_cell(text) for text in texts)]) + " |")
        lines += ["", f"`{spec.reference}` minus the others, on the same seeds and pictures:", ""]
        lines += _markdown_rows(["", *(heading(metric) for metric in spec.differences)])
        for row in compared_rows(table, block):
            texts = [difference_text(block.rows[row][metric], metric) for metric in spec.differences]
            lines.append("| " + " | ".join([row_name(row), *texts]) + " |")
        lines.append("")
    if missing := commands(table, folder):
        lines += ["Missing runs, and what makes them:", "", *(f"- `{command}`" for command in missing), ""]
    return "\n".join(lines)


def preset_line(table: ComparisonTable) -> str:
    seeds = ", ".join(str(seed) for seed in table.seeds)
    return f"Preset `{table.preset}`, seeds {seeds}."


def _markdown_rows(columns: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]


def _markdown_cell(text: CellText) -> str:
    value = f"**{text.value}**" if text.is_best else text.value
    return "<br>".join([value, *(f"<sub>{line}</sub>" for line in (text.interval, text.published) if line)])


def latex(table: ComparisonTable, folder: str = "runs") -> str:
    """A `table*` for booktabs; missing runs are comments."""
    spec = table.spec
    columns = "l" + "r" * len(spec.metrics)
    lines = [
        *(f"% missing: {command}" for command in commands(table, folder)),
        r"\begin{table*}",
        r"\centering\footnotesize",
        rf"\caption{{{_escape(spec.title)}. {_escape(spec.caption)} {_escape(preset_line(table))}}}",
        rf"\label{{tab:{spec.name}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(["", *(_escape(heading(metric)) for metric in spec.metrics)]) + r" \\",
    ]
    for block in table.blocks:
        title = _escape(block_title(block))
        lines += [r"\midrule", rf"\multicolumn{{{len(columns)}}}{{l}}{{\emph{{{title}}}}} \\"]
        for row, cells in block.rows.items():
            texts = [cell_text(cells[metric], metric) for metric in spec.metrics]
            lines.append(
                " & ".join([_escape(row_name(row)), *(_latex_value(text) for text in texts)]) + r" \\"
            )
            for name, parts in (
                ("interval over seeds", [text.interval for text in texts]),
                ("published", [text.published.removeprefix("paper ") for text in texts]),
            ):
                if any(parts):
                    small = [rf"{{\scriptsize {_escape(part)}}}" if part else "" for part in (name, *parts)]
                    lines.append(r"\quad " + " & ".join(small) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table*}", ""])


def latex_document(tables: Sequence[str]) -> str:
    """A page that shows the tables, to look at them and to see that they compile."""
    inputs = [rf"\input{{{name}}}" for name in tables]
    preamble = [
        r"\documentclass{article}",
        r"\usepackage[landscape,margin=1cm]{geometry}",
        r"\usepackage{booktabs}",
    ]
    return "\n".join([*preamble, r"\begin{document}", *inputs, r"\end{document}", ""])


def _latex_value(text: CellText) -> str:
    value = _escape(text.value)
    return rf"\textbf{{{value}}}" if text.is_best else value


def _escape(text: str) -> str:
    for plain, escaped in (
        ("`", ""),
        ("%", r"\%"),
        ("_", r"\_"),
        ("&", r"\&"),
        ("#", r"\#"),
        ("±", r"$\pm$"),
        ("–", "--"),
        ("°", r"$^\circ$"),
    ):
        text = text.replace(plain, escaped)
    return text


CSV_COLUMNS = (
    *("table", "test_set", "pictures", "visible_share", "row", "metric"),
    *("mean", "std", "seed_low", "seed_high"),
    *("reference_minus_row", "difference_low", "difference_high", "difference_seeds"),
    *("is_best", "published_mean", "published_std"),
)
"""The columns of `tables.csv`.

`std` is over pictures; `seed_low` and `seed_high` bound the mean over seeds. `difference_low` and `difference_high`
bound `reference_minus_row` over pictures and over seeds: the `difference_seeds` that both rows have, of which a single
one leaves pictures alone. `is_best` is what the tables print bold.
"""


def csv_text(tables: Sequence[ComparisonTable]) -> str:
    """Every cell of every table, a line each; empty where there is nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for table in tables:
        writer.writerows([_csv(value) for value in row] for row in cell_rows(table))
    return text.getvalue()


def cell_rows(table: ComparisonTable) -> list[list[object]]:
    """Every cell of a table as a row of `CSV_COLUMNS`; None where there is nothing."""
    return [
        [
            table.spec.name,
            block.test_set,
            block.pictures,
            block.visible_share,
            row,
            metric,
            *_csv_numbers(cell),
        ]
        for block in table.blocks
        for row, cells in block.rows.items()
        for metric, cell in cells.items()
    ]


def _csv_numbers(cell: Cell) -> list[object]:
    difference, published = cell.difference, [*cell.published, None, None][:2]
    compared = (
        [None] * 4 if difference is None else [difference.mean, *_ends(difference.interval), difference.seeds]
    )
    return [cell.mean, cell.spread, *_ends(cell.interval), *compared, int(cell.is_best), *published]


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else (interval.low, interval.high)


def _csv(value: object) -> object:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value
