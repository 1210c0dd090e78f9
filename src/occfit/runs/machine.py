"""The machine a run computes on: its threads, its precision, and what to record of it beside a result."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from occfit.errors import OccfitError

RECORDED_PACKAGES = ("torch", "lightning", "numpy", "numba", "opencv-python-headless", "albumentations")


@dataclass(frozen=True)
class Machine:
    """What a run computes with, everything `auto` resolved.

    Attributes:
        device: its type, `cpu` or `cuda`.
        precision: as Lightning names it.
        threads: CPU threads of each process.
        processes: those that train together.
    """

    device: str
    precision: str
    threads: int
    processes: int = 1


def prepare_machine(
    accelerator: str, precision: str, threads: int | None, processes: int = 1, here: int = 1
) -> Machine:
    """Resolves what is `auto` and sets the threads of this process.

    Args:
        processes: the number of those that train together.
        here: how many of them share this machine's cores.
    """
    device = resolve_accelerator(accelerator)
    share = max(1, available_cores() // here)
    return Machine(device, resolve_precision(precision, device), set_threads(threads or share), processes)


def available_cores() -> int:
    """The CPU cores this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(count: int | None) -> int:
    """Gives torch, numba and OpenCV the same number of threads, by default one a core, and returns it.

    NUMBA_NUM_THREADS and OMP_NUM_THREADS are upper bounds, as everywhere.
    """
    import cv2
    import numba

    bound = min(int(os.environ.get(name, 1024)) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"))
    count = max(1, min(count or available_cores(), bound, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    torch.set_num_threads(count)
    numba.set_num_threads(count)
    cv2.setNumThreads(count)
    return count


def resolve_accelerator(accelerator: str) -> str:
    """`auto` as what it means here: `cuda` with a device, else `cpu`.

    Raises:
        OccfitError: a GPU is asked for, and torch has none here.
    """
    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    device = "cuda" if accelerator == "gpu" else accelerator
    require_device(device)
    return device


def require_device(device: str) -> None:
    """Checks that torch can compute there.

    Raises:
        OccfitError: it can't, or there is no such kind of device.
    """
    try:
        torch.zeros(1, device=device).add_(1).item()
    except (RuntimeError, AssertionError) as error:
        remedy = "Use cpu, or cuda where torch finds a GPU"
        raise OccfitError(f"torch can't compute on '{device}' here", remedy=remedy) from error


def resolve_precision(precision: str, device: str) -> str:
    """`auto` as bf16-mixed where hardware multiplies bfloat16 (several times faster), else 32-true.

    Never fp16: its range needs loss scaling, which skips steps, and the clock counts steps.
    """
    if precision != "auto":
        return precision
    if device == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if fast else "32-true"


def describe_machine(device: str) -> dict[str, Any]:
    """What `metrics.json` says of the machine: commit, versions, threads, device."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    return {
        "commit": commit(),
        "versions": {"python": platform.python_version(), "occfit": version("occfit")}
        | {package: version(package) for package in RECORDED_PACKAGES},
        "threads": torch.get_num_threads(),
        "device": {"type": device, "name": name},
    }


def commit() -> str | None:
    """The checkout's commit, with `-dirty` where files differ from it; None outside a checkout."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
