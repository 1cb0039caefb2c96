"""Mean absolute error."""

from __future__ import annotations

import cv2

from .metric import Metric
from .score import Pair


class Mae(Metric):
    """Of R'G'B' 0..1, over pixels and channels."""

    def of(self, pair: Pair) -> float:
        return cv2.norm(pair.residual, cv2.NORM_L1) / pair.residual.size
