"""Colourfulness (Hasler and Suesstrunk 2003), and the variant that the field computes."""

from __future__ import annotations

import cv2
import numpy as np

from .metric import Metric
from .score import Pair


def colorfulness(opponents: np.ndarray) -> float:
    """Spread plus 0.3 of the shift of the pixels over red-green and yellow-blue (h, w, 2), 0..255."""
    mean, deviation = cv2.meanStdDev(opponents)
    return float(np.hypot(*deviation.ravel()) + 0.3 * np.hypot(*mean.ravel()))


class Colorfulness(Metric):
    """0 for grey, about 15 slightly, 45 averagely, 80 highly colourful; nearest to the truth's is best."""

    better = "truth"

    def of(self, pair: Pair) -> float:
        return colorfulness(pair.result.opponents)


class ColorfulnessAbs(Metric):
    """With absolute values taken first, which narrows the spread: what most papers' scripts print."""

    better = "truth"

    def of(self, pair: Pair) -> float:
        return colorfulness(np.abs(pair.result.opponents))
