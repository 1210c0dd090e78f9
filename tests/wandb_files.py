"""Reads what an offline run of Weights & Biases has left on disk: a LevelDB log of protobuf records."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BLOCK, HEADER = 32_768, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
LAST_RECORD = "exit"
DEADLINE = 300.0
"""Seconds after which a run that was finished must be whole on disk, on whatever machine."""


@dataclass
class OfflineRun:
    """What one run was told.

    Attributes:
        history: key -> its values in order.
    """

    folder: Path
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: dict[str, list[Any]] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)


def read_runs(folder: Path) -> list[OfflineRun]:
    """Every offline run below a folder; each must have been finished."""
    return [read_run(log_file(path)) for path in sorted(folder.rglob("offline-run-*"))]


def log_file(folder: Path) -> Path:
    """Where a run's folder, `offline-run-TIME-ID`, has its log; it need not be there yet."""
    return folder / f"run-{folder.name.rpartition('-')[2]}.wandb"


def read_run(path: Path) -> OfflineRun:
    run = OfflineRun(path.parent)
    for record in whole_log(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.group, run.job_type, run.tags = (
                record.run.run_group,
                record.run.job_type,
                list(record.run.tags),
            )
            run.config |= entries(record.run.config.update)
        elif kind == "config":
            run.config |= entries(record.config.update)
        elif kind == "history":
            for key, value in entries(record.history.item).items():
                run.history.setdefault(key, []).append(value)
        elif kind == "summary":
            run.summary |= entries(record.summary.update)
    return run


def whole_log(path: Path, deadline: float = DEADLINE) -> list[Any]:
    """The records of a finished run, once its last one is there.

    Another process writes them, and goes on with it after `finish` has returned.

    Raises:
        TimeoutError: the last record doesn't come.
    """
    until = time.monotonic() + deadline
    while True:
        log = parse(path.read_bytes()) if path.exists() else []
        kinds = [record.WhichOneof("record_type") for record in log]
        if LAST_RECORD in kinds:
            return log
        if time.monotonic() > until:
            raise TimeoutError(f"No '{LAST_RECORD}' record within {deadline:.0f} s in {path}: {kinds}")
        time.sleep(0.05)


def parse(content: bytes) -> list[Any]:
    """The log's records, up to one that is still being written."""
    from google.protobuf.message import DecodeError
    from wandb.proto import wandb_internal_pb2

    log = []
    for data in records(content):
        record = wandb_internal_pb2.Record()  # pyright: ignore[reportAttributeAccessIssue]
        try:
            record.ParseFromString(data)
        except DecodeError:
            break
        log.append(record)
    return log


def entries(items: Any) -> dict[str, Any]:
    """Key -> value; a value that is a mapping comes in pieces, each with the keys that lead to it."""
    found: dict[str, Any] = {}
    for item in items:
        first, *rest = [item.key] if item.key else list(item.nested_key)
        place, last = found, first
        for key in rest:
            place, last = place.setdefault(last, {}), key
        place[last] = json.loads(item.value_json)
    return found


def records(content: bytes) -> Iterator[bytes]:
    """The log's whole records; a record may be cut into fragments, none of which crosses a block's end."""
    position, parts = HEADER, []  # the file begins with a header of its own
    while position + HEADER <= len(content):
        left = BLOCK - position % BLOCK
        if left < HEADER:
            position += left
            continue
        length = int.from_bytes(content[position + 4 : position + 6], "little")
        kind = content[position + 6]
        if kind not in (FULL, FIRST, MIDDLE, LAST):
            return
        if position + HEADER + length > len(content):
            return
        parts.append(content[position + HEADER : position + HEADER + length])
        position += HEADER + length
        if kind in (FULL, LAST):
            yield b"".join(parts)
            parts = []
