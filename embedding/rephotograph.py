"""A simulation of a person photographing the same thing again, casually, with a telephone.

Used where real second photos are missing: to calibrate a gallery of one photo a label, and in demonstrations.
"""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.random import RandomState  # its streams are frozen for ever (NEP 19), unlike Generator's
from numpy.typing import NDArray
from PIL import Image, ImageFilter

__all__ = ["rephotograph"]

Floats = NDArray[np.float64]

_LEAST_VISIBLE = 0.75  # of the thing's area
_UNIT_SQUARE: Floats = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) / 2


def rephotograph(image: Image.Image, *, seed: int, strength: float = 1.0) -> Image.Image:
    """The thing in ``image``, photographed again: as if it were printed flat and lay on some table.

    Other viewpoint (each corner moved by up to 12 % of the sides, turned by up to 15 degrees, at least
    three quarters of the thing in the picture), other light (brightness, contrast, gamma, colour
    temperature, a gradient across), slight blur of focus or of motion, sensor noise, another background,
    JPEG at quality 40 to 85.

    Args:
        image: RGB.
        seed: the same seed gives the same picture (with the same Pillow; its JPEG and resize may differ in
            a bit between versions).
        strength: 0 leaves little more than a JPEG's loss, 1 is a careless snapshot; up to 2 is allowed.

    Returns:
        RGB, its longer side 400 to 900 pixels.

    Raises:
        ValueError: the image is not RGB, or strength is not 0 to 2.
    """
    if image.mode != "RGB":
        raise ValueError(f"rephotograph takes an RGB image, not mode {image.mode}")
    if not 0 <= strength <= 2:
        raise ValueError(f"strength is {strength}; it must be 0 to 2")
    random = RandomState(seed % 2**32)
    size = _canvas_size(image, random)
    corners = _viewpoint(image.size, size, random, strength)
    scene = _lay(image, corners, _background(size, random), random)
    blurred = _blur(_light(scene, random, strength), random, strength)
    return _through_jpeg(_sensor_noise(blurred, random, strength), random, strength)


def _canvas_size(image: Image.Image, random: RandomState) -> tuple[int, int]:
    """A camera's 4:3, held the way that suits the thing; nearer to square for square things."""
    longer = int(random.randint(400, 901))
    ratio = min(max(image.width, image.height) / min(image.width, image.height), 4 / 3)
    shorter = round(longer / max(ratio, 1.1))
    return (longer, shorter) if image.width >= image.height else (shorter, longer)


def _viewpoint(thing: tuple[int, int], canvas: tuple[int, int], random: RandomState, strength: float) -> Floats:
    """Where the thing's corners fall on the canvas, (4, 2) in pixels: top left, then clockwise."""
    fit = min(canvas[0] / thing[0], canvas[1] / thing[1])
    zoom = 1.0 + strength * random.uniform(-0.18, 0.18)
    sides = np.array(thing) * fit * zoom
    angle = math.radians(15.0) * strength * random.uniform(-1.0, 1.0)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    jitter = 0.12 * strength * random.uniform(-1.0, 1.0, (4, 2))
    shift = 0.06 * strength * random.uniform(-1.0, 1.0, 2) * np.array(canvas)
    corners = ((_UNIT_SQUARE + jitter) * sides) @ turn
    while _visible(corners + shift, canvas) < _LEAST_VISIBLE:
        corners, shift = corners * 0.96, shift * 0.9
    return np.asarray(corners + shift + np.array(canvas) / 2)


def _visible(corners: Floats, canvas: tuple[int, int]) -> float:
    """The share of the thing inside a canvas centred at 0, by a grid of points on it."""
    steps = (np.arange(24) + 0.5) / 24
    across, down = (axis.ravel()[:, None] for axis in np.meshgrid(steps, steps))
    top = corners[0] * (1 - across) + corners[1] * across
    bottom = corners[3] * (1 - across) + corners[2] * across
    points = top * (1 - down) + bottom * down
    return float(np.mean(np.all(np.abs(points) <= np.array(canvas) / 2, axis=1)))


def _lay(image: Image.Image, corners: Floats, scene: Image.Image, random: RandomState) -> Image.Image:
    """The thing on its background, with a soft shadow."""
    reach = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).max()
    scale = min(1.0, float(reach) / max(image.size))  # Pillow's transform does not antialias, its resize does
    small = image.resize(
        (max(2, round(image.width * scale)), max(2, round(image.height * scale))), Image.Resampling.LANCZOS
    )
    how = (scene.size, Image.Transform.PERSPECTIVE, _homography(corners, small.size))
    seen = small.transform(*how, resample=Image.Resampling.BICUBIC)
    mask = Image.new("L", small.size, 255).transform(*how, resample=Image.Resampling.BILINEAR)
    mask = mask.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.GaussianBlur(0.7))  # a soft edge, none of its black
    depth, offset = random.uniform(0.15, 0.5), random.randint(-6, 7, 2)
    shadow = Image.new("L", scene.size)
    shadow.paste(mask, (int(offset[0]), int(offset[1])))
    shadow = shadow.filter(ImageFilter.GaussianBlur(max(scene.size) / 90)).point([round(depth * v) for v in range(256)])
    scene.paste((0, 0, 0), mask=shadow)
    scene.paste(seen, mask=mask)
    return scene


def _homography(corners: Floats, size: tuple[int, int]) -> tuple[float, ...]:
    """Pillow's eight numbers, which lead from the canvas back to the picture's pixels."""
    width, height = size
    rows, targets = [], []
    for (x, y), (u, v) in zip(corners, ((0, 0), (width, 0), (width, height), (0, height)), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        targets += [u, v]
    return tuple(float(value) for value in np.linalg.solve(np.array(rows), np.array(targets, dtype=np.float64)))


def _background(size: tuple[int, int], random: RandomState) -> Image.Image:
    """A table, wall or cloth out of focus: large soft patches of related colours, grain or boards on them."""
    base = random.uniform(45, 210) + random.uniform(-25, 25, 3)
    patches = base + random.normal(0, 16, (4, 5, 1)) + random.normal(0, 4, (4, 5, 3))
    soft = _to_image(patches / 255).resize(size, Image.Resampling.BICUBIC)
    values: NDArray[np.floating] = np.asarray(soft, dtype=np.float32)
    kind = random.randint(3)
    if kind == 0:  # boards
        lines = random.normal(0, 9, (max(2, size[1] // random.randint(3, 12)), 1, 1))
        grain = np.repeat(lines, math.ceil(size[1] / len(lines)), axis=0)[: size[1]]
        values = values + grain
    elif kind == 1:  # cloth or stone
        values = values + 12 * _grain(random, (size[1], size[0], 1))
    return _to_image(values / 255).filter(ImageFilter.GaussianBlur(random.uniform(0.8, 3.0)))


def _light(image: Image.Image, random: RandomState, strength: float) -> Image.Image:
    """Exposure, contrast, gamma, colour temperature, and a gradient of light across the scene."""
    angle = random.uniform(0, 2 * math.pi)
    across = np.linspace(-0.5, 0.5, image.width)[None, :, None]
    down = np.linspace(-0.5, 0.5, image.height)[:, None, None]
    slope = strength * random.uniform(0.0, 0.5)
    gradient = 1 + slope * (math.cos(angle) * across + math.sin(angle) * down)
    warmth = strength * random.uniform(-0.12, 0.12)
    tint = np.array([1 + warmth, 1 + strength * random.uniform(-0.03, 0.03), 1 - warmth])
    gamma = math.exp(strength * random.uniform(-0.3, 0.3))
    exposure = math.exp(strength * random.uniform(-0.3, 0.3))
    contrast = 1 + strength * random.uniform(-0.25, 0.25)
    curve = np.linspace(0, 1, 256)[:, None] ** gamma * exposure * tint  # (256, 3): of each level of each channel
    levels = np.asarray(image)
    lit = np.stack([curve[:, c].astype(np.float32)[levels[:, :, c]] for c in range(3)], axis=-1)
    lit *= gradient.astype(np.float32)
    middle = float(lit.mean(dtype=np.float64))
    return _to_image((lit - np.float32(middle)) * np.float32(contrast) + np.float32(middle))


def _blur(image: Image.Image, random: RandomState, strength: float) -> Image.Image:
    """Out of focus by up to 1.4 pixels, or, one time in three, moved by up to 6."""
    radius = strength * random.uniform(0.2, 1.4)
    length = 1 + round(strength * random.uniform(2, 6))
    angle = random.uniform(0, math.pi)
    if random.randint(3) > 0:
        return image.filter(ImageFilter.GaussianBlur(radius))
    reach = length // 2
    padded = np.pad(np.asarray(image, dtype=np.float32), ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    total = np.zeros((image.height, image.width, 3), np.float32)
    steps = np.linspace(-reach, reach, 2 * reach + 1)
    for step in steps:
        x, y = reach + round(step * math.cos(angle)), reach + round(step * math.sin(angle))
        total += padded[y : y + image.height, x : x + image.width]
    return _to_image(total / len(steps) / 255)


def _sensor_noise(image: Image.Image, random: RandomState, strength: float) -> Image.Image:
    """Grows with the light, as photon noise does, over a floor; luminance and colour apart."""
    level = strength * random.uniform(0.004, 0.03)
    levels = np.asarray(image)
    grain = _grain(random, (*levels.shape[:2], 1)) + np.float32(0.5) * _grain(random, levels.shape)
    spread = (level * np.sqrt(0.2 + np.linspace(0, 1, 256))).astype(np.float32)
    return _to_image(levels / np.float32(255) + grain * spread[levels])


def _grain(random: RandomState, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Mean 0, deviation 1. Three random bytes added up are close to normal, and far quicker than the real thing."""
    octets = np.frombuffer(random.bytes(3 * math.prod(shape)), np.uint8).reshape(3, *shape)
    total = octets.sum(axis=0, dtype=np.uint16).astype(np.float32)
    return np.asarray((total - np.float32(382.5)) / np.float32(128))


def _through_jpeg(image: Image.Image, random: RandomState, strength: float) -> Image.Image:
    quality = round(95 - min(strength, 1.0) * (95 - random.uniform(40, 85)))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue()), formats=["JPEG"]).convert("RGB")


def _to_image(values: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray((np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8))
