"""Fade: the slope of a known loss, whatever the film does and whatever a few frames do."""

from __future__ import annotations

import numpy as np
import pytest

from kinochrome.metrics import fade

from .clips import clip_figure, flat, panned, texture


def paled(frame: np.ndarray, share: float) -> np.ndarray:
    """So much of its colour, at the same mean of channels; float32."""
    values = frame.astype(np.float32) / 255
    light = values.mean(axis=2, keepdims=True)
    return light + np.float32(share) * (values - light)


def test_a_known_loss() -> None:
    film = [texture()] * 11
    result = [paled(frame, 1 - 0.02 * k) for k, frame in enumerate(film)]
    assert clip_figure("fade", result, film) == pytest.approx(200, rel=1e-3)
    assert clip_figure("fade", result[::-1], film) == pytest.approx(-200, rel=1e-3)


def test_what_the_truth_loses_is_no_fade() -> None:
    film = [paled(texture(), 1 - 0.05 * k) for k in range(10)]
    assert clip_figure("fade", film, film) == 0
    assert clip_figure("fade", [paled(texture(), 1)] * 10, film) < -100  # keeping what the truth loses is gaining


def test_even_paleness_and_grey_are_no_fade() -> None:
    film = [paled(texture(), 1 - 0.05 * k) for k in range(10)]
    assert clip_figure("fade", [paled(frame, 0.5) for frame in film], film) == pytest.approx(0, abs=1e-2)
    assert clip_figure("fade", [paled(frame, 0) for frame in film], film) == pytest.approx(0, abs=1e-2)


def test_a_grey_truth_has_nothing_to_fade() -> None:
    assert clip_figure("fade", panned(4), [flat(90, 90, 90, size=(48, 64))] * 4) is None


def test_a_few_odd_frames_do_not_move_it() -> None:
    film = panned(12)
    result = [paled(frame, 1) for frame in film]
    result[3], result[11] = flat(0.5, 0.5, 0.5, size=(48, 64)), flat(0.5, 0.5, 0.5, size=(48, 64))
    assert abs(clip_figure("fade", result, film)) < 1


def test_one_frame_has_none() -> None:
    assert clip_figure("fade", [texture()], [texture()]) is None


def test_long_clips_are_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    film = [texture(12, 16)] * 30
    result = [paled(frame, 1 - 0.01 * k) for k, frame in enumerate(film)]
    exact = clip_figure("fade", result, film)
    monkeypatch.setattr(fade, "LONGEST", 7)
    assert clip_figure("fade", result, film) == pytest.approx(exact, rel=1e-2)
