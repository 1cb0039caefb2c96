"""Perceptual distance between draft and result."""

from __future__ import annotations

import pytest

from kinochrome.errors import MethodError, WeightsError
from kinochrome.metrics import load
from kinochrome.metrics.lpips import judge
from kinochrome.metrics.picture import Picture
from kinochrome.metrics.score import Score, Truth

from .clips import grey, noisy, panned
from .judges import no_weights, squeezed  # noqa: F401


def test_it_compares_with_the_draft_from_the_second_frame_on(squeezed: None) -> None:  # noqa: F811
    film = panned(3)
    drafts, results = noisy(film, 40), grey(film)
    truth, score = Truth(), Score(["perceptual_distance"])
    rows = [
        score.add(truth.show(index, true), result, draft)["perceptual_distance"]
        for index, (true, result, draft) in enumerate(zip(film, results, drafts, strict=True))
    ]
    assert rows[0] is None
    with_squeeze = judge("squeeze", "cpu")
    for row, result, draft in list(zip(rows, results, drafts, strict=True))[1:]:
        looks = [with_squeeze.look(Picture(frame).rgb) for frame in (draft, result)]
        assert row == pytest.approx(with_squeeze.distance(*looks), rel=1e-4) and row > 0
    assert score.finish()["perceptual_distance"] == pytest.approx((rows[1] + rows[2]) / 2)


def test_it_needs_a_draft_and_weights(squeezed: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    frame = panned(1)[0]
    with pytest.raises(MethodError, match="draft"):
        Score(["perceptual_distance"]).add(Truth().show(0, frame), frame)
    judge.cache_clear()
    monkeypatch.setenv("KINOCHROME_WEIGHTS", "/nowhere")
    with pytest.raises(WeightsError, match="kinochrome weights get lpips_squeeze"):
        load("perceptual_distance")()
