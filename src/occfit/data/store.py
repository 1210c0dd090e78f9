"""The prepared store: aligned samples of any source, ready to be read in any order."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from numpy import ndarray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from occfit.data.store_format import (
    FIELDS,
    MASKS,
    PREPARE_AGAIN,
    TEXT,
    TEXT_ENDS,
    decode_text,
    read_manifest,
    shard_name,
    text_bytes,
)
from occfit.data.store_writer import StoreWriter, content_digest
from occfit.errors import OccfitError
from occfit.types import FaceBatch

__all__ = ["PreparedStore", "StoreWriter", "as_batch"]

Indices = Sequence[int] | Shaped[ndarray, " n"] | Shaped[Tensor, " n"]


class PreparedStore:
    """A finished store. Its arrays are mapped into memory, so opening is cheap and processes share the pages.

    A store can be sent to other processes: they get its folder and open it themselves.

    Args:
        folder: a folder that a `StoreWriter` has finished.

    Raises:
        OccfitError: there is no finished store, it is of another format, has no samples, or a shard is missing or
            cut short.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self._shards: dict[int, dict[str, ndarray]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])

    def __len__(self) -> int:
        return self.manifest.count

    def __getitem__(self, index: int) -> FaceBatch:
        """One sample, as a batch of one. Negative numbers count from the end, as in a list."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return self.batch([index % len(self)])

    def __repr__(self) -> str:
        height, width = self.size
        return f"PreparedStore({str(self.folder)!r}: {len(self)} samples of {width} x {height} pixels)"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures in pixels."""
        return self.manifest.height, self.manifest.width

    @property
    def fields(self) -> tuple[str, ...]:
        """What is kept of each sample: names of `FIELDS`."""
        return tuple(self.manifest.fields)

    @property
    def digest(self) -> str:
        """SHA-256 of all samples, as the writer took it."""
        return self.manifest.digest

    @property
    def metadata(self) -> dict[str, Any]:
        return self.manifest.metadata

    def batch(self, indices: Indices) -> FaceBatch:
        """Some samples in the given order; what isn't kept is None."""
        return as_batch(self.arrays(indices), indices)

    def arrays(self, indices: Indices, fields: Sequence[str] | None = None) -> dict[str, ndarray]:
        """Copies of the stored arrays at some samples, in the given order; of these fields, or of all."""
        positions = np.asarray(indices, dtype=np.int64)
        if len(positions) and (positions.min() < 0 or positions.max() >= len(self)):
            raise IndexError(f"samples {positions.min()} to {positions.max()} of {len(self)}")
        shards, rows = np.divmod(positions, self.manifest.shard_size)
        places = [(int(number), np.flatnonzero(shards == number)) for number in np.unique(shards)]
        found = {}
        for name in self.fields if fields is None else fields:
            values = np.empty((len(positions), *FIELDS[name].sized(*self.size)), FIELDS[name].dtype)
            for number, place in places:
                values[place] = self._shard(number)[name][rows[place]]
            found[name] = values
        return found

    def column(self, name: str) -> ndarray | None:
        """One field of all samples, for the small ones such as `identity`; None if it isn't kept."""
        if name not in self.fields:
            return None
        return np.concatenate([self._shard(number)[name] for number in range(len(self.manifest.shards))])

    def provenance(self, index: int) -> str | None:
        """Where a sample is from; None if the store doesn't say."""
        if not self.manifest.provenance:
            return None
        number, row = divmod(index, self.manifest.shard_size)
        return decode_text(self._shard(number), row)

    def verify(self) -> None:
        """Reads everything and compares it with the digest.

        Raises:
            OccfitError: something has changed since it was written.
        """
        hashes = {name: hashlib.sha256() for name in (*self.fields, *([TEXT] * self.manifest.provenance))}
        for number in range(len(self.manifest.shards)):
            arrays = self._shard(number)
            for name in self.fields:
                hashes[name].update(arrays[name].tobytes())
            if self.manifest.provenance:
                texts = [decode_text(arrays, row) for row in range(len(arrays[TEXT_ENDS]))]
                hashes[TEXT].update(text_bytes(texts))
        if content_digest({name: running.hexdigest() for name, running in hashes.items()}) != self.digest:
            raise OccfitError("The store isn't what was written", self.folder, PREPARE_AGAIN)

    @cached_property
    def _all_names(self) -> tuple[str, ...]:
        return (*self.fields, *((TEXT, TEXT_ENDS) if self.manifest.provenance else ()))

    def _shard(self, number: int) -> dict[str, ndarray]:
        if number not in self._shards:
            path = self.folder / shard_name(number)
            try:
                with safe_open(path, framework="pt") as file:
                    self._shards[number] = {name: file.get_tensor(name).numpy() for name in self._all_names}
            except (OSError, SafetensorError) as error:
                raise OccfitError("A shard of the store can't be read", path, PREPARE_AGAIN) from error
        return self._shards[number]


def as_batch(arrays: dict[str, ndarray], indices: Indices) -> FaceBatch:
    """Stored arrays as a batch: pictures and masks in [0, 1], channels first."""
    known = {name: torch.from_numpy(arrays[name]) for name in ("params", "held_out") if name in arrays}
    masks = {
        name: torch.from_numpy(arrays[name])[:, None].float().div_(255) for name in MASKS if name in arrays
    }
    return FaceBatch(
        image=torch.from_numpy(arrays["image"]).permute(0, 3, 1, 2).float().contiguous().div_(255),
        landmarks=torch.from_numpy(arrays["landmarks"]),
        index=torch.as_tensor(np.asarray(indices, dtype=np.int64)),
        **known,
        **masks,
    )
