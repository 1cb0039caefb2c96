"""How far a method that makes drafts steady moves them from what they looked like (Lai et al. 2018)."""

from __future__ import annotations

from .lpips import judge
from .metric import Metric
from .score import Pair


class PerceptualDistance(Metric):
    """LPIPS with SqueezeNet between draft and result, the clip's first frame left out as in Lai's script."""

    needs = frozenset({"draft", "weights:squeezenet1_1", "weights:lpips_squeeze"})

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.judge = judge("squeeze", device)

    def of(self, pair: Pair) -> float | None:
        if pair.draft is None or pair.index == 0:
            return None
        return self.judge.distance(self.judge.look(pair.draft.rgb), self.judge.look(pair.result.rgb))
