"""Faces before they are painted: drawn from the priors, posed as alignment leaves them, and rasterized.

A photograph is aligned by the similarity that brings its detected landmarks to the template. Here the camera is
moved instead: the head is rolled, shifted and set nearer or farther until that similarity is the identity. So the
picture is an aligned crop, with the residual that a detector's errors leave, its true parameters hold exactly in
the crop's own camera, and nothing has been resampled.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from occfit.data.alignment import ALIGNED_POINTS
from occfit.data.synthetic.detector import detector_noise
from occfit.data.synthetic.priors import (
    Person,
    draw_expression,
    draw_light,
    draw_person,
    draw_rotation,
    illumination_parameters,
)
from occfit.data.synthetic.scene import Scene, unit
from occfit.data.synthetic.splits import Plan
from occfit.data.synthetic.streams import Purpose, stream
from occfit.face_model.morphable_model import MorphableModel
from occfit.rendering.camera import (
    STANDARD_DISTANCE,
    Camera,
    clip_positions,
    project,
    rotation_matrix,
    to_camera,
)
from occfit.rendering.normals import vertex_normals
from occfit.rendering.rasterize import Rasterizer, interpolate

_OFF_FACE = -1e4


@dataclass(frozen=True)
class Face:
    """One face before the camera.

    Attributes:
        person: who it is.
        params: the true 257 parameters.
        detected: landmarks as a detector finds them, pixels of the final picture.
        scene: where it is, on the canvas.
        albedo: per canvas pixel, zero off the face.
        reference: the mean face's coordinates of each canvas pixel, mm.
        marks: the mean face's landmarks, mm.
    """

    person: Person
    params: Float[ndarray, " 257"]
    detected: Float[ndarray, "68 2"]
    scene: Scene
    albedo: Float[ndarray, "h w 3"]
    reference: Float[ndarray, "h w 3"]
    marks: Float[ndarray, "68 3"]


def mean_landmarks(face_model: MorphableModel) -> Float[ndarray, "68 3"]:
    """The mean face's 68 points in the model's frame, mm."""
    return face_model.mean_shape[face_model.landmark_vertices].cpu().numpy()


def similarities(
    source: Float[ndarray, "b n 2"], target: Float[ndarray, "n 2"]
) -> tuple[Float[ndarray, "b 2 2"], Float[ndarray, "b 2"]]:
    """The matrices (a scale times a turn) and shifts that bring each `source` to `target` best, in least squares."""
    a, b = source - source.mean(axis=1, keepdims=True), target - target.mean(axis=0)
    weight = (a * a).sum(axis=(1, 2))
    cosine = (a * b).sum(axis=(1, 2)) / weight
    sine = (a[..., 0] * b[:, 1] - a[..., 1] * b[:, 0]).sum(axis=1) / weight
    matrices = np.stack([np.stack([cosine, -sine], axis=1), np.stack([sine, cosine], axis=1)], axis=1)
    return matrices, target.mean(axis=0) - (matrices @ source.mean(axis=1)[..., None])[..., 0]


def aligned_poses(
    points: Float[ndarray, "b 68 3"],
    angles: Float[ndarray, "b 3"],
    errors: Float[ndarray, "b 68 2"],
    template: Float[ndarray, "68 2"],
    size: int,
) -> Float[ndarray, "b 6"]:
    """The poses, near the wanted angles, at which the detected landmarks already lie on the template as well as a
    similarity can bring them there."""
    camera = Camera(size)
    vertices = torch.from_numpy(points.astype(np.float64))
    pose = torch.from_numpy(np.concatenate([angles, np.zeros_like(angles)], axis=1).astype(np.float64))
    for _ in range(5):
        found = project(to_camera(vertices, pose), camera).numpy() + errors
        matrices, shift = similarities(found[:, ALIGNED_POINTS], template[ALIGNED_POINTS])
        scale = np.sqrt(np.linalg.det(matrices))
        roll = torch.zeros(len(pose), 3, dtype=torch.float64)
        roll[:, 2] = torch.from_numpy(-np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
        rotation = (rotation_matrix(roll) @ rotation_matrix(pose[:, :3])).numpy()
        position = pose[:, 3:].numpy() - [0, 0, STANDARD_DISTANCE]
        origin = camera.centre + camera.focal * position[:, :2] * [1, -1] / -position[:, 2:]
        moved = (matrices @ origin[..., None])[..., 0] + shift - camera.centre
        depth = position[:, 2] / scale
        across = moved * [1, -1] * -depth[:, None] / camera.focal
        translation = np.concatenate([across, depth[:, None] + STANDARD_DISTANCE], axis=1)
        pose = torch.from_numpy(np.concatenate([_euler_angles(rotation), translation], axis=1))
    return pose.numpy().astype(np.float32)


def _euler_angles(rotation: Float[ndarray, "b 3 3"]) -> Float[ndarray, "b 3"]:
    """The angles of `rotation_matrix`, whose second one is within a right angle."""
    first = np.arctan2(-rotation[:, 1, 2], rotation[:, 2, 2])
    second = np.arcsin(np.clip(rotation[:, 0, 2], -1, 1))
    return np.stack([first, second, np.arctan2(-rotation[:, 0, 1], rotation[:, 0, 0])], axis=1)


def _warp(rng: np.random.Generator, mean: Float[ndarray, "v 3"]) -> Float[ndarray, "v 3"]:
    """Makes a smooth displacement of about 0.7 mm that no basis knows: a few waves of 25 to 90 mm."""
    waves = 8
    direction = rng.standard_normal((3, waves), np.float32)
    direction /= np.linalg.norm(direction, axis=0)
    length = rng.uniform(25, 90, waves).astype(np.float32)
    amplitude = rng.standard_normal((waves, 3), np.float32) * (np.float32(0.42 / 60) * length)[:, None]
    phase = rng.uniform(0, 2 * np.pi, waves).astype(np.float32)
    return np.sin(mean @ (direction * np.float32(2 * np.pi) / length) + phase) @ amplitude


class FaceStudio:
    """Draws and rasterizes blocks of faces; everything random comes from (seed, split, index).

    Args:
        size: the final pictures' side in pixels.
        supersampling: canvas pixels to each side of a final pixel.
    """

    def __init__(self, face_model: MorphableModel, rasterizer: Rasterizer, size: int, supersampling: int):
        self.face_model, self.rasterizer = face_model, rasterizer
        self.size, self.canvas = size, size * supersampling
        self.marks = mean_landmarks(face_model)
        standing = to_camera(torch.from_numpy(self.marks[None]), torch.zeros(1, 6))
        self.template = project(standing, Camera(size))[0].numpy()
        self.mean = face_model.mean_shape.cpu().numpy()

    def draw(self, seed: int, split: str, indices: range, plans: list[Plan]) -> list[Face]:
        """The faces of a block of samples."""
        people = [draw_person(stream(seed, plan.people, plan.person, Purpose.IDENTITY)) for plan in plans]
        streams = [stream(seed, split, index, Purpose.FACE) for index in indices]
        expressions = [draw_expression(rng, plan.setting) for rng, plan in zip(streams, plans, strict=True)]
        angles = [draw_rotation(rng, plan.setting) for rng, plan in zip(streams, plans, strict=True)]
        lights = [draw_light(rng, plan.setting) for rng, plan in zip(streams, plans, strict=True)]
        vertices = self.face_model.vertices(_stack([p.shape for p in people]), _stack(expressions))
        warps = [_warp(stream(seed, split, index, Purpose.WARP), self.mean) for index in indices]
        vertices = vertices + _stack(warps)
        points = vertices[:, self.face_model.landmark_vertices].numpy()
        errors = [
            detector_noise(
                stream(seed, split, i, Purpose.DETECTOR), self.size, p.setting, [k for k, _ in p.occluders]
            )
            for i, p in zip(indices, plans, strict=True)
        ]
        poses = aligned_poses(points, np.stack(angles), np.stack(errors), self.template, self.size)
        pictures = self._rasterize(vertices, _stack([p.albedo for p in people]), torch.from_numpy(poses))
        return [
            self._face(people[k], expressions[k], poses[k], lights[k], points[k], errors[k], pictures[k])
            for k in range(len(indices))
        ]

    def _rasterize(self, vertices, albedo, pose) -> Float[ndarray, "b h w c"]:
        """Per canvas pixel: region, albedo (3), normal (3), mean-face coordinates (3), camera z."""
        model = self.face_model
        camera_vertices = to_camera(vertices, pose)
        normals = vertex_normals(camera_vertices, model.triangles)
        reference = model.mean_shape.expand_as(vertices)
        one = torch.ones_like(vertices[..., :1])
        colours = model.albedo(albedo).clamp(0.01, 1)
        attributes = torch.cat([one, colours, normals, reference, camera_vertices[..., 2:]], dim=-1)
        positions = clip_positions(camera_vertices, Camera(self.canvas))
        fragments = self.rasterizer(positions, model.triangles, self.canvas, self.canvas)
        return interpolate(attributes, model.triangles, fragments).permute(0, 2, 3, 1).contiguous().numpy()

    def _face(self, person, expression, pose, light, points, errors, picture) -> Face:
        region = (picture[..., 0] > 0).astype(np.float32)
        normals = unit(picture[..., 4:7])
        albedo = picture[..., 1:4]
        camera = Camera(self.canvas)
        scene = Scene(
            size=self.canvas,
            focal=camera.focal,
            rotation=rotation_matrix(torch.from_numpy(pose[None, :3]))[0].numpy(),
            translation=pose[3:] - np.array([0, 0, STANDARD_DISTANCE], np.float32),
            points=points,
            landmarks=np.zeros((68, 2), np.float32),
            region=region,
            depth=np.where(region > 0, picture[..., 10], np.float32(_OFF_FACE)),
            normals=normals,
            light=light,
            skin=albedo.sum(axis=(0, 1)) / max(float(region.sum()), 1.0),
        )
        scene = scene.with_landmarks()
        detected = scene.landmarks / (self.canvas / self.size) + errors
        params = np.concatenate(
            [person.shape, expression, person.albedo, pose, illumination_parameters(light)]
        )
        return Face(
            person,
            params.astype(np.float32),
            detected.astype(np.float32),
            scene,
            albedo,
            picture[..., 7:10],
            self.marks,
        )


def _stack(arrays) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays))
