"""Raw accuracy (RA): what share of pixels has the right colour, over all that "right" may mean (Zhang et al. 2016)."""

from __future__ import annotations

import cv2
import numpy as np

from .metric import Metric
from .score import Pair

THRESHOLDS = 151
"""0, 1, … 150 in a*, b*."""


def area_within(distance: np.ndarray, where: np.ndarray | None = None) -> float | None:
    """Area 0..1 under the curve "share of distances at most t" for t from 0 to 150; None where no pixel counts.

    Distances (h, w) float32; where (h, w) uint8 picks the pixels that count.
    """
    count = distance.size if where is None else cv2.countNonZero(where)
    if not count:
        return None
    # A distance first lies within the next whole threshold.
    whole = cv2.convertScaleAbs(np.ceil(distance))  # 8 bits, in which 256 and more is 255: those are counted fastest
    counts = cv2.calcHist([whole], [0], where, [THRESHOLDS], [0, THRESHOLDS])
    shares = np.cumsum(counts, dtype=np.float64) / count
    return float((shares[:-1] + shares[1:]).mean() / 2)


class RawAccuracy(Metric):
    """Of the result's ab against the true one."""

    better = "higher"

    def of(self, pair: Pair) -> float | None:
        return area_within(pair.color_distance)
