import csv

import pytest

from occfit.runs.logs.csv_log import CSVLog

pytestmark = pytest.mark.unit


def rows(log: CSVLog) -> list[dict[str, str]]:
    with log.path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_and_late_columns(tmp_path):
    log = CSVLog(tmp_path, "alternate", flush_every=2)
    log.begin(0)
    for step in range(1, 4):
        log.log_metrics({"train/a": step / 2}, step)
    log.log_metrics({"val/b": 7.0}, 3)
    log.finalize("success")
    assert [row["step"] for row in rows(log)] == ["1", "2", "3", "3"]
    assert [row["train/a"] for row in rows(log)] == ["0.5", "1.0", "1.5", ""]
    assert rows(log)[-1]["val/b"] == "7.0"


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_resumed_log_is_the_uninterrupted_one(tmp_path, stop):
    def write(log: CSVLog, first: int, last: int) -> None:
        for step in range(first, last + 1):
            log.log_metrics({"train/a": 1 / step} | ({"val/b": step} if step == 3 else {}), step)
        log.save()

    whole, resumed = CSVLog(tmp_path, "whole"), CSVLog(tmp_path, "resumed")
    whole.begin(0)
    write(whole, 1, 6)
    resumed.begin(0)
    write(resumed, 1, 5)  # beyond the last checkpoint
    again = CSVLog(tmp_path, "resumed")
    again.begin(stop)
    write(again, stop + 1, 6)
    assert again.path.read_bytes() == whole.path.read_bytes()


def test_beginning_anew_forgets_an_older_log(tmp_path):
    log = CSVLog(tmp_path, "alternate")
    log.begin(0)
    log.log_metrics({"a": 1.0}, 1)
    log.finalize("success")
    CSVLog(tmp_path, "alternate").begin(0)
    assert not log.path.exists()
