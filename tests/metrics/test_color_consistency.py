"""Colour consistency: 1 where colours travel with the motion, less where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from kinochrome.metrics.raw_accuracy import area_within

from .clips import clip_figure, panned, texture


def test_colours_that_move_with_the_film_are_consistent() -> None:
    film = panned(3)
    assert clip_figure("color_consistency", film, film, x=-2) == 1
    assert clip_figure("color_consistency", film, film, x=0) < 0.99


def test_a_known_flicker() -> None:
    lab_red, lab_green = (53.24, 80.09, 67.20), (87.73, -86.18, 83.18)
    red, green = (np.full((8, 9, 3), rgb, np.uint8) for rgb in ((255, 0, 0), (0, 255, 0)))
    apart = np.hypot(lab_red[1] - lab_green[1], lab_red[2] - lab_green[2])
    expected = area_within(np.full((8, 9), apart, np.float32))
    assert clip_figure("color_consistency", [red, green], [red, red]) == pytest.approx(expected, abs=1e-6)


def test_one_frame_has_none() -> None:
    assert clip_figure("color_consistency", [texture()], [texture()]) is None
