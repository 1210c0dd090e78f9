"""The one error that a user sees."""

import difflib
from collections.abc import Iterable


class OccfitError(Exception):
    """Something a user can mend, said in one line.

    Args:
        what: a sentence without a full stop that says what is wrong.
        where: the file, option or sample it is about.
        remedy: a sentence that says what to do about it.
    """

    exit_code = 2

    def __init__(self, what: str, where: object | None = None, remedy: str | None = None):
        self.what, self.where, self.remedy = what, where, remedy
        place = f" [{where}]" if where is not None else ""
        super().__init__(f"{what}{place}" + (f". {remedy}" if remedy else ""))

    def __reduce__(self):
        return type(self), (self.what, self.where, self.remedy)


def nearest(name: str, options: Iterable[str]) -> str:
    """A remedy for a name that isn't one of `options`: the nearest of them, else all."""
    options = sorted(options)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    if close:
        return f"Did you mean '{close[0]}'?"
    return f"Choose from {', '.join(options)}" if options else "Nothing can be set here"
