"""Colour difference as people see it: CIEDE2000 (ISO/CIE 11664-6)."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch

from .metric import Metric
from .score import Pair

STRIP = 48
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
            total += cv2.sumElems(ciede2000(result[:, strip], truth[:, strip]))[0]
        return total / result[0].size


def ciede2000(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(h, w) difference of two CIELAB pictures (3, h, w), float32, all three weights 1; symmetric.

    Hues are unit vectors rather than angles: their mean and their difference need no care at 360 degrees. Much is
    computed in place: new arrays take longer than the arithmetic.
    """
    (light_1, a_1, b_1), (light_2, a_2, b_2) = first, second
    stretch = 1.5 - 0.5 * _saturating((_length(a_1, b_1) + _length(a_2, b_2)) * 0.5)
    a_1, a_2 = a_1 * stretch, a_2 * stretch
    chroma_1, chroma_2 = _length(a_1, b_1), _length(a_2, b_2)
    x, y = _mean_hue((a_1, b_1, chroma_1), (a_2, b_2, chroma_2))
    by_hue = _hue_step(a_1, b_1, a_2, b_2, chroma_1 * chroma_2)
    by_chroma = chroma_2 - chroma_1
    chroma = chroma_1
    chroma += chroma_2
    chroma *= 0.5

    by_light = light_2 - light_1
    by_light /= _light_scale(light_1 + light_2)
    scale = _unevenness(x, y)
    scale *= chroma
    scale *= 0.015
    scale += 1
    by_hue /= scale
    np.multiply(chroma, 0.045, out=scale)
    scale += 1
    by_chroma /= scale
    square = _blueness(x, y)
    square *= _saturating(chroma)
    square *= by_chroma
    square *= by_hue
    square *= -2
    for part in (by_light, by_chroma, by_hue):
        square += np.square(part, out=part)
    return np.sqrt(np.maximum(square, 0, out=square), out=square)


def _length(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    length = x * x
    length += y * y
    return np.sqrt(length, out=length)


def _mean_hue(*colours: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of the mean hue of two (a, b, chroma); that of a grey and a colour is the colour's."""
    (x, y), (x_2, y_2) = ((a / size, b / size) for a, b, size in ((a, b, chroma + TINY) for a, b, chroma in colours))
    x += x_2
    y += y_2
    size = _length(x, y)
    size += TINY
    x /= size
    y /= size
    return x, y


def _light_scale(both: np.ndarray) -> np.ndarray:
    """S_L, by the sum of the two; `both` is used up."""
    both *= 0.5
    both -= 50
    light = np.square(both, out=both)
    root = light + 20
    light *= 0.015
    light /= np.sqrt(root, out=root)
    light += 1
    return light


def _blueness(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Blue is crooked: there chroma and hue count together. Its hue is 275 degrees, measured from 0 to 360."""
    # That of the opposite colour, -180 to 180; by PyTorch, which takes a tenth of NumPy's time.
    hue = torch.atan2(*(torch.from_numpy(np.negative(axis)) for axis in (y, x))).numpy()
    hue *= 180 / math.pi / 25
    hue -= (275 - 180) / 25
    from_blue = np.square(hue, out=hue)
    np.minimum(from_blue, 80, out=from_blue)  # beyond, numbers so small that processors are slow on them
    blue = cv2.exp(np.negative(from_blue, out=from_blue))
    blue *= math.pi / 3
    return np.sin(blue, out=blue)


def _hue_step(a_1: np.ndarray, b_1: np.ndarray, a_2: np.ndarray, b_2: np.ndarray, chromas: np.ndarray) -> np.ndarray:
    """2 sqrt(C1 C2) sin(half the angle from the first colour to the second); chromas is C1 C2."""
    along, across = a_1 * a_2, a_1 * b_2
    along += b_1 * b_2
    across -= a_2 * b_1
    # Two forms of the same: one is exact for small angles, the other for large ones.
    size = chromas + along
    np.maximum(size, TINY, out=size)
    small = across * math.sqrt(2)
    small /= np.sqrt(size, out=size)
    wide = along < 0
    if wide.any():
        large = np.copysign(np.sqrt(np.maximum(2 * (chromas - along), 0)), across)
        cv2.copyTo(large, wide.view(np.uint8), small)
    return small


def _saturating(chroma: np.ndarray) -> np.ndarray:
    """0 for greys to 1 for strong colours: sqrt(C^7 / (C^7 + 25^7))."""
    power = chroma * (1 / 25)
    cube = power * power
    cube *= power
    power *= cube
    power *= cube
    np.add(power, 1, out=cube)
    power /= cube
    return np.sqrt(power, out=power)


def _unevenness(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """T: how much a difference of hue counts, by the hue's cosine and sine.

    The four cosines of multiples of the hue, written out in powers of x, y and the cosine of twice the hue.
    """
    double = x * x
    double *= 2
    double -= 1
    (cos_30, sin_30), (cos_6, sin_6), (cos_63, sin_63) = (
        (math.cos(angle), math.sin(angle)) for angle in np.deg2rad((30, 6, 63))
    )
    total = double * (-0.4 * cos_63)
    total += 0.24
    total *= double
    total += 1 + 0.2 * cos_63
    part = double * (0.64 * cos_6)
    part -= 0.17 * cos_30 + 0.32 * cos_6
    part *= x
    total += part
    np.multiply(double, x, out=part)
    part *= -0.8 * sin_63
    double *= -0.64 * sin_6
    part += double
    part -= 0.17 * sin_30 + 0.32 * sin_6
    part *= y
    total += part
    return total
