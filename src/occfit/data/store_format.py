"""The prepared store's layout on disk.

    folder/
      manifest.json               format, number of samples, fields, shards, content digest, metadata
      shard-00000.safetensors     one array a field, the samples in order, `shard_size` of them
      shard-00001.safetensors     ...

Provenance is text, so a shard keeps it as UTF-8 bytes, one after the other, and the position where each ends.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from occfit.errors import OccfitError

FORMAT = 1
MANIFEST = "manifest.json"
PREPARE_AGAIN = "Delete the folder and prepare the data again"

_PIXELS = ("h", "w")


@dataclass(frozen=True)
class Field:
    """What a store keeps of each sample under one name."""

    dtype: str
    shape: tuple[int | str, ...]

    def sized(self, height: int, width: int) -> tuple[int, ...]:
        sides = {"h": height, "w": width}
        return tuple(sides[side] if isinstance(side, str) else side for side in self.shape)


FIELDS = {
    "image": Field("uint8", (*_PIXELS, 3)),
    "landmarks": Field("float32", (68, 2)),
    "visibility": Field("uint8", _PIXELS),
    "known": Field("uint8", _PIXELS),
    "face_region": Field("uint8", _PIXELS),
    "params": Field("float32", (257,)),
    "kind": Field("int16", ()),
    "held_out": Field("bool", ()),
    "identity": Field("int64", ()),
    "aligned_to_photo": Field("float64", (2, 3)),
}
"""Masks are 0..255, 255 = inside. `known` is where somebody knows whether a pixel shows the face, and `visibility` is 0
elsewhere; a store that doesn't keep it knows every pixel of its true masks. `aligned_to_photo` takes points of the
sample to points of its photograph."""

REQUIRED = ("image", "landmarks")
MASKS = ("visibility", "known", "face_region")
TEXT, TEXT_ENDS = "provenance", "provenance_ends"


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says of a store.

    Attributes:
        format: the layout's version; another one can't be read.
        count: the number of samples.
        shard_size: samples in every shard but the last, which may have fewer.
        height, width: the pictures' size in pixels.
        fields: the names kept, in the order of `FIELDS`.
        provenance: whether each sample says where it is from.
        shards: bytes of each shard's file.
        digest: SHA-256 of the samples, whatever the shards' size; metadata isn't part of it.
        metadata: whatever the store's maker wants to say, in plain JSON.
    """

    format: int
    count: int
    shard_size: int
    height: int
    width: int
    fields: list[str]
    provenance: bool
    shards: list[int]
    digest: str
    metadata: dict[str, Any]

    def write(self, folder: Path) -> Path:
        path = folder / MANIFEST
        path.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return path


def shard_name(number: int) -> str:
    return f"shard-{number:05d}.safetensors"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished store, after a look at its shards' sizes.

    Raises:
        OccfitError: there is no finished store, it is of another format, has no samples, or a shard is missing or
            cut short.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        remedy = "Prepare the data first; a store without a manifest was never finished"
        raise OccfitError("There is no prepared store", folder, remedy) from error
    except (OSError, ValueError) as error:
        raise OccfitError("The store's manifest can't be read", path, PREPARE_AGAIN) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        reason = f"The store has format {found}, this version of occfit reads format {FORMAT}"
        raise OccfitError(reason, folder, PREPARE_AGAIN)
    try:
        manifest = Manifest(**content)
    except TypeError as error:
        raise OccfitError("The store's manifest lacks entries", path, PREPARE_AGAIN) from error
    _check_shards(folder, manifest)
    return manifest


def _check_shards(folder: Path, manifest: Manifest) -> None:
    if manifest.count <= 0:
        raise OccfitError("The store has no samples", folder, PREPARE_AGAIN)
    for number, size in enumerate(manifest.shards):
        shard = folder / shard_name(number)
        try:
            found = shard.stat().st_size
        except OSError as error:
            raise OccfitError("A shard of the store is missing", shard, PREPARE_AGAIN) from error
        if found != size:
            reason = f"A shard of the store is torn: it has {found} bytes, not {size}"
            raise OccfitError(reason, shard, PREPARE_AGAIN)


def text_bytes(texts: list[str]) -> bytes:
    """What the digest sees of some texts: the same whether they come at once or in parts."""
    return "".join(f"{json.dumps(text)}," for text in texts).encode()


def encode_texts(texts: list[str]) -> dict[str, np.ndarray]:
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return {TEXT: np.frombuffer(b"".join(encoded), np.uint8), TEXT_ENDS: ends}


def decode_text(arrays: dict[str, np.ndarray], position: int) -> str:
    ends = arrays[TEXT_ENDS]
    start = int(ends[position - 1]) if position else 0
    return arrays[TEXT][start : int(ends[position])].tobytes().decode()
