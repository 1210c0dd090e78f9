"""Reads weight files that others published, without running anything that is in them."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from occfit.errors import OccfitError

StateDict = Mapping[str, Tensor]

_WRAPPERS = ("state_dict", "model")
_NUMPY_PICKLE = {
    (module, name)
    for package in ("numpy.core", "numpy._core")
    for module, name in (
        (f"{package}.multiarray", "_reconstruct"),
        (f"{package}.multiarray", "scalar"),
        (f"{package}.numeric", "_frombuffer"),
    )
} | {("numpy", "ndarray"), ("numpy", "dtype"), ("collections", "OrderedDict"), ("_codecs", "encode")}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds NumPy arrays in plain containers; refuses to look up anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NUMPY_PICKLE:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which weights don't need")
        return super().find_class(module, name)


def read_weights(path: str | Path, remedy: str) -> dict[str, Tensor]:
    """The tensors of a `.safetensors`, `.pkl` (pickled dictionary of NumPy arrays) or PyTorch file, by name.

    A dictionary under `state_dict` or `model` is unwrapped, and so is the prefix `module.` that data-parallel
    training leaves.

    Args:
        path: the weight file.
        remedy: where the file comes from, said when it is missing.

    Raises:
        OccfitError: it is missing, unreadable, or holds something other than tensors under names.
    """
    path = Path(path)
    if not path.is_file():
        raise OccfitError("There is no such weight file", path, remedy)
    try:
        content = _read(path)
    except Exception as error:  # torn pickles raise nearly anything
        reason = " ".join(str(error).split())[:200]
        raise OccfitError(f"The weight file can't be read: {reason}", path, remedy) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise OccfitError("The weight file holds no dictionary of tensors", path, remedy)
    tensors = {str(name).removeprefix("module."): _as_tensor(value) for name, value in content.items()}
    if wrong := [name for name, value in tensors.items() if value is None]:
        raise OccfitError(f"The weight file's '{wrong[0]}' is no tensor", path, remedy)
    return {name: value for name, value in tensors.items() if value is not None}


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    if path.suffix == ".pkl":
        with path.open("rb") as file:
            return _ArrayUnpickler(file, encoding="latin1").load()
    return torch.load(path, map_location="cpu", weights_only=True)


def _as_tensor(value: Any) -> Tensor | None:
    if isinstance(value, np.ndarray | np.generic) and np.asarray(value).dtype.kind in "fiu":
        return torch.from_numpy(np.array(value))
    return value if isinstance(value, Tensor) else None


def load_weights(
    network: nn.Module, weights: StateDict, where: str | Path, ignore: tuple[str, ...] = ()
) -> None:
    """Puts `weights` into `network`.

    Names that begin with one of `ignore` are left out. Counters of batch normalisation
    (`num_batches_tracked`) may be missing: files converted from other frameworks have none.

    Raises:
        OccfitError: a name is missing or unknown, or a shape differs; it says which.
    """
    own = network.state_dict()
    used = {name: value for name, value in weights.items() if not name.startswith(ignore or "\0")}
    missing = [name for name in own if name not in used and not name.endswith("num_batches_tracked")]
    unknown = [name for name in used if name not in own]
    shapes = [name for name in used if name in own and used[name].shape != own[name].shape]
    problems = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise OccfitError(f"The weights don't fit the network: {'; '.join(problems)}", where)
    network.load_state_dict({**own, **used})
