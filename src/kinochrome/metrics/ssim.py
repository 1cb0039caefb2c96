"""Structural similarity (Wang et al. 2004), of R', G' and B' each, over windows that lie wholly inside the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from .metric import Metric
from .score import Pair

STRIP = 96
"""Rows computed at a time: they stay in the processor's cache."""
C1, C2 = np.float32(0.01**2), np.float32(0.03**2)


@dataclass(frozen=True)
class Window:
    mean: Callable[[np.ndarray], np.ndarray]
    """The weighted mean around each pixel."""
    reach: int
    """A window is 2 reach + 1 pixels wide and high."""
    unbiased: float
    """What variances are multiplied by."""


UNIFORM = Window(lambda image: cv2.boxFilter(image, -1, (7, 7)), reach=3, unbiased=49 / 48)
GAUSSIAN = Window(lambda image: cv2.GaussianBlur(image, (11, 11), 1.5), reach=5, unbiased=1)


class Ssim(Metric):
    """Uniform 7x7 window and sample covariance, as scikit-image has it by default."""

    better = "higher"

    def of(self, pair: Pair) -> float | None:
        return similarity(pair.result.rgb, pair.truth.rgb, UNIFORM)


class SsimGauss(Metric):
    """Gaussian 11x11 window of sigma 1.5, as in the paper."""

    better = "higher"

    def of(self, pair: Pair) -> float | None:
        return similarity(pair.result.rgb, pair.truth.rgb, GAUSSIAN)


def similarity(first: np.ndarray, second: np.ndarray, window: Window) -> float | None:
    """Mean over windows and channels of pictures (h, w, channels), 0..1; None where no window fits."""
    around = 2 * window.reach
    rows, columns = first.shape[0] - around, first.shape[1] - around
    if rows < 1 or columns < 1:
        return None
    total = 0.0
    for top in range(0, rows, STRIP):
        strip = slice(top, top + STRIP + around)
        total += sum(cv2.sumElems(_map(first[strip], second[strip], window)))
    return float(total / (rows * columns * first.shape[2]))


def _map(first: np.ndarray, second: np.ndarray, window: Window) -> np.ndarray:
    """The similarity of every window inside.

    With s = x + y and d = x - y four means do for five: 4 cov(x, y) = var s - var d, 2 (var x + var y) = var s + var d.
    """
    both, between = first + second, first - second
    both -= 1  # around 0, where a square taken from a mean of squares costs float32 the least
    mean_both, mean_between = window.mean(both), window.mean(between)
    var_both = window.mean(np.square(both, out=both))
    var_between = window.mean(np.square(between, out=between))
    # In place from here on, and to the edge: new arrays and parts of arrays take longer than the arithmetic.
    square_between = np.square(mean_between, out=mean_between)
    var_between -= square_between
    var_both -= np.square(mean_both, out=both)
    var_both += 2 * C2 / np.float32(window.unbiased)  # instead of multiplying both variances
    square_both = np.square(np.add(mean_both, 1, out=mean_both), out=mean_both)
    square_both += 2 * C1
    similar = np.subtract(square_both, square_between, out=both)
    similar *= np.subtract(var_both, var_between, out=between)
    square_both += square_between
    var_both += var_between
    square_both *= var_both
    similar /= square_both
    inside = slice(window.reach, -window.reach)
    return similar[inside, inside]
