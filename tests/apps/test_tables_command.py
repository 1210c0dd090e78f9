"""`occfit tables`: what it writes, and that it says the same everywhere."""

import csv
import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import canned
import pytest
from wandb_files import read_runs

from occfit.apps.tables import main

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
SPECS = [str(path) for path in sorted((ROOT / "experiments").glob("table*.yaml"))]


@pytest.fixture
def written(tmp_path) -> Path:
    for row, shift in (("pretrained", 0.0), ("baseline", 0.01), ("proposed", 0.02)):
        for seed in (0, 1, 2):
            canned.write_run(tmp_path / "runs", row, seed, shift)
    runs, out = tmp_path / "runs", tmp_path / "out"
    assert main(["--runs", str(runs), "--seeds", "0", "1", "2", "--tables", *SPECS, "--out", str(out)]) == 0
    return out


def test_markdown_has_ours_beside_the_papers(written):
    text = (written / "table4.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("| pretrained"))
    assert "paper 0.92" in line
    assert "±" in line
    assert "[" in line
    assert "**" in next(line for line in text.splitlines() if line.startswith("| proposed"))
    assert "75% of the region" in text
    assert "†" not in text.partition("## neutral")[2]


def test_a_single_seed_makes_nothing_bold_and_is_marked(written):
    runs, out = written.parent / "runs", written.parent / "single"
    main(["--runs", str(runs), "--seeds", "0", "--tables", *SPECS, "--out", str(out)])
    text = (out / "table4.md").read_text()
    assert "**" not in text
    line = next(line for line in text.partition("minus the others")[2].splitlines() if "| baseline" in line)
    assert line.count("] †") == 2
    with (out / "tables.csv").open() as file:
        seeds = {line["difference_seeds"] for line in csv.DictReader(file)}
    assert seeds == {"1", ""}


def test_a_missing_run_is_a_dash_and_the_command_that_makes_it(written):
    text = (written / "table4.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("| neighbour"))
    assert line.count("–") == 6
    runs = written.parent / "runs"
    assert f"occfit train pipeline=neighbour preset=laptop seed=1 output={runs}/neighbour-laptop-1" in text


def test_the_csv_has_every_cell(written):
    with (written / "tables.csv").open() as file:
        lines = list(csv.DictReader(file))
    chosen = {(line["table"], line["test_set"], line["row"], line["metric"]): line for line in lines}
    cell = chosen["table4", "glasses", "proposed", "f1"]
    assert float(cell["published_mean"]) == 0.90
    assert float(cell["mean"]) == pytest.approx(0.82, abs=0.05)
    assert chosen["table4", "glasses", "neighbour", "f1"]["mean"] == ""
    assert float(chosen["table4", "glasses", "baseline", "f1"]["reference_minus_row"]) == pytest.approx(
        0.01, abs=0.01
    )
    assert len(chosen) == len(lines)


class Rows(HTMLParser):
    """The texts of the page's table cells."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def test_the_page_says_what_the_csv_says(written):
    page = Rows()
    page.feed((written / "index.html").read_text())
    with (written / "tables.csv").open() as file:
        means = [
            float(line["mean"]) for line in csv.DictReader(file) if line["mean"] and line["metric"] == "f1"
        ]
    for mean in means:
        assert any(cell.startswith(f"{mean:.3f} ±") for cell in page.cells)


def test_latex_is_balanced_and_escaped(written):
    text = (written / "table4.tex").read_text()
    assert text.count("{") == text.count("}")
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert not any("_" in line.replace(r"\_", "").replace("tab:", "") for line in body)
    rows = [line for line in body if line.endswith(r"\\") and "multicolumn" not in line]
    assert {line.count("&") for line in rows} == {6}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX is installed")
def test_latex_compiles(written):
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=written, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.slow
def test_the_tables_are_tables_at_weights_and_biases(written, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    options = [
        "--runs",
        str(written.parent / "runs"),
        "--seeds",
        "0",
        "1",
        "2",
        "--out",
        str(tmp_path / "logged"),
    ]
    assert main([*options, "--tables", *SPECS, "--wandb", "occfit"]) == 0
    (run,) = read_runs(tmp_path / "logged")
    assert run.job_type == "tables"
    for name in ("table1", "table2", "table3", "table4"):
        path = run.history[name][0]["path"]
        table = json.loads((run.folder / "files" / path).read_text())
        assert table["columns"][:6] == ["table", "test_set", "pictures", "visible_share", "row", "metric"]
        cells = {(row[1], row[4], row[5]): row[6] for row in table["data"]}
        if name == "table4":
            assert cells["glasses", "proposed", "f1"] == pytest.approx(0.82, abs=0.05)


@pytest.mark.parametrize("command", ["tables", "figures", "reproduce", "compare"])
def test_help_is_quick(command):
    call = f"try: main(['{command}', '--help'])\nfinally: print(*sys.modules)"
    script = f"import sys\nfrom occfit.cli import main\n{call}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"usage: occfit {command}")
    assert not set(done.stdout.splitlines()[-1].split()) & {"torch", "numpy", "cv2", "matplotlib", "pydantic"}


def test_a_second_call_writes_the_same_bytes(written):
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    runs = written.parent / "runs"
    main(["--runs", str(runs), "--seeds", "0", "1", "2", "--tables", *SPECS, "--out", str(written)])
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before
