"""Colour difference as people see it: CIEDE2000 (ISO/CIE 11664-6)."""

from __future__ import annotations

import math

import numpy as np

from .metric import Metric
from .score import Pair

STRIP = 32
"""Rows computed at a time: they stay in the processor's cache."""
TINY = np.float32(1e-12)
"""Added to what may be 0 and divides."""


class DeltaE(Metric):
    """Mean over pixels; about 1 is just noticeable."""

    def of(self, pair: Pair) -> float:
        result, truth = pair.result.lab, pair.truth.lab
        total = 0.0
        for top in range(0, result.shape[1], STRIP):
            strip = slice(top, top + STRIP)
            total += float(ciede2000(result[:, strip], truth[:, strip]).sum(dtype=np.float64))
        return total / result[0].size


def ciede2000(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(h, w) difference of two CIELAB pictures (3, h, w), float32, all three weights 1; symmetric.

    Hues are unit vectors rather than angles: their mean and their difference need no care at 360 degrees.
    """
    (light_1, a_1, b_1), (light_2, a_2, b_2) = first, second
    stretch = 1.5 - 0.5 * _saturating((_length(a_1, b_1) + _length(a_2, b_2)) * 0.5)
    a_1, a_2 = a_1 * stretch, a_2 * stretch
    chroma_1, chroma_2 = _length(a_1, b_1), _length(a_2, b_2)
    chroma = (chroma_1 + chroma_2) * 0.5

    # Cosine and sine of the mean hue; that of a grey and a colour is the colour's.
    x = a_1 / (chroma_1 + TINY) + a_2 / (chroma_2 + TINY)
    y = b_1 / (chroma_1 + TINY) + b_2 / (chroma_2 + TINY)
    size = _length(x, y) + TINY
    x /= size
    y /= size

    light = np.square((light_1 + light_2) * 0.5 - 50)
    by_light = (light_2 - light_1) / (1 + 0.015 * light / np.sqrt(20 + light))
    by_chroma = (chroma_2 - chroma_1) / (1 + 0.045 * chroma)
    by_hue = _hue_step(a_1, b_1, a_2, b_2, chroma_1 * chroma_2) / (1 + 0.015 * chroma * _unevenness(x, y))
    # Blue is crooked: there chroma and hue count together. Its hue is 275 degrees, measured from 0 to 360.
    hue = np.rad2deg(np.arctan2(y, x))
    from_blue = (hue + np.float32(360) * (hue < 0) - 275) / 25
    blue = np.exp(-np.minimum(np.square(from_blue), 80))  # beyond, numbers so small that processors are slow on them
    rotation = -2 * _saturating(chroma) * np.sin(math.pi / 3 * blue)
    square = np.square(by_light) + np.square(by_chroma) + np.square(by_hue) + rotation * by_chroma * by_hue
    return np.sqrt(np.maximum(square, 0))


def _length(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(x * x + y * y)


def _hue_step(a_1: np.ndarray, b_1: np.ndarray, a_2: np.ndarray, b_2: np.ndarray, chromas: np.ndarray) -> np.ndarray:
    """2 sqrt(C1 C2) sin(half the angle from the first colour to the second); chromas is C1 C2."""
    along, across = a_1 * a_2 + b_1 * b_2, a_1 * b_2 - a_2 * b_1
    # Two forms of the same: one is exact for small angles, the other for large ones.
    small = across * math.sqrt(2) / np.sqrt(np.maximum(chromas + along, TINY))
    if along.min() >= 0:
        return small
    large = np.copysign(np.sqrt(np.maximum(2 * (chromas - along), 0)), across)
    return np.where(along >= 0, small, large)


def _saturating(chroma: np.ndarray) -> np.ndarray:
    """0 for greys to 1 for strong colours: sqrt(C^7 / (C^7 + 25^7))."""
    ratio = chroma * (1 / 25)
    cube = ratio * ratio * ratio
    power = cube * cube * ratio
    return np.sqrt(power / (power + 1))


def _unevenness(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """T: how much a difference of hue counts, by the hue's cosine and sine."""
    cos_2, sin_2 = 2 * x * x - 1, 2 * x * y
    cos_3, sin_3 = x * (2 * cos_2 - 1), y * (2 * cos_2 + 1)
    cos_4, sin_4 = 2 * cos_2 * cos_2 - 1, 2 * sin_2 * cos_2
    return (
        1
        - 0.17 * _cosine_less(30, x, y)
        + 0.24 * cos_2
        + 0.32 * _cosine_less(-6, cos_3, sin_3)
        - 0.20 * _cosine_less(63, cos_4, sin_4)
    )


def _cosine_less(degrees: float, cosine: np.ndarray, sine: np.ndarray) -> np.ndarray:
    """The cosine of an angle less so many degrees, by the angle's own cosine and sine."""
    return cosine * math.cos(math.radians(degrees)) + sine * math.sin(math.radians(degrees))
