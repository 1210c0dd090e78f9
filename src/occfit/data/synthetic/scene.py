"""What a painter knows of a picture: where the face is, in which light, in front of which camera."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray

from occfit.data.synthetic.drawing import Picture, Plane, blur

_LAMBERT = np.array([1.0] + [2 / 3] * 3 + [1 / 4] * 5, np.float32)


def harmonics(normals: Float[ndarray, "... 3"]) -> Float[ndarray, "9 ..."]:
    """The orthonormal real spherical harmonics up to degree 2 at unit vectors, ordered by degree, then by order."""
    x, y, z = np.moveaxis(normals, -1, 0)
    basis = np.empty((9, *x.shape), normals.dtype)
    basis[0] = 0.28209479
    basis[1], basis[2], basis[3] = 0.48860251 * y, 0.48860251 * z, 0.48860251 * x
    scaled = 1.09254843 * x
    basis[4], basis[7] = scaled * y, scaled * z
    basis[5] = 1.09254843 * y * z
    basis[6] = 0.94617470 * z * z - 0.31539157
    basis[8] = 0.54627422 * (x * x - y * y)
    return basis


@dataclass(frozen=True)
class Scene:
    """One face before the camera, on a canvas of `size` pixels.

    Attributes:
        focal: the focal length in canvas pixels. The principal point is the canvas' centre.
        rotation: the rotation from the model's frame to the camera's.
        translation: mm, the model's origin in the camera's frame (about (0, 0, -1000)).
        points: the 68 landmarks in the model's frame, mm.
        landmarks: the same points projected, in canvas pixels.
        region: 1 where the face projects.
        depth: camera z in mm (negative; larger is nearer), -10,000 off the face.
        normals: camera frame, unit; zeros off the face.
        light: spherical-harmonics coefficients of R, G, B, the standard light included.
        skin: the face's mean skin colour (albedo).
    """

    size: int
    focal: float
    rotation: Float[ndarray, "3 3"]
    translation: Float[ndarray, " 3"]
    points: Float[ndarray, "68 3"]
    landmarks: Float[ndarray, "68 2"]
    region: Plane
    depth: Plane
    normals: Picture
    light: Float[ndarray, "9 3"]
    skin: Float[ndarray, " 3"]

    @property
    def scale(self) -> float:
        """Canvas pixels a millimetre at the model's origin."""
        return float(self.focal / -self.translation[2])

    def project(self, points: Float[ndarray, "n 3"]) -> tuple[Float[ndarray, "n 2"], Float[ndarray, " n"]]:
        """Canvas positions and camera z (mm) of points in the model's frame."""
        camera = points @ self.rotation.T + self.translation
        inverse = self.focal / -camera[:, 2:]
        flipped = camera[:, :2] * np.array([1, -1], np.float32)
        return (self.size / 2 + flipped * inverse).astype(np.float32), camera[:, 2]

    def with_landmarks(self) -> "Scene":
        """The same scene with `landmarks` projected from `points`."""
        return replace(self, landmarks=self.project(self.points)[0])

    def skull(self, wider: float, taller: float) -> Float[ndarray, "48 2"]:
        """The head's outline seen from the front, enlarged by so many mm: counter-clockwise from the picture's right
        side, so that the first half is the upper one."""
        ears, brows = self.points[[0, 16]], self.points[17:27]
        middle = np.array([ears[:, 0].mean(), self.points[27, 1] - 4, ears[:, 2].mean() + 20])
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        top = brows[:, 1].mean() + 62 - middle[1]
        across = np.cos(angles) * (np.ptp(ears[:, 0]) / 2 + 3 + wider)
        up = np.sin(angles) * (np.where(np.sin(angles) > 0, top, 60) + taller)
        return self.project(middle + np.stack([across, up, np.zeros(48)], axis=1))[0]

    def shade(self, normals: Picture) -> Picture:
        """The light that reaches a matt white surface."""
        basis = harmonics(normals.astype(np.float32, copy=False)).reshape(9, -1)
        return (basis.T @ (self.light * _LAMBERT[:, None])).reshape(normals.shape)

    def flat_shade(self, normal=(0.0, 0.0, 1.0)) -> Float[ndarray, " 3"]:
        """The same for a single normal."""
        vector = np.asarray(normal, np.float32)
        return np.maximum(self.shade((vector / np.linalg.norm(vector))[None, None])[0, 0], 0.02)

    def light_direction(self) -> tuple[Float[ndarray, " 3"], float]:
        """Where most light comes from (unit, camera frame), and how directed it is (0 ambient, 1 one lamp)."""
        grey = self.light.mean(axis=1)
        vector = grey[[3, 1, 2]]
        length = float(np.linalg.norm(vector))
        return vector / max(length, 1e-6), float(np.clip(length / (np.sqrt(3) * max(grey[0], 1e-6)), 0, 1))

    def smooth_light(self, sigma: float) -> Float[ndarray, "s s 3"]:
        """The light on `smooth_normals`, a quarter of the canvas in size."""
        small = cv2.resize(
            np.dstack([self.normals, self.region]), (self.size // 4,) * 2, interpolation=cv2.INTER_AREA
        )
        normals = blur(small, sigma / 4)[..., :3] + np.array([0, 0, 1e-3], np.float32)
        return np.maximum(self.shade(unit(normals)), 0.03)

    def smooth_normals(self, sigma: float) -> Picture:
        """Normals of the face, continued beyond its outline and smoothed over `sigma` pixels."""
        smooth = blur(np.dstack([self.normals, self.region]), sigma)
        normals = smooth[..., :3] + np.array([0, 0, 1e-3], np.float32)
        return unit(normals)


def unit(vectors: Picture) -> Picture:
    """The vectors at length one."""
    squared = vectors[..., 0] ** 2 + vectors[..., 1] ** 2 + vectors[..., 2] ** 2
    return vectors * (1 / np.sqrt(np.maximum(squared, 1e-12)))[..., None]


@dataclass(frozen=True)
class Layer:
    """Something painted in front of the face.

    Attributes:
        colour: the colour as the camera sees it, light included.
        alpha: the opacity, how much of what is behind it it hides.
        lift: its distance from the face in mm, which decides where its shadow falls.
        shadow: alpha of what throws the shadow; None is `alpha`.
    """

    colour: Picture
    alpha: Plane
    lift: float
    shadow: Plane | None = None


def make_layer(colour: ndarray, alpha: ndarray, lift: float, shadow: ndarray | None = None) -> Layer:
    """A layer in single precision; opacities beyond [0, 1] are cut."""
    caster = None if shadow is None else np.clip(shadow, 0, 1).astype(np.float32)
    return Layer(np.asarray(colour, np.float32), np.clip(alpha, 0, 1).astype(np.float32), lift, caster)


def cast_shadow(scene: Scene, layer: Layer, strength: float) -> Plane:
    """How much light a layer takes from what lies behind it: 0 none .. 1 all."""
    direction, directed = scene.light_direction()
    caster = layer.alpha if layer.shadow is None else layer.shadow
    lift = layer.lift * scene.scale
    slope = np.clip(direction[:2] / max(direction[2], 0.35), -1.5, 1.5)
    move = np.array([[1, 0, -slope[0] * lift], [0, 1, slope[1] * lift]], np.float32)
    thrown = cv2.warpAffine(caster, move, (scene.size, scene.size), flags=cv2.INTER_LINEAR)
    thrown = blur(thrown, 0.6 + 0.25 * lift)
    contact = blur(caster, 1 + 0.5 * lift)
    return np.clip(strength * (1.1 * directed * thrown + 0.35 * contact), 0, 0.85)
