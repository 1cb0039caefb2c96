"""Raw accuracy against a sweep over thresholds written out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from skimage.color import rgb2lab

from kinochrome.metrics.raw_accuracy import RawAccuracy, area_within

from .clips import grey, noisy, pair_of, texture


def swept(distance: np.ndarray) -> float:
    shares = [(distance <= threshold).mean() for threshold in range(151)]
    return sum((a + b) / 2 for a, b in pairwise(shares)) / 150


@pytest.mark.parametrize("distance", [0.0, 0.5, 1.0, 74.3, 149.99, 150.0, 150.01, 400.0])
def test_one_distance(distance: float) -> None:
    image = np.full((4, 5), distance, np.float32)
    assert area_within(image) == pytest.approx(swept(image), abs=1e-9)


def test_right_is_one_and_far_off_is_none_of_it() -> None:
    assert area_within(np.zeros((3, 3), np.float32)) == 1
    assert area_within(np.full((3, 3), 151, np.float32)) == 0


def test_a_picked_part() -> None:
    distance = np.random.default_rng(0).uniform(0, 170, (20, 30)).astype(np.float32)
    where = (distance > 40).astype(np.uint8)
    assert area_within(distance, where) == pytest.approx(swept(distance[distance > 40]))
    assert area_within(distance, 0 * where) is None


def test_a_frame() -> None:
    truth = texture()
    result = noisy([truth], 60)[0]
    distance = np.linalg.norm(rgb2lab(result)[..., 1:] - rgb2lab(truth)[..., 1:], axis=2)
    assert RawAccuracy().of(pair_of(result, truth)) == pytest.approx(swept(distance), abs=1e-4)
    assert RawAccuracy().of(pair_of(truth, truth)) == 1
    assert RawAccuracy().of(pair_of(grey([truth])[0], truth)) < 1
