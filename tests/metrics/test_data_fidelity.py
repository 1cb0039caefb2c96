"""Data fidelity: decibels to the draft, 100 where it is kept as it was."""

from __future__ import annotations

import pytest

from kinochrome.errors import MethodError
from kinochrome.metrics.psnr import Psnr
from kinochrome.metrics.score import Score

from .clips import moments, noisy, pair_of, texture


def test_against_the_draft_not_the_truth() -> None:
    truth, draft = [texture()], [texture(seed=5)]
    result = noisy(draft, 10)
    score = Score(["data_fidelity"])
    score.add(moments(truth)[0], result[0], draft[0])
    assert score.finish()["data_fidelity"] == Psnr().of(pair_of(result[0], draft[0]))


def test_the_draft_itself_counts_a_hundred() -> None:
    score = Score(["data_fidelity"])
    moment = moments([texture()])[0]
    assert score.add(moment, texture(seed=5), texture(seed=5)) == {"data_fidelity": 100}


def test_without_a_draft() -> None:
    with pytest.raises(MethodError, match=r"data_fidelity.*draft"):
        Score(["data_fidelity"]).add(moments([texture()])[0], texture())
