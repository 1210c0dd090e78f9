"""Finished training stages, each under the digest of everything that decides its result.

    root/<digest>.lock        held by the process that builds the stage
    root/<digest>.partial/    what it has written so far
    root/<digest>/            the finished stage, with manifest.json: its key and the digest of every file

A stage becomes finished by one rename, after its files have reached the disk.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

MANIFEST = "manifest.json"
RECORD = "record.json"
"""What a stage says of itself: `steps`, `seconds`, and what else it measured."""


@dataclass(frozen=True)
class StageKey:
    """Everything that decides a stage's result. Paths, loggers and the number of loader processes don't.

    Attributes:
        stage: its name.
        version: bumped by hand when the code computes something else from the same configuration.
        config: the resolved subtrees of data, models, networks, objective, optimizer and schedule.
        seed: the run's seed.
        precision: resolved, never `auto`.
        batch: images a step over all processes.
        threads: CPU threads, since sums in another order are other sums.
        device: its type, `cpu` or `cuda`.
        torch: its version.
        packages: the versions of the other packages that make pixels.
        parent: the digest of the stage before it.
        files: the digests of external files: face model, recognition weights, data.
        processes: the number of those that share a batch, since their sums are added in another order.
    """

    stage: str
    version: int
    config: Mapping[str, Any]
    seed: int
    precision: str
    batch: int
    threads: int
    device: str
    torch: str
    packages: Mapping[str, str] = field(default_factory=dict)
    parent: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    processes: int = 1

    def digest(self) -> str:
        """SHA-256 of the key's canonical JSON, in which one process isn't mentioned."""
        entries = asdict(self)
        if self.processes == 1:
            del entries["processes"]
        return hashlib.sha256(canonical_json(entries).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """The one spelling of a value: sorted keys, no spaces, ASCII, no NaN.

    Raises:
        TypeError: it holds something other than plain containers and scalars.
        ValueError: it holds NaN or an infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class StageStore:
    """Builds each stage once, whoever asks, and keeps it."""

    def __init__(self, root: Path):
        self.root = root

    def find(self, key: StageKey) -> Path | None:
        """The finished stage's folder; None where it isn't there or isn't whole."""
        folder = self.root / key.digest()
        return folder if is_whole(folder) else None

    def get(
        self,
        key: StageKey,
        build: Callable[[Path], None],
        on_wait: Callable[[], None] = lambda: None,
    ) -> Path:
        """The finished stage's folder; where there is none, `build` fills an empty one first.

        Where another process is building the same stage, calls `on_wait` and waits for it. If that process
        dies, the operating system frees its lock and this one builds. An exception in `build` leaves nothing.
        """
        if found := self.find(key):
            return found
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / f"{key.digest()}.lock")
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            held = lock.acquire()
        with held:
            return self.find(key) or self._build(key, build)

    def _build(self, key: StageKey, build: Callable[[Path], None]) -> Path:
        folder = self.root / key.digest()
        partial = self.root / f"{key.digest()}.partial"
        for leftover in (partial, folder):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir()
        try:
            build(partial)
            _seal(partial, key)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        partial.rename(folder)
        _sync(self.root)
        return folder


def is_whole(folder: Path) -> bool:
    """Whether a folder is a finished stage: its manifest is there and every file has the digest it says."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        return all(file_digest(folder / name) == digest for name, digest in manifest["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _seal(folder: Path, key: StageKey) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): file_digest(path) for path in files}
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"key": asdict(key), "files": digests}, indent=1))
    for path in (*files, manifest, folder):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
