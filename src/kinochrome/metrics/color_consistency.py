"""Colour consistency (CC): raw accuracy of a film against itself, a frame later."""

from __future__ import annotations

from typing import ClassVar

from .metric import Metric
from .raw_accuracy import area_within
from .score import Pair


class ColorConsistency(Metric):
    """The area under the curve of ab's change along the true film's motion, over pixels that stay in sight.

    The survey names a CC without a formula: this reading compares with no published figure.
    """

    better = "higher"
    needs: ClassVar = frozenset({"flow"})

    def of(self, pair: Pair) -> float | None:
        if pair.motion is None:
            return None
        return area_within(pair.ab_drift, pair.motion.seen)
