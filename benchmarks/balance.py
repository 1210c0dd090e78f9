"""How the three balances of the objectives hold up: which masks collapse, and what the others score.

    python -m benchmarks.balance [--objectives paper focus balanced] [--rows ROW ...] [--preset laptop] [--seeds 0 1 2]
        [--runs runs] [KEY=VALUE ...]

Trains the five ablations under `objective=paper`, `focus` and `balanced`, each seed, and prints a table. Runs under
`balanced` are those of the tables; finished ones are taken as they are. A mask has collapsed where the training stopped
for it, or where it hides or shows nearly everything that is rendered.
"""

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from occfit.apps.arguments import add_runs, parse_arguments
from occfit.apps.reproduce import run_one
from occfit.cli import exit_code_of
from occfit.runs.outcome import Outcome

OBJECTIVES = ("paper", "focus", "balanced")
ABLATIONS = ("pretrained", "baseline", "neighbour", "perceptual", "proposed")
SETS = ("neutral", "glasses", "scarf")
BLACK, WHITE = 0.05, 0.99
"""A mean visible share, over all pictures behind occluders, beyond which a mask is no mask."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_runs(parser)
    parser.add_argument("--objectives", nargs="+", default=OBJECTIVES, choices=OBJECTIVES)
    parser.add_argument("--rows", nargs="+", default=ABLATIONS, choices=ABLATIONS, metavar="ROW")
    parser.add_argument("overrides", nargs="*")
    chosen = parse_arguments(parser, arguments)
    console = Console()
    table = Table(
        title="F1 of the visible face; mean over the seeds that didn't collapse", title_justify="left"
    )
    for heading in ("objective", "pipeline", "collapsed", *SETS):
        table.add_column(heading)
    for objective in chosen.objectives:
        folder = chosen.runs if objective == "balanced" else chosen.runs / "balance" / objective
        for row in chosen.rows:
            outcomes = []
            for seed in chosen.seeds:
                console.print(f"{objective}: {row}, seed {seed}", highlight=False)
                settings = [f"objective={objective}", *chosen.overrides]
                outcomes.append(run_one(row, chosen.preset, seed, folder, settings))
            table.add_row(objective, row, *describe(outcomes))
    console.print(table)
    return 0


def describe(outcomes: Sequence[Outcome]) -> list[str]:
    """How many of the seeds collapsed, and what the others score."""
    whole = [
        scores["test_sets"] for outcome in outcomes if (scores := outcome.scores()) and not collapsed(scores)
    ]
    errors = {outcome.error for outcome in outcomes if outcome.error}
    unforeseen = [error for error in errors if "masks have turned" not in error]
    count = f"{len(outcomes) - len(whole)} of {len(outcomes)}" + (f" ({unforeseen[0]})" if unforeseen else "")
    means = [
        f"{sum(sets[name]['f1']['mean'] for sets in whole) / len(whole):.3f}" if whole else "–"
        for name in SETS
    ]
    return [count, *means]


def collapsed(scores: dict) -> bool:
    """Whether the masks hide or show nearly everything behind glasses and scarves."""
    shares = [scores["test_sets"][name]["visible_share"] for name in ("glasses", "scarf")]
    return sum(shares) / 2 < BLACK or sum(shares) / 2 > WHITE


if __name__ == "__main__":
    raise SystemExit(exit_code_of(main))
