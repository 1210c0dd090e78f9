"""The words: lines that fit, a README that is short, descriptions that begin with a noun, links that lead somewhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "occfit"
WIDTH = 120

MADE = ("experiments/results", ".venv", "build", "runs", "assets", "node_modules")
"""Folders whose files are made by a program or aren't ours."""

SECTIONS = ("Args:", "Attributes:")
DESCRIPTION = re.compile(r"\s+\*{0,2}[\w., *]+: (?P<text>.*)")
PRAGMA = re.compile(r"\s*# (?:type: ignore|pyright: ignore|noqa).*$")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(<?(?P<target>[^)\s>]+)")
NAMED = re.compile(r"`(?P<path>(?:src|conf|docs|experiments|tests|benchmarks)/[\w./-]+)`")


def files(suffix: str) -> list[Path]:
    """The checkout's files with this suffix, without what is made."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob(f"*{suffix}"))
    return sorted(path for path in found if not path.as_posix().startswith(MADE) and path.parts[0][0] != ".")


def long_lines(text: str) -> list[int]:
    """The numbers of the lines that are too long; tables, addresses and remarks to a checker don't count."""
    lines = enumerate((PRAGMA.sub("", line) for line in text.splitlines()), start=1)
    return [n for n, line in lines if len(line) > WIDTH and not line.startswith("|") and "://" not in line]


def descriptions(text: str) -> Iterator[str]:
    """What a module's docstrings say of each argument and attribute."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from described(ast.get_docstring(node) or "")


def described(docstring: str) -> Iterator[str]:
    """The first lines below `Args:` and `Attributes:` that describe something."""
    section = False
    for line in docstring.splitlines():
        if line and not line.startswith(" "):
            section = line in SECTIONS
        elif section and line.startswith("    ") and line[4] != " " and (found := DESCRIPTION.match(line)):
            yield found["text"]


def broken_links(page: Path) -> list[str]:
    """A page's links and named files that lead nowhere."""
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    targets = [
        found["target"].partition("#")[0] for found in LINK.finditer(text) if "://" not in found["target"]
    ]
    missing = [target for target in targets if target and not (ROOT / page.parent / target).exists()]
    named = (found["path"] for found in NAMED.finditer(text))
    return missing + [path for path in named if "NAME" not in path and not (ROOT / path).exists()]


@pytest.mark.parametrize("suffix", [".py", ".md"])
def test_no_line_is_too_long(suffix):
    pages = files(suffix)
    assert len(pages) > 10
    found = {str(path): long_lines((ROOT / path).read_text(encoding="utf-8")) for path in pages}
    assert not {path: lines for path, lines in found.items() if lines}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_readme_names_the_two_commands():
    assert {"make demo", "make test"} <= set(re.findall(r"make \w+", (ROOT / "README.md").read_text()))


def sources() -> list[Path]:
    return sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("source", sources(), ids=str)
def test_a_description_begins_with_a_noun(source):
    text = (PACKAGE / source).read_text(encoding="utf-8")
    assert [line for line in descriptions(text) if line.startswith("of ")] == []


@pytest.mark.parametrize("page", files(".md"), ids=str)
def test_every_link_leads_somewhere(page):
    assert broken_links(page) == []


def test_what_the_checks_find(tmp_path):
    docstring = (
        'def f(a, b):\n    """Does it.\n\n    Args:\n        a: of what is done.\n        b: the rest,\n'
    )
    docstring += '            and of more.\n\n    Raises:\n        Error: of course.\n    """\n'
    assert list(descriptions(docstring)) == ["of what is done.", "the rest,"]
    assert long_lines("a" * 121 + "\n" + "a" * 120 + "\n|" + "a" * 130 + "\nhttps://" + "a" * 130) == [1]
    page = tmp_path / "page.md"
    page.write_text(
        "[a](page.md) [b](gone.md#part) [c](https://x.y/z) `src/occfit/gone.py` `src/occfit/types.py`"
    )
    assert broken_links(page) == ["gone.md", "src/occfit/gone.py"]
