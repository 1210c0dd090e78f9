"""`occfit reproduce`, which `make reproduce-tables` runs: trains what the tables miss, scores it, writes them."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from occfit.apps.arguments import add_runs, parse_arguments
from occfit.runs.outcome import Outcome, describe_error
from occfit.scoring.headings import COMMON

if TYPE_CHECKING:
    from rich.console import Console

    from occfit.scoring.experiments import TableSpec


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 when every run is finished, 1 when one has failed; see `occfit reproduce --help`."""
    parser = argparse.ArgumentParser(
        prog="occfit reproduce",
        description="Trains and scores every system of the tables that isn't finished yet, seed by seed, and writes "
        "the tables. Called again it does nothing; stopped, it goes on where it was. A failed run doesn't end it.",
    )
    add_runs(parser)
    parser.add_argument(
        "--tables", type=Path, nargs="+", metavar="FILE", help="what to compare (experiments/table*.yaml)"
    )
    parser.add_argument(
        "--figures", type=Path, metavar="FILE", help="what to draw (experiments/figures.yaml)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="of the tables (experiments/results/PRESET)")
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="for every run, as `occfit train` takes"
    )
    chosen = parse_arguments(parser, arguments)

    from rich.console import Console

    from occfit.apps.sweep import print_outcomes
    from occfit.publishing.figure_specs import SHIPPED_FIGURES, read_figures
    from occfit.publishing.paper_figures import make_figures, outdated
    from occfit.publishing.table_pages import make_tables, print_tables, shipped_tables
    from occfit.scoring.experiments import read_spec, results_folder

    paths, console = chosen.tables or shipped_tables(), Console()
    specs, figures = [read_spec(path) for path in paths], read_figures(chosen.figures or SHIPPED_FIGURES)
    outcomes = run_all(specs, chosen.preset, chosen.seeds, chosen.runs, chosen.overrides, console)
    output = chosen.out or results_folder(chosen.preset)
    seed, folder = chosen.seeds[0], output / "figures"
    if old := outdated(figures, chosen.runs, chosen.preset, seed, folder):
        make_figures(old, chosen.runs, chosen.preset, seed, folder, console)
    tables = make_tables(chosen.runs, chosen.preset, chosen.seeds, paths, output)
    print_tables(tables, console)
    where = f"Markdown, LaTeX, CSV, index.html and figures: {output}\n"
    console.print(where, highlight=False, markup=False, soft_wrap=True)
    print_outcomes(outcomes, console)
    return int(any(outcome.error for outcome in outcomes))


def run_all(
    specs: Sequence["TableSpec"],
    preset: str,
    seeds: Sequence[int],
    runs: Path,
    overrides: Sequence[str],
    console: "Console",
) -> list[Outcome]:
    """Every row's run of every seed, and what they have in common; finished ones are left as they are."""
    rows = list(dict.fromkeys(row for spec in specs for row in spec.rows))
    outcomes = []
    for seed in seeds:
        for row in rows:
            place = f"{len(outcomes) + 1} of {len(rows) * len(seeds)}"
            console.print(f"{row}, seed {seed} ({place})", highlight=False, markup=False)
            outcomes.append(run_one(row, preset, seed, runs, overrides))
        for spec in specs:
            if COMMON in spec.metrics:
                outcomes += compare_one(spec, preset, seed, runs)
    return outcomes


def run_one(row: str, preset: str, seed: int, runs: Path, overrides: Sequence[str]) -> Outcome:
    """Trains and scores one system, or goes on with it. Only Ctrl-C and its like end more than this run."""
    from occfit.apps.train import train_and_evaluate
    from occfit.runs.config import compose
    from occfit.runs.stopped import StoppedError

    folder, name = runs / f"{row}-{preset}-{seed}", f"{row}, seed {seed}"
    if (folder / "metrics.json").exists():
        return Outcome(str(folder), name)
    settings = [f"pipeline={row}", f"preset={preset}", f"seed={seed}", f"output={folder}"]
    try:
        resume = f"resume={str((folder / 'config.yaml').exists()).lower()}"
        train_and_evaluate(compose([*settings, resume, *overrides]))
    except StoppedError:
        raise
    except Exception as error:
        return Outcome(str(folder), name, describe_error(error))
    return Outcome(str(folder), name)


def compare_one(spec: "TableSpec", preset: str, seed: int, runs: Path) -> list[Outcome]:
    """Scores a table's rows on their common region, once all of them are there; an outcome only if that fails."""
    from occfit.apps.compare import compare

    folder = runs / f"common-{preset}-{seed}"
    members = [runs / f"{row}-{preset}-{seed}" for row in spec.rows]
    is_ready = all((member / "metrics.json").exists() for member in members)
    if (folder / "metrics.json").exists() or not is_ready:
        return []
    try:
        compare(members, folder)
    except Exception as error:
        return [Outcome(str(folder), f"common region of {spec.title}, seed {seed}", describe_error(error))]
    return []
