"""How far the reconstructed surface is from the true one, where both have the same vertices.

Where the head is and how it is turned doesn't count: the reconstruction is brought to the truth by the rigid motion
that fits best. Its size does count, in millimetres; the scale isn't fitted.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from occfit.metrics.per_image import PerImageMetric, PerImageScore
from occfit.types import FaceBatch, Rendering

Vectors = Float[Tensor, "b v 3"]


def rigid_alignment(source: Vectors, target: Vectors) -> tuple[Float[Tensor, "b 3 3"], Float[Tensor, "b 3"]]:
    """The rotation R and shift t that minimise sum |R s + t - target|^2 (Kabsch), in float64. Never a reflection."""
    source, target = source.double(), target.double()
    source_centre, target_centre = source.mean(dim=1), target.mean(dim=1)
    covariance = (target - target_centre[:, None]).mT @ (source - source_centre[:, None])
    left, _, right = torch.linalg.svd(covariance)
    handedness = torch.det(left @ right).sign()
    left = torch.cat([left[..., :2], left[..., 2:] * handedness[:, None, None]], dim=-1)
    rotation = left @ right
    return rotation, target_centre - (rotation @ source_centre[..., None]).squeeze(-1)


def vertex_error(found: Vectors, true: Vectors) -> PerImageScore:
    """Mean distance of corresponding vertices in mm, after rigid alignment."""
    rotation, shift = rigid_alignment(found, true)
    moved = found.double() @ rotation.mT + shift[:, None]
    return (moved - true.double()).norm(dim=2).mean(dim=1)


def normal_error(
    found_normals: Vectors, true_normals: Vectors, rotation: Float[Tensor, "b 3 3"]
) -> PerImageScore:
    """Mean angle between corresponding unit normals in degrees, after turning the found ones by `rotation`."""
    turned, true = found_normals.double() @ rotation.mT, true_normals.double()
    sine, cosine = torch.linalg.cross(turned, true).norm(dim=2), (turned * true).sum(dim=2)
    return torch.atan2(sine, cosine).mean(dim=1).rad2deg()


class GeometryScores(PerImageMetric):
    """Vertex and normal error of every image, for data whose true parameters are known."""

    keys = ("vertex_error", "normal_error")

    def update(self, batch: FaceBatch, rendering: Rendering, truth: Rendering) -> None:
        """Adds a batch; `truth` is the rendering of the true parameters."""

        def score(one: slice) -> dict[str, PerImageScore]:
            found, true = rendering.vertices[one], truth.vertices[one]
            rotation, _ = rigid_alignment(found, true)
            return {
                "vertex_error": vertex_error(found, true),
                "normal_error": normal_error(rendering.normals[one], truth.normals[one], rotation),
            }

        self.keep(batch.index, score)
