"""Fading: colour that is lost as a film goes on."""

from __future__ import annotations

import numpy as np

from .colorfulness import colorfulness
from .metric import Metric
from .score import Pair

COLOURLESS = 1.0
"""Colourfulness of a true frame below which there is nothing to fade."""
LONGEST = 400
"""A clip longer than this is summed up in so many stretches of equal length."""


class Fade(Metric):
    """Per cent of the truth's colourfulness that the result loses in 100 frames; below 0 it gains.

    A frame's own figure is the result's colourfulness in per cent of the truth's, so that neither what the film shows
    nor an even paleness is fading. The clip's is Theil and Sen's slope, the median of the slopes between all pairs of
    frames, which a few odd frames cannot move; None for a single frame.
    """

    better = "truth"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._kept: list[tuple[int, float]] = []

    def add(self, pair: Pair) -> float | None:
        full = colorfulness(pair.truth.opponents)
        if full < COLOURLESS:
            return None
        kept = 100 * colorfulness(pair.result.opponents) / full
        self._kept.append((pair.index, kept))
        return kept

    def finish(self) -> float | None:
        if len(self._kept) < 2:
            return None
        points = np.array(self._kept)
        stretches = np.array_split(points, min(len(points), LONGEST))
        index, kept = np.array([np.median(stretch, axis=0) for stretch in stretches]).T
        one, other = np.triu_indices(len(index), 1)
        return float(100 * np.median((kept[one] - kept[other]) / (index[other] - index[one])))
