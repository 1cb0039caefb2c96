"""Mse against numpy and by hand."""

from __future__ import annotations

import pytest

from kinochrome.metrics.mse import Mse

from .clips import clip_figure, flat, noisy, pair_of, texture


def test_by_hand() -> None:
    assert Mse().of(pair_of(flat(110, 100, 100), flat(100, 100, 100))) == pytest.approx(100 / 3 / 255**2, rel=1e-5)


def test_against_numpy() -> None:
    truth = texture()
    result = noisy([truth], 30)[0]
    difference = (result.astype(float) - truth) / 255
    assert Mse().of(pair_of(result, truth)) == pytest.approx((difference**2).mean(), rel=1e-5)
    assert Mse().of(pair_of(truth, result)) == Mse().of(pair_of(result, truth))


def test_the_clip_is_the_mean_of_its_frames() -> None:
    truth = [flat(100, 100, 100)] * 2
    results = [flat(110, 100, 100), flat(100, 100, 100)]
    assert clip_figure("mse", results, truth) == pytest.approx((100 / 3 / 255**2) / 2, rel=1e-5)
