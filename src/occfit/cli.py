"""The command line: `occfit COMMAND ...`. A user's mistake is one line on stderr and a non-zero exit code."""

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from occfit import __version__
from occfit.errors import OccfitError, nearest

COMMANDS = {
    "train": (
        "occfit.apps.train",
        "train a system, score it and keep everything in a folder (KEY=VALUE ...)",
    ),
    "evaluate": ("occfit.apps.evaluate", "score a checkpoint on test sets (KEY=VALUE ...)"),
    "prepare": ("occfit.apps.prepare", "turn photographs into prepared data (KEY=VALUE ...)"),
    "data": ("occfit.apps.data", "check prepared data, or say what is in it"),
    "compare": ("occfit.apps.compare", "score several runs on the pixels that all of them explain"),
    "tables": ("occfit.apps.tables", "write the paper's tables from scored runs: Markdown, LaTeX, CSV, HTML"),
    "reproduce": ("occfit.apps.reproduce", "train what the tables miss, score it and write the tables"),
    "figures": ("occfit.apps.figures", "draw the paper's figures from trained runs, by rules"),
    "predict": ("occfit.apps.predict", "fit photographs: masks, meshes, parameters and a gallery"),
    "release": ("occfit.apps.release", "turn a checkpoint into two small files to share"),
    "landmarks": ("occfit.apps.landmarks", "train the network that finds landmarks in photographs"),
    "demo": ("occfit.apps.demo", "train on synthetic faces and write a report with pictures"),
}

NO_LIBGL = (
    "The OpenCV that is installed here has windows, and needs libGL, which is missing (face-alignment brings it). Say"
    " pip uninstall -y opencv-python && pip install --force-reinstall --no-deps opencv-python-headless"
)


def usage() -> str:
    lines = [f"  {name:<11}{summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        [
            "occfit COMMAND [...]",
            "",
            *lines,
            "",
            "`occfit COMMAND --help` says more. OCCFIT_TRACEBACK=1 shows where an error arose.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0, 2 after a mistake that the user can mend, 1 after any other."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    return exit_code_of(lambda: command(arguments[0])(arguments[1:]))


def exit_code_of(work: Callable[[], int]) -> int:
    """Does the work of a command; an error becomes one line and an exit code, unless OCCFIT_TRACEBACK is set."""
    with terminated_gently():
        return work() if os.environ.get("OCCFIT_TRACEBACK") else _reported(work)


def _reported(work: Callable[[], int]) -> int:
    try:
        code = work()
        sys.stdout.flush()
        return code
    except OccfitError as error:
        print(f"occfit: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            "occfit: Stopped. What was finished is kept; the same command goes on from there", file=sys.stderr
        )
        return 130
    except (
        BrokenPipeError
    ):  # whoever read the output has seen enough; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:
        if isinstance(error, ImportError) and "libGL" in str(error):
            print(f"occfit: {NO_LIBGL}", file=sys.stderr)
            return 2
        reason = " ".join(str(error).split()) or "no reason given"
        what = f"{type(error).__name__}: {reason}. OCCFIT_TRACEBACK=1 shows where"
        print(f"occfit: {what}", file=sys.stderr)
        return 1


@contextmanager
def terminated_gently() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does, so that it can end the processes that it has started."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def command(name: str) -> Callable[[Sequence[str]], int]:
    """The `main` of a command's module, imported now and not before.

    Raises:
        OccfitError: there is no such command.
    """
    if name not in COMMANDS:
        raise OccfitError(f"There is no command '{name}'", remedy=nearest(name, COMMANDS))
    return importlib.import_module(COMMANDS[name][0]).main


if __name__ == "__main__":
    sys.exit(main())
