"""Vertex normals and shading for slices of a batch, forward and backward, on the CPU.

Arrays are C-contiguous; vertices, normals, albedo and their gradients are (b, v, 3). Gradients are added to.
"""

import numpy as np

from occfit.rendering.parallel import compiled

BLOCK = 32


@compiled
def normals_forward(first, last, vertices, triangles, normals, lengths):
    """Fills the unit vectors `normals` and the `lengths` (b, v) that the sums of cross products had."""
    for image in range(first, last):
        for v in range(vertices.shape[1]):
            normals[image, v, 0] = normals[image, v, 1] = normals[image, v, 2] = 0
        for t in range(triangles.shape[0]):
            a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
            ax, ay, az = vertices[image, a, 0], vertices[image, a, 1], vertices[image, a, 2]
            ux, uy, uz = vertices[image, b, 0] - ax, vertices[image, b, 1] - ay, vertices[image, b, 2] - az
            vx, vy, vz = vertices[image, c, 0] - ax, vertices[image, c, 1] - ay, vertices[image, c, 2] - az
            nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
            normals[image, a, 0] += nx
            normals[image, a, 1] += ny
            normals[image, a, 2] += nz
            normals[image, b, 0] += nx
            normals[image, b, 1] += ny
            normals[image, b, 2] += nz
            normals[image, c, 0] += nx
            normals[image, c, 1] += ny
            normals[image, c, 2] += nz
        for v in range(vertices.shape[1]):
            x, y, z = normals[image, v, 0], normals[image, v, 1], normals[image, v, 2]
            length = np.sqrt(x * x + y * y + z * z)
            lengths[image, v] = length
            if length > 0:
                normals[image, v, 0] = x / length
                normals[image, v, 1] = y / length
                normals[image, v, 2] = z / length


@compiled
def normals_backward(first, last, vertices, triangles, normals, lengths, grad_normals, grad_vertices):
    """Adds the gradient with respect to `vertices`. A vertex whose normal is zero passes none."""
    sums = np.empty((vertices.shape[1], 3), vertices.dtype)
    for image in range(first, last):
        for v in range(vertices.shape[1]):
            nx, ny, nz = normals[image, v, 0], normals[image, v, 1], normals[image, v, 2]
            gx, gy, gz = grad_normals[image, v, 0], grad_normals[image, v, 1], grad_normals[image, v, 2]
            along = gx * nx + gy * ny + gz * nz
            length = lengths[image, v]
            scale = 1 / length if length > 0 else vertices.dtype.type(0)
            sums[v, 0] = (gx - along * nx) * scale
            sums[v, 1] = (gy - along * ny) * scale
            sums[v, 2] = (gz - along * nz) * scale
        for t in range(triangles.shape[0]):
            a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
            ax, ay, az = vertices[image, a, 0], vertices[image, a, 1], vertices[image, a, 2]
            ux, uy, uz = vertices[image, b, 0] - ax, vertices[image, b, 1] - ay, vertices[image, b, 2] - az
            vx, vy, vz = vertices[image, c, 0] - ax, vertices[image, c, 1] - ay, vertices[image, c, 2] - az
            gx = sums[a, 0] + sums[b, 0] + sums[c, 0]
            gy = sums[a, 1] + sums[b, 1] + sums[c, 1]
            gz = sums[a, 2] + sums[b, 2] + sums[c, 2]
            bx, by, bz = vy * gz - vz * gy, vz * gx - vx * gz, vx * gy - vy * gx
            cx, cy, cz = gy * uz - gz * uy, gz * ux - gx * uz, gx * uy - gy * ux
            grad_vertices[image, b, 0] += bx
            grad_vertices[image, b, 1] += by
            grad_vertices[image, b, 2] += bz
            grad_vertices[image, c, 0] += cx
            grad_vertices[image, c, 1] += cy
            grad_vertices[image, c, 2] += cz
            grad_vertices[image, a, 0] -= bx + cx
            grad_vertices[image, a, 1] -= by + cy
            grad_vertices[image, a, 2] -= bz + cz


@compiled
def _load_polynomials(normals, start, count, polynomials):
    """Fills (9, BLOCK) with the harmonics' polynomials at `count` normals from `start`; zeros after them."""
    for i in range(BLOCK):
        if i < count:
            x, y, z = normals[start + i, 0], normals[start + i, 1], normals[start + i, 2]
            polynomials[0, i], polynomials[1, i], polynomials[2, i], polynomials[3, i] = 1, y, z, x
            polynomials[4, i], polynomials[5, i] = x * y, y * z
            polynomials[6, i], polynomials[7, i], polynomials[8, i] = 3 * z * z - 1, x * z, x * x - y * y
        else:
            for k in range(9):
                polynomials[k, i] = 0


@compiled
def shade_forward(first, last, albedo, normals, light, colours):
    """Colours under `light` (b, 3, 9), the factors of `spherical_harmonics`' polynomials in its order."""
    polynomials, shading = np.empty((9, BLOCK), albedo.dtype), np.empty(BLOCK, albedo.dtype)
    for image in range(first, last):
        for start in range(0, albedo.shape[1], BLOCK):
            count = min(BLOCK, albedo.shape[1] - start)
            _load_polynomials(normals[image], start, count, polynomials)
            for c in range(3):
                shading[:] = 0
                for k in range(9):
                    factor = light[image, c, k]
                    for i in range(BLOCK):
                        shading[i] += factor * polynomials[k, i]
                for i in range(count):
                    colours[image, start + i, c] = albedo[image, start + i, c] * shading[i]


@compiled
def shade_backward(first, last, albedo, normals, light, grad_colours, grad_albedo, grad_normals, grad_light):
    """Writes the gradients with respect to albedo, normals and light.

    Sums over vertices are kept in BLOCK lanes until the end: the loops over lanes become vector instructions.
    """
    dtype = albedo.dtype
    polynomials, shading, grad = np.empty((9, BLOCK), dtype), np.empty(BLOCK, dtype), np.empty(BLOCK, dtype)
    slopes, sums = np.empty((9, BLOCK), dtype), np.empty((3, 9, BLOCK), dtype)
    for image in range(first, last):
        sums[:] = 0
        for start in range(0, albedo.shape[1], BLOCK):
            count = min(BLOCK, albedo.shape[1] - start)
            _load_polynomials(normals[image], start, count, polynomials)
            slopes[:] = 0
            for c in range(3):
                shading[:] = 0
                for i in range(BLOCK):
                    grad[i] = (
                        grad_colours[image, start + i, c] * albedo[image, start + i, c] if i < count else 0
                    )
                for k in range(9):
                    factor = light[image, c, k]
                    for i in range(BLOCK):
                        shading[i] += factor * polynomials[k, i]
                        slopes[k, i] += factor * grad[i]
                        sums[c, k, i] += grad[i] * polynomials[k, i]
                for i in range(count):
                    grad_albedo[image, start + i, c] = grad_colours[image, start + i, c] * shading[i]
            for i in range(count):
                x, y, z = polynomials[3, i], polynomials[1, i], polynomials[2, i]
                xy, yz, zz, xz, xx = slopes[4, i], slopes[5, i], slopes[6, i], slopes[7, i], slopes[8, i]
                grad_normals[image, start + i, 0] = slopes[3, i] + y * xy + z * xz + 2 * x * xx
                grad_normals[image, start + i, 1] = slopes[1, i] + x * xy + z * yz - 2 * y * xx
                grad_normals[image, start + i, 2] = slopes[2, i] + y * yz + x * xz + 6 * z * zz
        for c in range(3):
            for k in range(9):
                grad_light[image, c, k] = sums[c, k].sum()
