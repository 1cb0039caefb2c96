"""Peak signal-to-noise ratio: as it is defined, and as a known script prints it."""

from __future__ import annotations

import math

import cv2

from .metric import Metric
from .score import Pair


def decibels(mean_squared_error: float) -> float | None:
    """PSNR of values 0..1; None where nothing differs and it is infinite."""
    return -10 * math.log10(mean_squared_error) if mean_squared_error > 0 else None


class Psnr(Metric):
    """dB a frame; the clip's figure is the mean over its frames, equal ones (infinite) left out."""

    better = "higher"
    infinite = True

    def of(self, pair: Pair) -> float | None:
        return decibels(pair.mean_square)


class PsnrU8Wrap(Metric):
    """What subtracting and squaring uint8 arrays prints: both wrap mod 256, so it hardly falls below 27.9 dB."""

    better = "higher"
    infinite = True

    def of(self, pair: Pair) -> float | None:
        wrapped = pair.result.truncated - pair.truth.truncated
        return decibels(cv2.norm(wrapped * wrapped, cv2.NORM_L1) / wrapped.size / 255**2)
