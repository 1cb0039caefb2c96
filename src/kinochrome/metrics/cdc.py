"""Colour distribution consistency (CDC): how far a film's colour histograms move (Liu et al. 2021)."""

from __future__ import annotations

import cv2
import numpy as np

from .metric import Metric
from .picture import Picture
from .score import Pair

STEPS = (1, 2, 4)


class Cdc(Metric):
    """Jensen-Shannon divergence (natural logarithm) between frames 1, 2 and 4 apart.

    A step's figure is the mean over its pairs, the clip's the mean of the three steps, all channels alike; None for
    clips too short to have all three. The frame's own figure is its divergence from the frame before.
    """

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self._recent: dict[int, np.ndarray] = {}
        self._sums = dict.fromkeys(STEPS, 0.0)
        self._pairs = dict.fromkeys(STEPS, 0)

    def add(self, pair: Pair) -> float | None:
        now = histograms(pair.result)
        apart = {
            step: divergence(self._recent[pair.index - step], now)
            for step in STEPS
            if pair.index - step in self._recent
        }
        for step, figure in apart.items():
            self._sums[step] += figure
            self._pairs[step] += 1
        # No frame to come asks for one that lies farther back; after a gap there may be several.
        oldest = pair.index - max(STEPS)
        self._recent = {index: one for index, one in self._recent.items() if index > oldest} | {pair.index: now}
        return apart.get(1)

    def finish(self) -> float | None:
        if not all(self._pairs.values()):
            return None
        return sum(self._sums[step] / self._pairs[step] for step in STEPS) / len(STEPS)


def histograms(picture: Picture) -> np.ndarray:
    """(3, 256) float64: what share of the pixels has each code, a channel."""
    counts = [cv2.calcHist([picture.codes], [channel], None, [256], [0, 256]).ravel() for channel in range(3)]
    return np.stack(counts).astype(np.float64) / picture.codes[..., 0].size


def divergence(first: np.ndarray, second: np.ndarray) -> float:
    """Jensen-Shannon divergence of distributions along the last axis, mean over the others."""
    middle = (first + second) / 2
    return float((_relative_entropy(first, middle) + _relative_entropy(second, middle)).mean() / 2)


def _relative_entropy(of: np.ndarray, to: np.ndarray) -> np.ndarray:
    ratio = np.divide(of, to, out=np.ones_like(of), where=of > 0)  # 0 log 0 = 0
    return (of * np.log(ratio)).sum(axis=-1)
