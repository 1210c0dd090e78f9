"""From light to a file: lens, exposure, noise, resolution, JPEG."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

from occfit.data.synthetic.drawing import blur, grid
from occfit.data.synthetic.priors import Setting


def photograph(
    picture: Float[ndarray, "s s 3"], rng: np.random.Generator, size: int, setting: Setting
) -> UInt8[ndarray, "h w 3"]:
    """What a camera makes of a scene, at `size` pixels.

    Blur, vignetting, white balance and tone, loss of resolution, shot and read noise, JPEG: gentle in the studio,
    anything up to a poor telephone elsewhere, and where it is varied also retouched or black and white.
    """
    roughness = {Setting.STUDIO: 0.35, Setting.WILD: 1.0, Setting.VARIED: 1.6}[setting]
    relative = size / 64
    picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    picture = blur(picture, 0.55 * rng.uniform() ** 2 * roughness * relative)
    picture = _lose_resolution(picture, rng, roughness)
    balance = 1 + rng.normal(0, 0.035, 3) * roughness
    x, y = grid(size)
    corner = ((x - size / 2) ** 2 + (y - size / 2) ** 2) / (0.5 * size**2)
    picture = picture * balance * (1 - rng.uniform(0, 0.25) * roughness * corner)[..., None]
    tone = 1 + rng.normal(0, 0.06) * roughness
    picture = np.clip(picture, 0, 1) ** tone
    if setting is Setting.VARIED:
        picture = _retouch(picture, rng)
    sigma = rng.uniform(0.002, 0.016) * roughness
    grain = rng.standard_normal((size, size, 3), np.float32)
    shot = rng.uniform(0, 0.014) * roughness
    picture = picture + grain * (sigma + shot * np.sqrt(picture))
    return _jpeg(picture, int(rng.integers(*_JPEG_QUALITY[setting])))


_JPEG_QUALITY = {Setting.STUDIO: (85, 100), Setting.WILD: (60, 99), Setting.VARIED: (35, 99)}


def _retouch(picture: Float[ndarray, "h w 3"], rng: np.random.Generator) -> Float[ndarray, "h w 3"]:
    """Saturation, contrast and gamma, to a taste; one picture in sixteen loses its colours."""
    grey = (picture @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    saturation = 0.0 if rng.random() < 1 / 16 else rng.uniform(0.5, 1.3)
    picture = grey + (picture - grey) * np.float32(saturation)
    middle = picture.mean()
    picture = middle + (picture - middle) * np.float32(rng.uniform(0.75, 1.35))
    return np.clip(picture, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.2)))


def _lose_resolution(picture: Float[ndarray, "h w 3"], rng: np.random.Generator, roughness: float) -> ndarray:
    size = picture.shape[0]
    if rng.random() > 0.35 * roughness:
        return picture
    smaller = int(size * rng.uniform(0.55, 0.95))
    small = cv2.resize(picture, (smaller, smaller), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)


def _jpeg(picture: Float[ndarray, "h w 3"], quality: int) -> UInt8[ndarray, "h w 3"]:
    pixels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    _, code = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))[..., ::-1])
