"""Strokes drawn from the truth: few pixels, the true colours, the same every time."""

from __future__ import annotations

import torch

from kinochrome.evaluation.strokes import drawn, with_strokes
from kinochrome.types import Clip, Painted


def test_strokes_are_few_and_of_the_true_colour() -> None:
    ab = torch.arange(2 * 60 * 80, dtype=torch.float32).view(2, 60, 80)
    strokes = drawn("bear", 4, 7, ab)
    assert len(strokes) == 4 and {stroke.frame for stroke in strokes} == {7}
    for stroke in strokes:
        share = stroke.where.float().mean()
        assert 0 < share < 0.05
        under = ab[:, stroke.where[0]]
        assert torch.equal(stroke.ab[:, 0, 0], under.median(dim=1).values)


def test_the_same_strokes_in_every_run_and_others_in_every_clip() -> None:
    ab = torch.zeros(2, 60, 80)
    first, again, other = (
        torch.stack([stroke.where for stroke in drawn(name, 5, 0, ab)]) for name in ("bear", "bear", "dog")
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    half = torch.stack([stroke.where for stroke in drawn("bear", 5, 0, torch.zeros(2, 30, 40))]).float()
    large = torch.nn.functional.avg_pool2d(first.float(), 2)
    assert (half * (large > 0)).sum() > 0.5 * half.sum(), "in the same places at every working size"


def test_a_method_gets_the_strokes_of_its_clips() -> None:
    class Counter:
        longest = 10

        def colorize(self, clip: Clip):
            yield Painted(torch.full((2, 6, 8), float(len(clip.scribbles))), torch.ones(1, 6, 8))

    def counted(start: int) -> float:
        clip = Clip(start, 0, torch.zeros(4, 1, 6, 8))
        strokes = with_strokes(Counter(), lambda size: drawn("bear", 3, 5, torch.zeros(2, *size)))  # type: ignore[arg-type]
        return float(next(strokes.colorize(clip)).ab.mean())

    assert counted(4) == 3
    assert counted(6) == 0, "their frame lies outside"
