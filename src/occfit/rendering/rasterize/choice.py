"""Which rasterizer to use."""

import warnings

from jaxtyping import Float, Int
from torch import Tensor

from occfit.errors import OccfitError
from occfit.rendering.rasterize import nvdiffrast
from occfit.rendering.rasterize.fragments import Fragments, Rasterizer
from occfit.rendering.rasterize.numba import NumbaRasterizer
from occfit.rendering.rasterize.nvdiffrast import NvdiffrastRasterizer
from occfit.rendering.rasterize.reference import ReferenceRasterizer


class AutoRasterizer:
    """Takes nvdiffrast for positions on a CUDA device where it is installed, and `NumbaRasterizer` for all others.

    It warns once where a CUDA device has to make do with the CPU's rasterizer.
    """

    def __init__(self) -> None:
        self._cpu = NumbaRasterizer()
        self._cuda: Rasterizer | None = None

    def __call__(
        self, positions: Float[Tensor, "b v 4"], triangles: Int[Tensor, "f 3"], height: int, width: int
    ) -> Fragments:
        if positions.device.type != "cuda":
            return self._cpu(positions, triangles, height, width)
        if self._cuda is None:
            self._cuda = self._for_cuda()
        return self._cuda(positions, triangles, height, width)

    def _for_cuda(self) -> Rasterizer:
        if resolve_rasterizer("auto", "cuda") == "nvdiffrast":
            return NvdiffrastRasterizer()
        warnings.warn(
            "nvdiffrast is not installed: faces are rasterized on the CPU and copied, which is slow. "
            f"To install it: {nvdiffrast.INSTALL}",
            stacklevel=3,
        )
        return self._cpu


def resolve_rasterizer(name: str, device: str) -> str:
    """`auto` as what it means for positions on that type of device."""
    if name != "auto":
        return name
    return "nvdiffrast" if device == "cuda" and nvdiffrast.is_installed() else "numba"


RASTERIZERS = {
    "auto": AutoRasterizer,
    "numba": NumbaRasterizer,
    "nvdiffrast": NvdiffrastRasterizer,
    "reference": ReferenceRasterizer,
}


def make_rasterizer(name: str = "auto") -> Rasterizer:
    """The rasterizer of that name: "auto", "numba", "nvdiffrast" or "reference" (slow, for tests).

    Raises `OccfitError` for another name, and for "nvdiffrast" where it is not installed.
    """
    if name not in RASTERIZERS:
        raise OccfitError(
            "There is no such rasterizer", f"rasterizer={name}", f"Choose one of {', '.join(RASTERIZERS)}"
        )
    return RASTERIZERS[name]()
