"""A scene for a photograph, so that the world's occluders can be painted onto it.

The mean face is posed as the landmarks say (least squares). Its surface stands in for the face's, and the light is the
one that would shade it like the photograph.
"""

from functools import lru_cache

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from occfit.data.alignment import ALIGNED_POINTS
from occfit.data.synthetic.drawing import Picture, Plane
from occfit.data.synthetic.faces import mean_landmarks
from occfit.data.synthetic.scene import Scene, harmonics, unit
from occfit.face_model.builtin.model import builtin_face_model
from occfit.face_model.morphable_model import MorphableModel
from occfit.rendering.camera import STANDARD_DISTANCE, Camera, clip_positions
from occfit.rendering.normals import vertex_normals
from occfit.rendering.rasterize import interpolate, make_rasterizer

OFF_FACE = -1e4
"""Depth in mm where there is no face."""

ROUNDS = 8
LAMBERT = np.array([1.0] + [2 / 3] * 3 + [1 / 4] * 5)
FLATNESS = 0.02
"""The ridge that draws the light towards an even one."""

Pose = tuple[Float[ndarray, "3 3"], Float[ndarray, " 3"]]


@lru_cache(maxsize=1)
def stand_in() -> MorphableModel:
    """The model whose mean face stands in for every photographed one."""
    return builtin_face_model("coarse")


def scene_of(
    picture: Picture, landmarks: Float[ndarray, "68 2"], is_face: Bool[ndarray, "s s"] | None = None
) -> Scene:
    """The scene of a face on a square canvas.

    Args:
        picture: the photograph on the canvas, RGB in [0, 1].
        landmarks: in canvas pixels.
        is_face: where the face is known to be visible, for its colour and light; None takes all of the posed face.
    """
    size = len(picture)
    model = stand_in()
    points = mean_landmarks(model).astype(np.float64)
    focal = Camera(size).focal
    rotation, translation = fit_pose(points, landmarks.astype(np.float64), size / 2, focal)
    region, normals, depth = rasterized(model, rotation, translation, size)
    skin_pixels = (
        region > 0.5 if is_face is None or (is_face & (region > 0.5)).sum() < 20 else is_face & (region > 0.5)
    )
    light, skin = fit_light(picture, normals, skin_pixels)
    return Scene(
        size=size,
        focal=focal,
        rotation=rotation.astype(np.float32),
        translation=translation.astype(np.float32),
        points=moved_onto(points, landmarks, rotation, translation, size / 2, focal),
        landmarks=landmarks.astype(np.float32),
        region=region,
        depth=depth,
        normals=normals,
        light=light,
        skin=skin,
    )


def fit_pose(
    points: Float[ndarray, "68 3"], landmarks: Float[ndarray, "68 2"], centre: float, focal: float
) -> Pose:
    """The rotation and translation (mm) at which the inner points project nearest to the landmarks (Gauss-Newton).

    Args:
        points: in the model's frame, mm.
        centre: both coordinates of the principal point in pixels.
        focal: in pixels.
    """
    inner, goal = points[ALIGNED_POINTS], (landmarks[ALIGNED_POINTS] - centre) * [1, -1] / focal
    rotation, translation = _first_pose(inner, goal)
    for _ in range(ROUNDS):
        camera = inner @ rotation.T + translation
        depth = -camera[:, 2]
        residual = (goal - camera[:, :2] / depth[:, None]).reshape(-1)
        turned = camera - translation
        x_axis, y_axis, z_axis = np.eye(3)
        moves = [np.cross(axis, turned) for axis in (x_axis, y_axis, z_axis)]
        moves += [np.broadcast_to(axis, camera.shape) for axis in (x_axis, y_axis, z_axis)]
        jacobian = np.stack([_projected(camera, move, depth).reshape(-1) for move in moves], axis=1)
        step = np.linalg.lstsq(jacobian, residual, rcond=None)[0]
        rotation = cv2.Rodrigues(step[:3])[0] @ rotation
        translation = translation + step[3:]
    return rotation, translation


def _first_pose(inner: Float[ndarray, "n 3"], goal: Float[ndarray, "n 2"]) -> Pose:
    """The pose of an affine camera."""
    middle, mean = inner.mean(axis=0), goal.mean(axis=0)
    solved = np.linalg.lstsq(inner - middle, goal - mean, rcond=None)[0]
    left, stretch, right = np.linalg.svd(solved.T, full_matrices=False)
    across, up = left @ right
    rotation = np.stack([across, up, np.cross(across, up)])
    distance = 1 / stretch.mean()
    return rotation, np.array([*(mean * distance), -distance]) - rotation @ middle


def _projected(
    camera: Float[ndarray, "n 3"], move: Float[ndarray, "n 3"], depth: Float[ndarray, " n"]
) -> Float[ndarray, "n 2"]:
    """How the projections move with the points."""
    return move[:, :2] / depth[:, None] + camera[:, :2] * move[:, 2:] / depth[:, None] ** 2


def moved_onto(
    points: Float[ndarray, "68 3"],
    landmarks: Float[ndarray, "68 2"],
    rotation: Float[ndarray, "3 3"],
    translation: Float[ndarray, " 3"],
    centre: float,
    focal: float,
) -> Float[ndarray, "68 3"]:
    """The points, moved across the line of sight until they project onto the landmarks exactly."""
    depth = -(points @ rotation.T + translation)[:, 2]
    across = (landmarks - centre) * [1, -1] / focal * depth[:, None]
    camera = np.column_stack([across, -depth])
    return ((camera - translation) @ rotation).astype(np.float32)


def rasterized(
    model: MorphableModel, rotation: Float[ndarray, "3 3"], translation: Float[ndarray, " 3"], size: int
) -> tuple[Plane, Picture, Plane]:
    """Region, unit normals in the camera's frame, and camera z in mm of the posed mean face."""
    vertices = model.mean_shape.cpu().double() @ torch.from_numpy(rotation.T.copy()) + torch.from_numpy(
        translation
    )
    vertices = vertices.float()[None]
    normals = vertex_normals(vertices, model.triangles)
    attributes = torch.cat([torch.ones_like(vertices[..., :1]), normals, vertices[..., 2:]], dim=-1)
    camera = Camera(size, near=0.1 * STANDARD_DISTANCE)
    fragments = make_rasterizer("numba")(clip_positions(vertices, camera), model.triangles, size, size)
    planes = interpolate(attributes, model.triangles, fragments)[0].permute(1, 2, 0).contiguous().numpy()
    region = (planes[..., 0] > 0).astype(np.float32)
    return region, unit(planes[..., 1:4]), np.where(region > 0, planes[..., 4], np.float32(OFF_FACE))


def fit_light(
    picture: Picture, normals: Picture, where: Bool[ndarray, "s s"]
) -> tuple[Float[ndarray, "9 3"], Float[ndarray, " 3"]]:
    """White light that shades the normals like the photograph, and the skin's mean colour under it."""
    colours = picture[where].astype(np.float64)
    if len(colours) == 0:
        colours, basis = np.full((1, 3), 0.5), harmonics(np.array([[0.0, 0.0, 1.0]]))
    else:
        basis = harmonics(normals[where].astype(np.float64))
    mean = np.maximum(colours.mean(axis=0), 0.02)
    grey = colours.mean(axis=1) / mean.mean()
    design = (basis * LAMBERT[:, None]).T
    ridge = FLATNESS * len(grey) * np.diag([0.0, *[1.0] * 8])
    coefficients = np.linalg.solve(design.T @ design + ridge + 1e-6 * np.eye(9), design.T @ grey)
    brightness = float(np.clip(mean.mean() / 0.55, 0.35, 1.1))
    light = np.repeat(coefficients[:, None] * brightness, 3, axis=1)
    return light.astype(np.float32), np.clip(mean / brightness, 0.02, 1).astype(np.float32)
