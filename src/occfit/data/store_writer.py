"""Writing a prepared store: everything goes to a folder beside the final one, which it becomes by one rename."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from numpy import ndarray
from safetensors.numpy import save_file

from occfit.data.store_format import (
    FIELDS,
    FORMAT,
    MANIFEST,
    MASKS,
    TEXT,
    Manifest,
    encode_texts,
    shard_name,
    text_bytes,
)
from occfit.errors import OccfitError

StoredMask = Bool[ndarray, "n h w"] | UInt8[ndarray, "n h w"] | Float[ndarray, "n h w"]


class StoreWriter:
    """Writes samples in the order they are added.

        with StoreWriter(folder, metadata={"split": "train"}) as writer:
            writer.add(image=..., landmarks=..., visibility=...)

    At the end of the `with` block the folder is there, whole; after an exception there is nothing. A folder that
    already holds a store is replaced, and readers that have it open keep the old one.

    Args:
        folder: the finished store's folder.
        metadata: anything in plain JSON types.
        shard_size: the samples in a shard; it has no influence on the content's digest.

    Raises:
        OccfitError: The folder can't be written or holds something else; raised at the start.
    """

    def __init__(self, folder: Path | str, metadata: Mapping[str, Any] | None = None, shard_size: int = 1024):
        self.folder = Path(folder)
        self.metadata = json.loads(json.dumps(dict(metadata or {}), allow_nan=False))
        self.shard_size = shard_size
        self._partial = self.folder.with_name(f".{self.folder.name}.{os.getpid()}.partial")
        self._waiting: list[dict[str, ndarray]] = []
        self._waiting_texts: list[str] = []
        self._shards: list[int] = []
        self._hashes: dict[str, Any] = {}
        self._shape = (0, 0)
        self._count = 0
        _refuse_foreign(self.folder)
        try:
            shutil.rmtree(self._partial, ignore_errors=True)
            self._partial.mkdir(parents=True)
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.finish()
        else:
            self.discard()

    def add(
        self,
        *,
        image: UInt8[ndarray, "n h w 3"],
        landmarks: Float[ndarray, "n 68 2"],
        visibility: StoredMask | None = None,
        known: StoredMask | None = None,
        face_region: StoredMask | None = None,
        params: Float[ndarray, "n 257"] | None = None,
        kind: Int[ndarray, " n"] | None = None,
        held_out: Bool[ndarray, " n"] | None = None,
        identity: Int[ndarray, " n"] | None = None,
        aligned_to_photo: Float[ndarray, "n 2 3"] | None = None,
        provenance: Sequence[str] | None = None,
    ) -> None:
        """Adds some samples. What the first call gives, every call must give.

        Args:
            image: RGB pictures.
            landmarks: 68 iBUG points in pixels, the first pixel's centre at (0.5, 0.5).
            visibility: the true mask: True, 255 or 1.0 where the face is visible.
            known: the pixels where somebody knows whether they show the face; by default all of them. `visibility` is
                kept as 0 elsewhere, and must be given as well.
            face_region: the true region of the whole face, its hidden parts included.
            params: the true 257 parameters.
            kind: what hides the face, a number whose meaning the metadata may tell.
            held_out: whether the occluder occurs only in test sets.
            identity: the person's number.
            aligned_to_photo: the inverse alignment of each sample.
            provenance: where each sample is from.

        Raises:
            OccfitError: a value isn't a finite number, or the disk is full.
            ValueError: pictures of another size, or other fields than in the first call.
        """
        given = {
            "image": image,
            "landmarks": landmarks,
            "visibility": visibility,
            "known": known,
            "face_region": face_region,
            "params": params,
            "kind": kind,
            "held_out": held_out,
            "identity": identity,
            "aligned_to_photo": aligned_to_photo,
        }
        arrays = {name: _stored(name, value) for name, value in given.items() if value is not None}
        if known is not None:
            arrays["visibility"] = np.where(arrays["known"] > 0, arrays["visibility"], np.uint8(0))
        texts = None if provenance is None else list(provenance)
        self._check(arrays, texts)
        for name, value in arrays.items():
            self._hashes[name].update(value.tobytes())
        if texts is not None:
            self._waiting_texts += texts
            self._hashes[TEXT].update(text_bytes(texts))
        self._waiting.append(arrays)
        self._count += len(image)
        while self._count - self.shard_size * len(self._shards) >= self.shard_size:
            self._write_shard(self.shard_size)

    def finish(self) -> Path:
        """Writes what is left and the manifest, and gives the store its name.

        Raises:
            OccfitError: no sample was added, or the disk is full.
        """
        try:
            if self._count == 0:
                raise OccfitError(
                    "Nothing was added to the store", self.folder, "Give it at least one sample"
                )
            if left := self._count - self.shard_size * len(self._shards):
                self._write_shard(left)
            self._seal()
        except BaseException:
            self.discard()
            raise
        return self.folder

    def discard(self) -> None:
        """Forgets everything that was added."""
        shutil.rmtree(self._partial, ignore_errors=True)

    def _check(self, arrays: dict[str, ndarray], texts: list[str] | None) -> None:
        names = [*arrays, *([] if texts is None else [TEXT])]
        if not self._hashes:
            self._shape = arrays["image"].shape[1:3]
            self._hashes = {name: hashlib.sha256() for name in names}
        if names != list(self._hashes):
            raise ValueError(f"the store keeps {', '.join(self._hashes)}, but was given {', '.join(names)}")
        lengths = {len(value) for value in arrays.values()} | ({len(texts)} if texts is not None else set())
        if len(lengths) != 1:
            raise ValueError(f"arrays of different lengths: {sorted(lengths)}")
        for name, value in arrays.items():
            if value.shape[1:] != FIELDS[name].sized(*self._shape):
                raise ValueError(f"{name} has shape {value.shape[1:]} in a store of {self._shape} pixels")
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                sample = int(np.argmin(np.isfinite(value).reshape(len(value), -1).all(axis=1)))
                where = texts[sample] if texts else f"sample {self._count + sample}"
                raise OccfitError(f"The {name} hold a value that isn't a number", where, "Leave it out")

    def _write_shard(self, count: int) -> None:
        joined = {name: np.concatenate([part[name] for part in self._waiting]) for name in self._waiting[0]}
        self._waiting = [{name: value[count:] for name, value in joined.items()}]
        shard = {name: np.ascontiguousarray(value[:count]) for name, value in joined.items()}
        if self._waiting_texts:
            shard |= encode_texts(self._waiting_texts[:count])
            self._waiting_texts = self._waiting_texts[count:]
        path = self._partial / shard_name(len(self._shards))
        try:
            save_file(shard, path)
            _sync(path)
            self._shards.append(path.stat().st_size)
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def _seal(self) -> None:
        manifest = Manifest(
            format=FORMAT,
            count=self._count,
            shard_size=self.shard_size,
            height=self._shape[0],
            width=self._shape[1],
            fields=[name for name in self._hashes if name != TEXT],
            provenance=TEXT in self._hashes,
            shards=self._shards,
            digest=content_digest({name: running.hexdigest() for name, running in self._hashes.items()}),
            metadata=self.metadata,
        )
        try:
            _sync(manifest.write(self._partial))
            _sync(self._partial)
            _replace(self._partial, self.folder)
            _sync(self.folder.parent)
        except OSError as error:
            raise _unwritable(self.folder, error) from error


def content_digest(hashes: Mapping[str, str]) -> str:
    """SHA-256 of the fields' names and of each one's SHA-256 over all samples."""
    return hashlib.sha256(json.dumps([FORMAT, sorted(hashes.items())]).encode()).hexdigest()


def _stored(name: str, value: Shaped[ndarray, "..."]) -> Shaped[ndarray, "..."]:
    if name in MASKS and value.dtype.kind in "bf":
        value = np.round(np.clip(value.astype(np.float32), 0, 1) * 255)
    return np.ascontiguousarray(value, dtype=FIELDS[name].dtype)


def _replace(partial: Path, folder: Path) -> None:
    old = partial.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _refuse_foreign(folder: Path) -> None:
    is_free = not folder.exists() or (
        folder.is_dir() and ((folder / MANIFEST).exists() or not any(folder.iterdir()))
    )
    if not is_free:
        raise OccfitError("A store would replace something else", folder, "Name an empty or new folder")


def _unwritable(folder: Path, error: OSError) -> OccfitError:
    reason = f"The store can't be written: {error.strerror or error}"
    return OccfitError(reason, folder, "Choose a folder that you may write to, with enough space")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
