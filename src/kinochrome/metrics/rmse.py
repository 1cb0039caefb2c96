"""Root of the mean squared error."""

from __future__ import annotations

import math

from .metric import Metric
from .score import Pair


class Rmse(Metric):
    """Of R'G'B' 0..1; the root is taken a frame, before the mean over frames."""

    def of(self, pair: Pair) -> float:
        return math.sqrt(pair.mean_square)
