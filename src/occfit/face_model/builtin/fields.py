"""What relief, displacements and colours are made of: bells, steps and fields over the template."""

import numpy as np

from occfit.face_model.builtin.anatomy import Array


def bump(
    x: Array, y: Array, centre: tuple[float, float], radii: tuple[float, float], power: float = 1.0
) -> Array:
    """1 at the centre; a Gaussian bell for power 1, flatter on top and steeper beside for more."""
    squared = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2
    return np.exp(-0.5 * squared**power)


def smooth_maximum(a: Array, b: Array, width: float) -> Array:
    """max(a, b) with its edge rounded over about `width` mm."""
    return 0.5 * (a + b + np.sqrt((a - b) ** 2 + width**2))


def step(value: Array, edge: float, width: float) -> Array:
    """0 well below the edge, 1 well above it."""
    return 0.5 + 0.5 * np.tanh(0.5 * (value - edge) / width)


def field(x: Array | float, y: Array | float, z: Array | float) -> Array:
    """A displacement with the given components, `n 3`."""
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


_AXIS_SHARES = (1.0, 1.07, 0.94)


def along_axes(x: Array, yz: Array) -> list[Array]:
    """Scalar functions as displacements along x, y and z, `n 3 m` each.

    The axes' shares differ a little, so that no two modes have the same variance: an eigensolver would mix such modes
    differently on every machine.
    """
    columns = []
    for axis, values in enumerate((x, yz, yz)):
        displacement = np.zeros((len(values), 3, values.shape[1]))
        displacement[:, axis] = _AXIS_SHARES[axis] * values
        columns.append(displacement)
    return columns
