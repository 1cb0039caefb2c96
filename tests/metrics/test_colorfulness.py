"""Colourfulness and its variant against numpy and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kinochrome.metrics.colorfulness import Colorfulness, ColorfulnessAbs

from .clips import clip_figure, flat, grey, pair_of, texture


def by_numpy(picture: np.ndarray, absolute: bool) -> float:
    red, green, blue = np.moveaxis(picture.astype(float), 2, 0)
    planes = red - green, (red + green) / 2 - blue
    if absolute:
        planes = np.abs(planes[0]), np.abs(planes[1])
    spread = np.sqrt(sum(plane.var() for plane in planes))
    shift = np.sqrt(sum(plane.mean() ** 2 for plane in planes))
    return spread + 0.3 * shift


@pytest.mark.parametrize(("metric", "absolute"), [(Colorfulness, False), (ColorfulnessAbs, True)])
def test_against_numpy(metric: type, absolute: bool) -> None:
    picture = texture()
    expected = by_numpy(picture, absolute)
    assert metric().of(pair_of(picture, picture)) == pytest.approx(expected, rel=1e-4)
    assert metric().of(pair_of(picture.astype(np.float32) / 255, picture)) == pytest.approx(expected, rel=1e-4)


def test_by_hand() -> None:
    halves = np.concatenate([flat(200, 0, 0), flat(0, 200, 0)])
    # rg is 200 and -200, yb 100 throughout; the variant sees rg 200 throughout.
    pair = pair_of(halves, halves)
    assert Colorfulness().of(pair) == pytest.approx(200 + 0.3 * 100)
    assert ColorfulnessAbs().of(pair) == pytest.approx(0.3 * np.hypot(200, 100), rel=1e-5)


def test_grey_has_none_and_the_truth_does_not_matter() -> None:
    assert clip_figure("colorfulness", grey([texture()]), [texture()]) == 0
    assert clip_figure("colorfulness_abs", grey([texture()]), [texture()]) == 0
