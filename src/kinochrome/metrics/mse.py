"""Mean squared error."""

from __future__ import annotations

from .metric import Metric
from .score import Pair


class Mse(Metric):
    """Of R'G'B' 0..1, over pixels and channels."""

    def of(self, pair: Pair) -> float:
        return pair.mean_square
