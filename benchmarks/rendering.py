"""How long the renderer takes on this machine's CPU, stage by stage: `python benchmarks/rendering.py`.

Prints tables in milliseconds per image, each number the minimum over the repeats. Other work on the machine
adds to the time that passes; "cores" is the processor time of all threads over their number, which it hardly
disturbs. The mesh is a smooth dome with a nose that covers about 60 % of the picture.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from occfit.rendering.camera import Camera, clip_positions, to_camera
from occfit.rendering.illumination import LAMBERT_FACTORS, light_coefficients, shade, shade_torch
from occfit.rendering.normals import vertex_normals, vertex_normals_torch
from occfit.rendering.rasterize import interpolate, make_rasterizer
from occfit.rendering.rasterize.interpolation import interpolate_torch

BAR_MS = 6.0


@dataclass(frozen=True)
class Case:
    """A size of the problem: a grid of `rows` x `columns` vertices drawn `batch` times at `size` pixels."""

    size: int
    rows: int
    columns: int
    batch: int

    def __str__(self) -> str:
        vertices, triangles = self.rows * self.columns, 2 * (self.rows - 1) * (self.columns - 1)
        return f"{self.size} px, {vertices:,} vertices, {triangles:,} triangles, batch {self.batch}"


LARGE = Case(224, 251, 141, 12)
CASES = [LARGE, Case(64, 59, 43, 32), Case(64, 59, 43, 64)]
SMALL = Case(32, 17, 13, 2)


def dome(rows: int, columns: int) -> tuple[Float[Tensor, "v 3"], Int[Tensor, "f 3"]]:
    """A face-like surface in mm, 190 wide, 250 high: a grid bent into an ellipse, with a nose."""
    v, u = torch.meshgrid(torch.linspace(1, -1, rows), torch.linspace(-1, 1, columns), indexing="ij")
    x, y = 95 * u * (1 - v * v / 2).sqrt(), 113 * v * (1 - u * u / 2).sqrt()
    height = 1 - (x / 96) ** 2 - (y / 114) ** 2
    z = 75 * height.clamp(min=0).sqrt() + 20 * torch.exp(-((x / 12) ** 2) - ((y + 10) / 25) ** 2)
    index = torch.arange(rows * columns).view(rows, columns)
    a, b, c, d = (t.flatten() for t in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    triangles = torch.cat([torch.stack([a, c, d], 1), torch.stack([a, d, b], 1)])
    return torch.stack([x, y, z - 40], dim=-1).flatten(0, 1), triangles.int()


def least_ms(function: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Time passed, and processor time over the number of threads."""
    function()
    passed, busy = [], []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        function()
        passed.append(time.perf_counter() - start[0])
        busy.append(time.process_time() - start[1])
    return 1000 * min(passed), 1000 * min(busy) / torch.get_num_threads()


@dataclass(frozen=True)
class Stage:
    """A step of the renderer: inputs, our function, and the same in plain torch where there is one."""

    name: str
    inputs: tuple[Tensor, ...]
    ours: Callable[..., Tensor]
    torchs: Callable[..., Tensor] | None = None

    def times(self, function: Callable[..., Tensor], repeats: int) -> tuple[float, float, float]:
        """Forward, backward, and the processor time of both, in ms for the batch."""
        output = function(*self.inputs)
        gradient = torch.randn_like(output)
        leaves = [tensor for tensor in self.inputs if tensor.requires_grad]

        def backward() -> None:
            torch.autograd.grad(output, leaves, gradient, retain_graph=True)

        there, back = least_ms(lambda: function(*self.inputs), repeats), least_ms(backward, repeats)
        return there[0], back[0], there[1] + back[1]


def stages(case: Case) -> list[Stage]:
    surface, triangles = dome(case.rows, case.columns)
    random = torch.Generator().manual_seed(0)
    camera, rasterizer = Camera(case.size), make_rasterizer("numba")
    pose = torch.randn(case.batch, 6, generator=random) * torch.tensor([0.2, 0.2, 0.2, 3.0, 3.0, 20.0])
    vertices = to_camera(surface.expand(case.batch, -1, -1), pose).requires_grad_()
    positions = clip_positions(vertices, camera).detach().requires_grad_()
    normals = vertex_normals(vertices, triangles).detach().requires_grad_()
    albedo = torch.rand(vertices.shape, generator=random).requires_grad_()
    light = (0.3 * torch.randn(case.batch, 27, generator=random)).requires_grad_()
    fragments = rasterizer(positions, triangles, case.size, case.size)

    def shade_plainly(albedo, normals, light):
        return shade_torch(albedo, normals, light_coefficients(light) * light.new_tensor(LAMBERT_FACTORS))

    def everything(vertices, albedo, light):
        colours = shade(albedo, vertex_normals(vertices, triangles), light)
        drawn = rasterizer(clip_positions(vertices, camera), triangles, case.size, case.size)
        return interpolate(colours, triangles, drawn)

    def barycentrics(positions):
        return rasterizer(positions, triangles, case.size, case.size).barycentric

    return [
        Stage("clip positions", (vertices,), lambda v: clip_positions(v, camera)),
        Stage(
            "normals",
            (vertices,),
            lambda v: vertex_normals(v, triangles),
            lambda v: vertex_normals_torch(v, triangles),
        ),
        Stage("shading", (albedo, normals, light), shade, shade_plainly),
        Stage("rasterize", (positions,), barycentrics),
        Stage(
            "interpolate",
            (albedo,),
            lambda a: interpolate(a, triangles, fragments),
            lambda a: interpolate_torch(a, triangles, fragments),
        ),
        Stage("all of it", (vertices, albedo, light), everything),
    ]


def print_stages(case: Case, repeats: int) -> None:
    print(f"\n{case}, {torch.get_num_threads()} thread(s); ms per image\n")
    print("| stage           |  forward | backward |     both |    cores | torch, cores |  ratio |")
    print("|-----------------|---------:|---------:|---------:|---------:|-------------:|-------:|")
    for stage in stages(case):
        forward, backward, cores = (ms / case.batch for ms in stage.times(stage.ours, repeats))
        both = forward + backward
        row = f"| {stage.name:15} | {forward:8.3f} | {backward:8.3f} | {both:8.3f} | {cores:8.3f} |"
        if stage.torchs is None:
            print(f"{row} {'':>12} | {'':>6} |")
        else:
            slow = stage.times(stage.torchs, max(2, repeats // 5))[2] / case.batch
            print(f"{row} {slow:12.3f} | {slow / cores:5.1f}x |")
        if stage.name == "all of it" and case is LARGE:
            print(
                f"\nThe bar is {BAR_MS} ms: {both / BAR_MS:.2f} of it passed, {cores / BAR_MS:.2f} on the cores."
            )


def print_reference(case: Case, repeats: int) -> None:
    surface, triangles = dome(case.rows, case.columns)
    vertices = to_camera(surface.expand(case.batch, -1, -1), torch.zeros(case.batch, 6))
    positions = clip_positions(vertices, Camera(case.size))
    print(f"\n{case}; rasterize forward, ms per image on the cores\n")
    times = {}
    for name in ("numba", "reference"):
        rasterizer = make_rasterizer(name)
        function = lambda draw=rasterizer: draw(positions, triangles, case.size, case.size)  # noqa: E731
        times[name] = least_ms(function, repeats if name == "numba" else 1)[1] / case.batch
    ratio = times["reference"] / times["numba"]
    print(f"numba {times['numba']:.3f}, reference {times['reference']:.1f}: {ratio:,.0f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the renderer, stage by stage.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for case in CASES:
        print_stages(case, arguments.repeats)
    print_reference(SMALL, arguments.repeats)


if __name__ == "__main__":
    main()
