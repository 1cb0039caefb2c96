"""What a method sees of a true frame, and how its colours come back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from kinochrome.evaluation.grey import Lstar, Luma
from kinochrome.metrics.picture import Picture
from kinochrome.types import Painted
from tests.metrics.clips import flat, texture


@pytest.fixture
def true() -> Picture:
    return Picture(texture())


def test_lightness_is_kept_and_colour_alone_is_lost(true: Picture) -> None:
    plain = Lstar().pasted(true, np.zeros((2, 48, 64), np.float32))
    lab = rgb2lab(plain)
    assert np.abs(lab[..., 1:]).max() < 0.02
    assert np.abs(lab[..., 0] - rgb2lab(true.rgb)[..., 0]).max() < 0.02
    assert Lstar().lightness(true, (12, 16)).numpy()[0] == pytest.approx(
        true.lab[0].reshape(12, 4, 16, 4).mean(axis=(1, 3)), abs=1e-3
    )
    assert Lstar().ab(true, (12, 16)).numpy() == pytest.approx(
        true.lab[1:].reshape(2, 12, 4, 16, 4).mean(axis=(2, 4)), abs=1e-3
    )


def test_luma_is_8_bit_and_stays(true: Picture) -> None:
    plain = Luma().pasted(true, np.zeros((2, 48, 64), np.float32))
    assert plain.dtype == np.uint8
    assert np.array_equal(plain[..., 0], true.luma) and np.array_equal(plain[..., 2], true.luma)
    back = Picture(Luma().coloured(true, Painted(Luma().ab(true, (24, 32)), torch.ones(1, 24, 32))))
    assert np.abs(back.luma.astype(int) - true.luma).max() <= 1


@pytest.mark.parametrize("grey", [Lstar(), Luma()])
def test_true_colours_come_back(grey: Lstar | Luma, true: Picture) -> None:
    full = Picture(grey.pasted(true, true.lab[1:]))
    # Y' keeps no more of L* than 8 bits hold of it, and colour of the same luma differs a little in L*.
    assert np.abs(full.rgb - true.rgb).mean() < (1e-4 if isinstance(grey, Lstar) else 0.01)
    small = Painted(grey.ab(true, (24, 32)), torch.ones(1, 24, 32))
    plain = grey.pasted(true, np.zeros((2, 48, 64), np.float32))
    assert (
        np.abs(Picture(grey.coloured(true, small)).rgb - true.rgb).mean()
        < np.abs(Picture(plain).rgb - true.rgb).mean() * 0.3
    )


def test_colours_that_do_not_fit_keep_lightness_and_hue() -> None:
    true = Picture(flat(30, 30, 60))
    wild = np.stack([np.full((12, 16), 90.0), np.full((12, 16), -90.0)]).astype(np.float32)
    lab = rgb2lab(Lstar().pasted(true, wild))[0, 0]
    assert lab[0] == pytest.approx(true.lab[0, 0, 0], abs=0.1)
    assert lab[2] / lab[1] == pytest.approx(-1, abs=0.01)
    assert 5 < lab[1] < 90
