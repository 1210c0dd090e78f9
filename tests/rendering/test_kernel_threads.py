"""Threads, processes, the cache of compiled kernels: the same picture everywhere, and never an abort."""

import multiprocessing
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import occfit
from occfit.rendering.illumination import shade
from occfit.rendering.normals import vertex_normals
from occfit.rendering.parallel import row_slices, slices
from occfit.rendering.rasterize import interpolate, make_rasterizer

pytestmark = pytest.mark.unit

SCENE_SEED = 3


def picture_and_gradients(threads: int, batch: int) -> list[torch.Tensor]:
    """Everything the kernels compute for random surfaces, forward and backward."""
    random = torch.Generator().manual_seed(SCENE_SEED)
    torch.set_num_threads(threads)
    a = torch.arange(30 * 30).view(30, 30)[:-1, :-1].flatten()
    triangles = torch.cat([torch.stack([a, a + 30, a + 1], 1), torch.stack([a + 1, a + 30, a + 31], 1)]).int()
    vertices = torch.randn(batch, 900, 3, generator=random).requires_grad_()
    albedo = torch.rand(batch, 900, 3, generator=random).requires_grad_()
    light = torch.randn(batch, 27, generator=random).requires_grad_()
    positions = torch.cat([vertices, vertices.square().sum(-1, keepdim=True) + 1], dim=-1)
    colours = shade(albedo, vertex_normals(vertices, triangles), light)
    drawn = make_rasterizer("numba")(positions, triangles, 33, 21)
    image = interpolate(colours, triangles, drawn)
    weights = torch.randn(image.shape, generator=random)
    gradients = torch.autograd.grad(image, (vertices, albedo, light), weights)
    return [tensor.detach() for tensor in (drawn.triangle_index, drawn.barycentric, image, *gradients)]


def equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def draw_in_child(connection) -> None:
    connection.send([tensor.numpy() for tensor in picture_and_gradients(1, 2)])


def run_python(code: str, **environment: str) -> str:
    """The output of a fresh interpreter that fails on warnings."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    source = str(Path(occfit.__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1", **environment}
    result = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_same_bits_for_any_number_of_threads(batch):
    one = picture_and_gradients(1, batch)
    assert (one[0] >= 0).any()
    for threads in (2, 3, 5):
        assert equal(one, picture_and_gradients(threads, batch))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize(("count", "rows"), [(1, 33), (2, 33), (12, 5), (1, 1), (0, 5), (3, 0)])
def test_slices_cover_everything_once(threads, count, rows):
    torch.set_num_threads(threads)
    assert [i for first, last in slices(count) for i in range(first, last)] == list(range(count))
    drawn = [
        (image, row)
        for first, last, top, bottom in row_slices(count, rows)
        for image in range(first, last)
        for row in range(top, bottom)
    ]
    assert sorted(drawn) == [(image, row) for image in range(count) for row in range(rows)]


def test_two_threads_may_render_at_the_same_time():
    alone = picture_and_gradients(2, 2)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda _: picture_and_gradients(2, 2), range(8)))
    assert all(equal(alone, result) for result in together)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_may_render_after_their_parent_did(method):
    here = picture_and_gradients(2, 2)
    torch.set_num_threads(1)
    context = multiprocessing.get_context(method)
    receiver, sender = context.Pipe(duplex=False)
    worker = context.Process(target=draw_in_child, args=(sender,))
    worker.start()
    assert receiver.poll(100), "the worker is stuck"
    assert equal(here, [torch.from_numpy(array) for array in receiver.recv()])
    worker.join(20)
    assert worker.exitcode == 0


@pytest.mark.slow
def test_nothing_compiles_at_import():
    compiled = run_python("""
        import occfit.rendering.renderer
        from occfit.rendering import _surface_kernels
        from occfit.rendering.rasterize import _kernels
        kernels = [k for m in (_kernels, _surface_kernels) for k in vars(m).values() if hasattr(k, "signatures")]
        assert len(kernels) >= 8
        print(sum(len(kernel.signatures) for kernel in kernels))
    """)
    assert compiled == "0"


SHADE_ONCE = """
    import torch
    from occfit.rendering import _surface_kernels
    from occfit.rendering.illumination import shade
    print(float(shade(torch.ones(1, 1, 3), torch.ones(1, 1, 3), torch.zeros(1, 27))[0, 0, 0]) > 1)
    print(sum(_surface_kernels.shade_forward.stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_compiled_kernels_are_kept(tmp_path):
    assert run_python(SHADE_ONCE, NUMBA_CACHE_DIR=str(tmp_path)) == "True\n0"
    assert run_python(SHADE_ONCE, NUMBA_CACHE_DIR=str(tmp_path)) == "True\n1"


@pytest.mark.slow
@pytest.mark.nightly
def test_an_install_without_a_writable_folder_works():
    nowhere_to_write = """
    from numba.core.caching import _CacheLocator
    def refuse(self):
        raise PermissionError(self.get_cache_path())
    _CacheLocator.ensure_cache_path = refuse
    """
    assert run_python(nowhere_to_write + SHADE_ONCE) == "True\n0"


@pytest.mark.slow
@pytest.mark.nightly
def test_a_cache_that_breaks_after_import_is_passed_over(tmp_path):
    break_it = """
    import shutil
    from occfit.rendering import _surface_kernels
    shutil.rmtree({0!r})
    open({0!r}, "w").close()
    """.format(str(tmp_path / "cache"))
    assert run_python(break_it + SHADE_ONCE, NUMBA_CACHE_DIR=str(tmp_path / "cache")) == "True\n0"


@pytest.mark.nightly
def test_processes_may_fill_the_cache_together(tmp_path):
    """One compiles for float32, the other for float64; numba alone can give both the same file."""
    code = """
        import torch
        from occfit.rendering.illumination import shade
        ones = torch.ones(1, 1, 3, dtype=torch.{})
        print(shade(ones, ones, torch.zeros(1, 27, dtype=torch.{})).dtype)
    """
    dtypes = ["float32", "float64", "float32", "float64"]
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(run_python, code.format(d, d), NUMBA_CACHE_DIR=str(tmp_path)) for d in dtypes]
        assert [run.result() for run in runs] == [f"torch.{d}" for d in dtypes]
    for dtype in dtypes[:2]:
        assert run_python(code.format(dtype, dtype), NUMBA_CACHE_DIR=str(tmp_path)) == f"torch.{dtype}"
