"""CDC against the definition written out in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from kinochrome.metrics.cdc import divergence
from kinochrome.metrics.score import Score

from .clips import clip_figure, grey, moments, noisy, panned, texture


def entropy(p: Sequence[float], q: Sequence[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def js(p: Sequence[float], q: Sequence[float]) -> float:
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return entropy(p, middle) / 2 + entropy(q, middle) / 2


def cdc_by_hand(frames: list[np.ndarray]) -> float:
    channels = []
    for channel in range(3):
        shares = []
        for frame in frames:
            codes = frame[..., channel].ravel().tolist()
            shares.append([codes.count(code) / len(codes) for code in range(256)])
        steps = [
            sum(js(shares[k], shares[k + t]) for k in range(len(frames) - t)) / (len(frames) - t) for t in (1, 2, 4)
        ]
        channels.append(sum(steps) / 3)
    return sum(channels) / 3


def test_against_the_definition() -> None:
    film = noisy(panned(7, step=5), 12)
    assert clip_figure("cdc", film, film) == pytest.approx(cdc_by_hand(film), rel=1e-9)


def test_nothing_in_common_is_the_logarithm_of_two() -> None:
    black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    # 0 1 0 1 0 1: every pair 1 apart differs wholly, those 2 and 4 apart not at all.
    assert clip_figure("cdc", [black, white] * 3, [black] * 6) == pytest.approx(math.log(2) / 3)
    assert divergence(np.array([1.0, 0]), np.array([0, 1.0])) == pytest.approx(math.log(2))


def test_a_still_film_has_none() -> None:
    assert clip_figure("cdc", [texture()] * 6, [texture()] * 6) == 0


def test_greying_lowers_it() -> None:
    base = texture() // 2 + 60
    film = [base + np.array([k % 3 * 9, 18 - k % 3 * 9, 9], np.uint8) for k in range(8)]  # the hue flickers
    assert clip_figure("cdc", film, film) > 0.01
    assert clip_figure("cdc", grey(film), film) == 0


@pytest.mark.parametrize("frames", [1, 2, 4])
def test_too_short(frames: int) -> None:
    film = panned(frames)
    assert clip_figure("cdc", film, film) is None


def test_what_lies_behind_a_gap_is_not_kept() -> None:
    score = Score(["cdc"])
    for moment in moments(noisy(panned(40), 12)):
        if moment.index % 5:
            score.add(moment, moment.picture)
    assert sorted(vars(score.metrics["cdc"])["_recent"]) == [36, 37, 38, 39]


def test_frames_left_out_leave_out_their_pairs() -> None:
    film = noisy(panned(9, step=5), 12)
    score = Score(["cdc"])
    for moment in moments(film):
        if moment.index != 3:
            score.add(moment, moment.picture)
    shares = [[np.bincount(frame[..., c].ravel(), minlength=256) / (48 * 64) for c in range(3)] for frame in film]
    steps = []
    for t in (1, 2, 4):
        pairs = [(k, k + t) for k in range(9 - t) if 3 not in (k, k + t)]
        steps.append(np.mean([js(shares[a][c], shares[b][c]) for a, b in pairs for c in range(3)]))
    assert score.finish()["cdc"] == pytest.approx(np.mean(steps), rel=1e-9)
