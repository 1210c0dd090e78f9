"""Gaussian-process deformations of a face (Lüthi et al., Gaussian Process Morphable Models, PAMI 2018).

A kernel k(x, x') = sum_i s_i^2 exp(-|x - x'|^2 / (2 l_i^2)) over the template is made even or odd under the
mirror image Rx, k(x, x') ± k(x, Rx'), and replaced by its leading eigenfunctions. These are found on weighted
control points and extended to any point by Nyström's formula, so that every mesh of the template gets the same
functions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from occfit.face_model.builtin.anatomy import Array

Scales = tuple[tuple[float, float], ...]
"""Pairs of standard deviation and length scale (mm)."""

_MIRROR = np.array([-1.0, 1.0, 1.0])
_CHUNK = 4096


@dataclass(frozen=True)
class Controls:
    """Points at x >= 0 where the eigenproblem is solved, with the surface area that each stands for, sum 1."""

    positions: Array
    weights: Array


def mirror_processes(
    controls: Controls, scales: Scales, count: int
) -> Callable[[Array], tuple[Array, Array]]:
    """The `count` leading eigenfunctions of the mirror-even and of the mirror-odd scalar process.

    Returns a function from positions `n 3` (mm) to the even and the odd values, `n count` each, times their
    standard deviations.
    """
    root = np.sqrt(controls.weights)
    direct, mirrored = _kernels(controls.positions, controls.positions, scales)
    even = _extension(root[:, None] * (direct + mirrored) * root, root, count)
    odd = _extension(root[:, None] * (direct - mirrored) * root, root, count)

    def evaluate(positions: Array) -> tuple[Array, Array]:
        blocks = []
        for start in range(0, len(positions), _CHUNK):
            direct, mirrored = _kernels(positions[start : start + _CHUNK], controls.positions, scales)
            blocks.append(((direct + mirrored) @ even, (direct - mirrored) @ odd))
        return np.concatenate([block[0] for block in blocks]), np.concatenate([block[1] for block in blocks])

    return evaluate


def principal_rotation(factors: Array, weights: Array, count: int) -> Array:
    """Turns `n 3 m` independent standard-normal factors into the `count` modes of most variance, `m count`.

    The modes of `factors @ rotation` are orthogonal under the weights (`n`) and sorted by falling variance.
    """
    weighted = (factors * np.sqrt(weights)[:, None, None]).reshape(-1, factors.shape[-1])
    return _leading(weighted.T @ weighted, count)[1]


def _kernels(a: Array, b: Array, scales: Scales) -> tuple[Array, Array]:
    """k(x, x') and k(x, Rx')."""
    return _kernel(a, b, scales), _kernel(a, b * _MIRROR, scales)


def _kernel(a: Array, b: Array, scales: Scales) -> Array:
    squared = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2.0 * a @ b.T, 0.0)
    return np.sum([deviation**2 * np.exp(squared / (-2 * length**2)) for deviation, length in scales], axis=0)


def _extension(matrix: Array, root: Array, count: int) -> Array:
    """What turns kernel values against the controls into eigenfunctions times their standard deviations."""
    values, vectors = _leading(matrix, count)
    return root[:, None] * vectors / np.sqrt(values)


def _leading(matrix: Array, count: int) -> tuple[Array, Array]:
    """The largest eigenvalues, falling, and their vectors, each with a positive entry of largest size."""
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(count)]
    return values, vectors * np.where(largest < 0, -1.0, 1.0)
