"""CIEDE2000 against its authors' test pairs and against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from kinochrome.metrics.delta_e import DeltaE, ciede2000

from .clips import noisy, pair_of, texture

# Sharma, Wu and Dalal 2005, table 1: L*, a*, b* twice, and the difference.
PUBLISHED = (
    (50.0, 2.6772, -79.7751, 50.0, 0.0, -82.7485, 2.0425),
    (50.0, 3.1571, -77.2803, 50.0, 0.0, -82.7485, 2.8615),
    (50.0, -1.3802, -84.2814, 50.0, 0.0, -82.7485, 1.0000),
    (50.0, 0.0, 0.0, 50.0, -1.0, 2.0, 2.3669),
    (50.0, 2.49, -0.001, 50.0, -2.49, 0.0009, 7.1792),
    (50.0, 2.5, 0.0, 73.0, 25.0, -18.0, 27.1492),
    (50.0, 2.5, 0.0, 58.0, 24.0, 15.0, 19.4535),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
)


@pytest.mark.parametrize("row", PUBLISHED)
def test_published_pairs(row: tuple[float, ...]) -> None:
    first, second = (np.array(row[k : k + 3], np.float32).reshape(3, 1, 1) for k in (0, 3))
    assert ciede2000(first, second).item() == pytest.approx(row[6], abs=2e-4)
    assert ciede2000(second, first).item() == pytest.approx(row[6], abs=2e-4)


def test_as_scikit_image_all_over_the_space() -> None:
    random = np.random.default_rng(0)
    low, high = np.array([0, -90, -90])[:, None, None], np.array([100, 90, 90])[:, None, None]
    first = random.uniform(low, high, (3, 60, 80))
    second = first + random.normal(0, 6, first.shape)
    first[1:, :3] = 0
    second[1:, 2:5] = 0
    expected = deltaE_ciede2000(first.transpose(1, 2, 0), second.transpose(1, 2, 0))
    assert np.abs(ciede2000(first.astype(np.float32), second.astype(np.float32)) - expected).max() < 1e-3


def test_opposite_hues() -> None:
    random = np.random.default_rng(1)
    first = np.stack([np.full((50, 50), 50.0), *random.uniform(-60, 60, (2, 50, 50))])
    second = np.stack([first[0], *(-first[1:] + random.normal(0, 15, (2, 50, 50)))])
    expected = deltaE_ciede2000(first.transpose(1, 2, 0), second.transpose(1, 2, 0))
    away = np.abs(ciede2000(first.astype(np.float32), second.astype(np.float32)) - expected)
    # Where hues are 180 degrees apart the formula itself jumps; a rounding may fall on either side.
    assert np.quantile(away, 0.99) < 1e-2


def test_a_frame() -> None:
    truth = texture()
    result = noisy([truth], 25)[0]
    expected = deltaE_ciede2000(rgb2lab(truth), rgb2lab(result)).mean()
    assert DeltaE().of(pair_of(result, truth)) == pytest.approx(expected, abs=2e-3)
    assert DeltaE().of(pair_of(truth, truth)) == 0
