"""What the scenes are painted with: noise, blending, look-ups, sprites, and the development of light into a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike


def floats(values: ArrayLike) -> np.ndarray:
    """The values as float32."""
    return np.asarray(values, np.float32)


def noise(size: tuple[int, int], cell: float, seed: int, octaves: int = 5) -> np.ndarray:
    """(h, w) float32 in 0..1: smooth noise whose largest features are `cell` pixels wide."""
    source = np.random.default_rng(seed)
    height, width = size
    total = np.zeros(size, np.float32)
    weight = 1.0
    for _ in range(octaves):
        rows, columns = int(height / cell) + 4, int(width / cell) + 4
        grid = source.random((rows, columns), np.float32)
        matrix = np.array([[1 / cell, 0, 1.3], [0, 1 / cell, 1.3]], np.float32)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        total += weight * cv2.warpAffine(grid, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)
        weight *= 0.5
        cell = max(cell / 2, 1.0)
    low, high = (float(limit) for limit in np.percentile(total, (0.5, 99.5)))
    return np.clip((total - low) / max(high - low, 1e-6), 0, 1)


def mix(first: np.ndarray, second: np.ndarray | Sequence[float], weight: np.ndarray) -> np.ndarray:
    """`first` where the weight is 0, `second` where it is 1; pictures (h, w, 3), weight (h, w)."""
    return first + (np.asarray(second, np.float32) - first) * weight[..., None]


def step(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    part = np.clip((value - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)


def look_up(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The picture at fractional places, tiled without end."""
    return cv2.remap(picture, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The inner product over the first axis of three."""
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]


def place_sprite(picture: np.ndarray, sprite: np.ndarray, x: float, y: float, size: float, lean: float) -> np.ndarray:
    """The picture with a sprite on it: middle at (x, y), `size` times the picture's height tall, `lean` in radians."""
    rows, columns = picture.shape[:2]
    scale = size * rows / sprite.shape[0]
    middle = (sprite.shape[1] / 2, sprite.shape[0] / 2)
    matrix = cv2.getRotationMatrix2D(middle, float(np.degrees(lean)), float(scale))
    matrix[:, 2] += (x - middle[0], y - middle[1])
    laid = cv2.warpAffine(cv2.GaussianBlur(sprite, (0, 0), max(0.4 / scale, 0.3)), matrix, (columns, rows))
    return picture * (1 - laid[..., 3:]) + laid[..., :3]


def develop(light: np.ndarray) -> np.ndarray:
    """(h, w, 3) R'G'B' in 0..1 of linear light: a soft shoulder, the display's curve, a little contrast."""
    exposed = 1 - np.exp(-1.4 * np.maximum(light - 0.008, 0))
    picture = exposed ** floats(1 / 2.2)
    return picture + 0.35 * (picture * picture * (3 - 2 * picture) - picture)


def polygon(size: tuple[int, int], points: Sequence[Sequence[float]]) -> np.ndarray:
    """(h, w) float32 in 0..1, soft at the edge: the inside of points (x, y) given in 0..1 of the picture."""
    height, width = size
    cover = np.zeros((height * 2, width * 2), np.uint8)
    corners = np.round(floats(points) * floats((width * 2, height * 2)) * 16).astype(np.int32)
    cv2.fillPoly(cover, [corners], 255, cv2.LINE_AA, 4)
    return cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def cover(layer: np.ndarray, colour: np.ndarray | Sequence[float], where: np.ndarray) -> None:
    """Paints a colour, (3,) or (h, w, 3), over a premultiplied (h, w, 4) layer in place."""
    layer *= (1 - where)[..., None]
    layer[..., :3] += np.asarray(colour, np.float32) * where[..., None]
    layer[..., 3] += where


def slide(layer: np.ndarray, x: float, size: tuple[int, int]) -> np.ndarray:
    """The part of a wide layer that begins at the fractional column x; (height, width) = size."""
    matrix = np.array([[1, 0, -x], [0, 1, 0]], np.float32)
    return cv2.warpAffine(layer, matrix, size[::-1], borderMode=cv2.BORDER_REFLECT)


def over(picture: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """The picture with a premultiplied layer laid on it."""
    return picture * (1 - layer[..., 3:]) + layer[..., :3]


def tile(picture: np.ndarray) -> np.ndarray:
    """The picture and its mirror images side by side, which repeat without a seam."""
    wide = np.concatenate((picture, picture[:, ::-1]), 1)
    return np.ascontiguousarray(np.concatenate((wide, wide[::-1])))
