"""Rasterization and interpolation for slices of a batch, forward and backward, on the CPU.

Arrays are C-contiguous: positions (b, v, 4), triangles (f, 3) int32, index (b, h, w) int32 with -1 =
background, barycentric (b, h, w, 3), attributes (b, v, c), image (b, c, h, w). Arithmetic is in float64
whatever their type.

Coverage is decided on corners rounded to 1/4096 of a pixel. An edge function of such integers is a sum of
products that float64 holds exactly while corners stay within 8192 pixels of the picture, so that the
top-left rule is exact there; farther out it is only as good as float64. Barycentrics use the unrounded
positions.
"""

import numpy as np

from occfit.rendering.parallel import compiled

SUBPIXELS = 4096.0


@compiled
def _to_screen(positions, height, width, screen):
    """Fills each vertex's (x, y, depth): sub-pixels right and down, z / w. x is NaN outside near and far.

    Returns whether all positions are finite.
    """
    half_width, half_height = 0.5 * width * SUBPIXELS, 0.5 * height * SUBPIXELS
    excess = 0.0  # becomes NaN with the first number that is not finite, since 0 * inf is NaN
    for v in range(positions.shape[0]):
        z, w = np.float64(positions[v, 2]), np.float64(positions[v, 3])
        excess += 0.0 * positions[v, 0] + 0.0 * positions[v, 1] + 0.0 * z + 0.0 * w
        if w > 0 and -w <= z and z <= w:
            inverse = 1 / w
            screen[v, 0] = np.floor((1 + positions[v, 0] * inverse) * half_width + 0.5)
            screen[v, 1] = np.floor((1 - positions[v, 1] * inverse) * half_height + 0.5)
            screen[v, 2] = z * inverse
        else:
            screen[v, 0] = np.nan
    return excess == 0


@compiled
def _draw(screen, triangles, first_row, last_row, index, depth):
    """Draws all triangles into the rows [first_row, last_row) of one image; ties go to the first one."""
    last_column, top_row, bottom_row = index.shape[1] - 1.0, np.float64(first_row), last_row - 1.0
    for t in range(triangles.shape[0]):
        a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
        ax, ay, az = screen[a, 0], screen[a, 1], screen[a, 2]
        bx, by, bz = screen[b, 0], screen[b, 1], screen[b, 2]
        cx, cy, cz = screen[c, 0], screen[c, 1], screen[c, 2]
        left = np.ceil(min(ax, bx, cx) / SUBPIXELS - 0.5)
        right = np.floor(max(ax, bx, cx) / SUBPIXELS - 0.5)
        top = np.ceil(min(ay, by, cy) / SUBPIXELS - 0.5)
        bottom = np.floor(max(ay, by, cy) / SUBPIXELS - 0.5)
        left, right = max(left, 0.0), min(right, last_column)
        top, bottom = max(top, top_row), min(bottom, bottom_row)
        if not ((left <= right) & (top <= bottom)):
            continue
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area < 0:
            bx, by, bz, cx, cy, cz, area = cx, cy, cz, bx, by, bz, -area
        if not area > 0:
            continue
        # With y down and the corners in positive order, a left edge goes up and a top edge goes right.
        open_a = 0.0 if cy < by or (cy == by and cx > bx) else 1.0
        open_b = 0.0 if ay < cy or (ay == cy and ax > cx) else 1.0
        open_c = 0.0 if by < ay or (by == ay and bx > ax) else 1.0
        for row in range(int(top), int(bottom) + 1):
            py = (row + 0.5) * SUBPIXELS
            for column in range(int(left), int(right) + 1):
                px = (column + 0.5) * SUBPIXELS
                ea = (cx - bx) * (py - by) - (cy - by) * (px - bx)
                eb = (ax - cx) * (py - cy) - (ay - cy) * (px - cx)
                ec = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
                if (ea >= open_a) & (eb >= open_b) & (ec >= open_c):
                    z = (ea * az + eb * bz + ec * cz) / (ea + eb + ec)
                    if z < depth[row - first_row, column]:
                        depth[row - first_row, column] = z
                        index[row, column] = t


@compiled
def _weights(positions, a, b, c, x, y):
    """Corners relative to the ray through (x, y) in clip space, and the three perspective-correct weights.

    The ray's triangle of corner i with the other two has the signed area w_i; the barycentric of corner i
    is w_i over their sum. A weight whose sign is not the sum's is cut to zero: the pixel's centre lies in
    the rounded triangle, by a hair outside the unrounded one.
    """
    aw, bw, cw = np.float64(positions[a, 3]), np.float64(positions[b, 3]), np.float64(positions[c, 3])
    ax, ay = positions[a, 0] - x * aw, positions[a, 1] - y * aw
    bx, by = positions[b, 0] - x * bw, positions[b, 1] - y * bw
    cx, cy = positions[c, 0] - x * cw, positions[c, 1] - y * cw
    wa, wb, wc = bx * cy - by * cx, cx * ay - cy * ax, ax * by - ay * bx
    sign = 1.0 if wa + wb + wc > 0 else -1.0
    return ax, ay, bx, by, cx, cy, max(wa * sign, 0.0), max(wb * sign, 0.0), max(wc * sign, 0.0), sign


@compiled
def rasterize_forward(first, last, first_row, last_row, positions, triangles, index, barycentric, finite):
    """Fills `index` and `barycentric` in the given rows, and `finite` (b,), of the given images."""
    height, width = index.shape[1:]
    screen = np.empty((positions.shape[1], 3))
    depth = np.empty((last_row - first_row, width))
    for image in range(first, last):
        points = positions[image]
        finite[image] = _to_screen(points, height, width, screen)
        depth[:] = np.inf
        index[image, first_row:last_row] = -1
        _draw(screen, triangles, first_row, last_row, index[image], depth)
        for row in range(first_row, last_row):
            y = 1 - (2 * row + 1) / height
            for column in range(width):
                t = index[image, row, column]
                if t < 0:
                    barycentric[image, row, column] = 0
                    continue
                x = (2 * column + 1) / width - 1
                a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
                _, _, _, _, _, _, wa, wb, wc, _ = _weights(points, a, b, c, x, y)
                total = wa + wb + wc
                if total > 0:
                    scale = 1 / total
                    barycentric[image, row, column, 0] = wa * scale
                    barycentric[image, row, column, 1] = wb * scale
                    barycentric[image, row, column, 2] = wc * scale
                else:
                    barycentric[image, row, column] = 1 / 3


@compiled
def rasterize_backward(first, last, positions, triangles, index, grad_barycentric, grad_positions):
    """Adds the gradient with respect to x, y and w of each position; z only decides what is seen."""
    height, width = index.shape[1:]
    for image in range(first, last):
        points = positions[image]
        for row in range(height):
            y = 1 - (2 * row + 1) / height
            for column in range(width):
                t = index[image, row, column]
                if t < 0:
                    continue
                x = (2 * column + 1) / width - 1
                a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
                ax, ay, bx, by, cx, cy, wa, wb, wc, sign = _weights(points, a, b, c, x, y)
                total = wa + wb + wc
                if not total > 0:
                    continue
                ga = np.float64(grad_barycentric[image, row, column, 0])
                gb = np.float64(grad_barycentric[image, row, column, 1])
                gc = np.float64(grad_barycentric[image, row, column, 2])
                mean = (ga * wa + gb * wb + gc * wc) / total
                scale = sign / total
                ga = (ga - mean) * scale if wa > 0 else 0.0
                gb = (gb - mean) * scale if wb > 0 else 0.0
                gc = (gc - mean) * scale if wc > 0 else 0.0
                gax, gay = gc * by - gb * cy, gb * cx - gc * bx
                gbx, gby = ga * cy - gc * ay, gc * ax - ga * cx
                gcx, gcy = gb * ay - ga * by, ga * bx - gb * ax
                grad_positions[image, a, 0] += gax
                grad_positions[image, a, 1] += gay
                grad_positions[image, a, 3] -= x * gax + y * gay
                grad_positions[image, b, 0] += gbx
                grad_positions[image, b, 1] += gby
                grad_positions[image, b, 3] -= x * gbx + y * gby
                grad_positions[image, c, 0] += gcx
                grad_positions[image, c, 1] += gcy
                grad_positions[image, c, 3] -= x * gcx + y * gcy


@compiled
def interpolate_forward(
    first, last, first_row, last_row, attributes, triangles, index, barycentric, image_out
):
    """Fills the given rows of the given images with the corners' weighted attributes, zeros elsewhere."""
    channels, width = attributes.shape[2], index.shape[2]
    for image in range(first, last):
        for row in range(first_row, last_row):
            for column in range(width):
                t = index[image, row, column]
                if t < 0:
                    for k in range(channels):
                        image_out[image, k, row, column] = 0
                    continue
                a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
                wa = barycentric[image, row, column, 0]
                wb = barycentric[image, row, column, 1]
                wc = barycentric[image, row, column, 2]
                for k in range(channels):
                    value = wa * attributes[image, a, k] + wb * attributes[image, b, k]
                    image_out[image, k, row, column] = value + wc * attributes[image, c, k]


@compiled
def interpolate_backward(
    first, last, attributes, triangles, index, barycentric, grad_image, grad_attributes, grad_barycentric
):
    """Adds the gradient with respect to the attributes, writes the one with respect to the barycentrics."""
    height, width = index.shape[1:]
    for image in range(first, last):
        for row in range(height):
            for column in range(width):
                t = index[image, row, column]
                if t < 0:
                    grad_barycentric[image, row, column] = 0
                    continue
                a, b, c = np.uint32(triangles[t, 0]), np.uint32(triangles[t, 1]), np.uint32(triangles[t, 2])
                wa = barycentric[image, row, column, 0]
                wb = barycentric[image, row, column, 1]
                wc = barycentric[image, row, column, 2]
                ga = gb = gc = attributes.dtype.type(0)
                for k in range(attributes.shape[2]):
                    grad = grad_image[image, k, row, column]
                    ga += grad * attributes[image, a, k]
                    gb += grad * attributes[image, b, k]
                    gc += grad * attributes[image, c, k]
                    grad_attributes[image, a, k] += grad * wa
                    grad_attributes[image, b, k] += grad * wb
                    grad_attributes[image, c, k] += grad * wc
                grad_barycentric[image, row, column, 0] = ga
                grad_barycentric[image, row, column, 1] = gb
                grad_barycentric[image, row, column, 2] = gc
