"""How often a function is called."""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def watch_calls(function: Callable) -> Iterator[list[str]]:
    """Within it, the list grows by a name for each call of `function` in this thread, which works as ever."""
    code, calls, before = inspect.unwrap(function).__code__, [], sys.getprofile()

    def note(frame, event, argument):
        if event == "call" and frame.f_code is code:
            calls.append(code.co_name)

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(before)
