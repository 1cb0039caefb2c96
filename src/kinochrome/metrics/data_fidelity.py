"""Data fidelity (Lei et al. 2020): how much a method that makes a film steady keeps of the draft it was given."""

from __future__ import annotations

from typing import ClassVar

from .metric import Metric
from .psnr import decibels
from .score import Pair, mean_square

HIGHEST = 100.0


class DataFidelity(Metric):
    """dB between result and draft, a frame; 100 where they are equal, as its authors count."""

    better = "higher"
    needs: ClassVar = frozenset({"draft"})

    def of(self, pair: Pair) -> float | None:
        assert pair.draft is not None
        figure = decibels(mean_square(pair.result.rgb - pair.draft.rgb))
        return HIGHEST if figure is None else figure
