"""The rasterizer for CUDA devices: NVIDIA's nvdiffrast (Laine et al. 2020), its conventions turned into ours.

It is not a dependency, since it is compiled against the CUDA toolkit at hand and has a non-commercial
licence.
"""

import importlib.util
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from occfit.errors import OccfitError
from occfit.rendering.rasterize.fragments import Fragments, require_finite, require_vertices

INSTALL = (
    "pip install setuptools wheel ninja && "
    "pip install git+https://github.com/NVlabs/nvdiffrast.git --no-build-isolation"
)
"""The command of nvdiffrast's own documentation."""


def is_installed() -> bool:
    return importlib.util.find_spec("nvdiffrast") is not None


class NvdiffrastRasterizer:
    """Keeps the rules of `Rasterizer`, in float32 on a CUDA device; positions elsewhere raise `OccfitError`.

    What differs from `NumbaRasterizer`: triangles are cut at the near and far plane, not dropped; corners
    are rounded to 1/16 of a pixel, so that a silhouette can be off by a pixel; equal depths go to either
    triangle.
    """

    def __init__(self) -> None:
        if not is_installed():
            raise OccfitError("nvdiffrast is not installed", "rasterizer=nvdiffrast", f"Run: {INSTALL}")
        self._contexts: dict[torch.device, Any] = {}

    def __getstate__(self) -> dict:
        return {"_contexts": {}}

    def __call__(
        self, positions: Float[Tensor, "b v 4"], triangles: Int[Tensor, "f 3"], height: int, width: int
    ) -> Fragments:
        if positions.device.type != "cuda":
            raise OccfitError(
                "nvdiffrast draws on CUDA devices only",
                f"positions on {positions.device}",
                "Choose rasterizer=auto or rasterizer=numba",
            )
        return self._rasterize(positions, triangles, height, width)

    def _rasterize(
        self, positions: Float[Tensor, "b v 4"], triangles: Int[Tensor, "f 3"], height: int, width: int
    ) -> Fragments:
        require_finite(torch.isfinite(positions).flatten(1).all(dim=1))
        require_vertices(triangles, positions.shape[1])
        if not positions.numel() or not triangles.numel() or not height * width:
            return _background(positions, height, width)
        drawn = self._draw(positions, triangles, height, width)
        index = drawn[..., 3].detach().to(torch.int32) - 1
        first, second = drawn[..., 0], drawn[..., 1]
        barycentric = torch.stack([first, second, 1 - first - second], dim=-1)
        return Fragments(index, (barycentric * (index >= 0).unsqueeze(-1)).to(positions.dtype))

    def _draw(
        self, positions: Float[Tensor, "b v 4"], triangles: Int[Tensor, "f 3"], height: int, width: int
    ) -> Float[Tensor, "b h w 4"]:
        """(weight of corner 0, weight of corner 1, z / w, triangle + 1) per pixel, row 0 on top.

        nvdiffrast's row 0 is the bottom one. Turning y over before it draws turns its rows into ours.
        """
        import nvdiffrast.torch as dr  # type: ignore

        device = positions.device
        if device not in self._contexts:
            self._contexts[device] = dr.RasterizeCudaContext(device=device)
        upside_down = positions.float() * positions.new_tensor([1, -1, 1, 1], dtype=torch.float32)
        corners = triangles.to(device=device, dtype=torch.int32).contiguous()
        return dr.rasterize(self._contexts[device], upside_down, corners, (height, width), grad_db=False)[0]


def _background(positions: Float[Tensor, "b v 4"], height: int, width: int) -> Fragments:
    index = positions.new_full((len(positions), height, width), -1, dtype=torch.int32)
    return Fragments(index, positions.new_zeros(*index.shape, 3))
