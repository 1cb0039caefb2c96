"""Fading: colour that is lost as a film goes on."""

from __future__ import annotations

import numpy as np

from .colorfulness import colorfulness
from .metric import Metric
from .score import Pair

LONGEST = 400
"""A clip longer than this is summed up in at most so many stretches of equal length."""


class Fade(Metric):
    """Colourfulness that the result loses and the truth does not, in 100 frames; below 0 it gains.

    The slope of the difference in colourfulness is Theil and Sen's: the median of the slopes between all pairs of
    frames, which a few odd frames cannot move. A frame's own figure is that difference. None for a single frame.
    """

    better = "truth"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._lacks: list[tuple[int, float]] = []

    def add(self, pair: Pair) -> float:
        lack = colorfulness(pair.truth.opponents) - colorfulness(pair.result.opponents)
        self._lacks.append((pair.index, lack))
        return lack

    def finish(self) -> float | None:
        points = np.array(self._lacks)
        if len(points) < 2:
            return None
        stretches = np.array_split(points, min(len(points), LONGEST))
        index, lack = np.array([np.median(stretch, axis=0) for stretch in stretches]).T
        one, other = np.triu_indices(len(index), 1)
        return float(100 * np.median((lack[other] - lack[one]) / (index[other] - index[one])))
