"""Structural similarity (Wang et al. 2004), of R', G' and B' each, over windows that lie wholly inside the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from .metric import Metric
from .score import Pair

STRIP = 48
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
        total += _map(first[strip], second[strip], window).sum(dtype=np.float64)
    return float(total / (rows * columns * first.shape[2]))


def _map(first: np.ndarray, second: np.ndarray, window: Window) -> np.ndarray:
    """The similarity of every window inside.

    With s = x + y and d = x - y four means do for five: 4 cov(x, y) = var s - var d, 2 (var x + var y) = var s + var d.
    """
    inside = slice(window.reach, -window.reach)

    def mean(image: np.ndarray) -> np.ndarray:
        return window.mean(image)[inside, inside]

    both, between = first + second, first - second
    both -= 1  # around 0, where a square taken from a mean of squares costs float32 the least
    mean_both, mean_between = mean(both), mean(between)
    var_both = mean(np.square(both, out=both)) - np.square(mean_both)
    var_between = mean(np.square(between, out=between)) - np.square(mean_between)
    var_both *= np.float32(window.unbiased)
    var_between *= np.float32(window.unbiased)
    square_both, square_between = np.square(mean_both + 1), np.square(mean_between)
    similar = (square_both - square_between + 2 * C1) * (var_both - var_between + 2 * C2)
    similar /= (square_both + square_between + 2 * C1) * (var_both + var_between + 2 * C2)
    return similar
