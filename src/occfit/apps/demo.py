"""`occfit demo`, which `make demo` runs: trains on synthetic faces, scores, and writes a report with pictures."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from occfit.apps import train

DEFAULTS = {"pipeline": "proposed", "preset": "laptop", "output": "runs/demo"}

USAGE = """occfit demo [KEY=VALUE ...]

Trains the proposed system on synthetic faces, scores it on the seven test sets, writes runs/demo/report.html and
prints the scores: at most 15 minutes on two CPU cores. It is

    occfit train pipeline=proposed preset=laptop output=runs/demo

and a report; every KEY=VALUE of `occfit train` can be set. A demo that was stopped goes on where it was."""


def main(arguments: Sequence[str]) -> int:
    """The exit code of training; 0 when everything is written."""
    if any(argument in ("-h", "--help") for argument in arguments):
        print(USAGE)
        return 0
    settings = overrides(arguments)
    run = output_folder(settings)
    is_finished = (run / "metrics.json").exists()
    code = train.main(settings)
    if code == 0 and (run / "metrics.json").exists():  # not after --cfg
        show(run, with_scores=is_finished)
    return code


def overrides(arguments: Sequence[str]) -> list[str]:
    """The demo's settings, but for those given, then those given; `resume=true` where the run was begun."""
    given = {argument.partition("=")[0] for argument in arguments if "=" in argument}
    settings = [f"{key}={value}" for key, value in DEFAULTS.items() if key not in given]
    is_begun = (output_folder([*settings, *arguments]) / "config.yaml").exists()
    return [*settings, *["resume=true"] * (is_begun and "resume" not in given), *arguments]


def output_folder(settings: Sequence[str]) -> Path:
    return Path([setting.partition("=")[2] for setting in settings if setting.startswith("output=")][-1])


def show(run: Path, with_scores: bool) -> None:
    """Writes a scored run's report, and prints its scores unless the scoring has just done so."""
    from occfit.apps.report import report_run
    from occfit.publishing.score_tables import print_scores
    from occfit.scoring.canonical import read_json

    report = report_run(run)
    console = Console()
    if with_scores:
        print_scores(read_json(run / "metrics.json"), console)
    console.print(f"\nPictures, loss curves and all scores: {report}", highlight=False, soft_wrap=True)
