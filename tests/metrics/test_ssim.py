"""Structural similarity against scikit-image."""

from __future__ import annotations

import pytest
from skimage.metrics import structural_similarity

from kinochrome.metrics import ssim
from kinochrome.metrics.ssim import Ssim, SsimGauss

from .clips import flat, noisy, pair_of, texture


@pytest.mark.parametrize("size", [2, 25, 100])
def test_as_scikit_image(size: int) -> None:
    truth = texture(61, 83)
    result = noisy([truth], size)[0]
    pair = pair_of(result, truth)
    assert Ssim().of(pair) == pytest.approx(structural_similarity(result, truth, channel_axis=2), abs=2e-6)
    gauss = structural_similarity(
        result, truth, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert SsimGauss().of(pair) == pytest.approx(gauss, abs=2e-6)


def test_flat_bright_frames_keep_their_digits() -> None:
    truth, result = texture(40, 40) // 60 + 240, noisy([texture(40, 40) // 60 + 240], 1)[0]
    expected = structural_similarity(result, truth, channel_axis=2)
    assert Ssim().of(pair_of(result, truth)) == pytest.approx(expected, abs=1e-4)


def test_means_alone_by_hand() -> None:
    similar = (2 * 0.2 * 0.4 + 0.01**2) / (0.2**2 + 0.4**2 + 0.01**2)
    pair = pair_of(flat(51, 51, 51), flat(102, 102, 102))
    assert Ssim().of(pair) == pytest.approx(similar, abs=1e-5)
    assert SsimGauss().of(pair) == pytest.approx(similar, abs=1e-5)


@pytest.mark.parametrize("metric", [Ssim, SsimGauss])
def test_identity_symmetry_and_order(metric: type) -> None:
    truth = texture()
    assert metric().of(pair_of(truth, truth)) == pytest.approx(1)
    results = [noisy([truth], size)[0] for size in (5, 30, 90)]
    figures = [metric().of(pair_of(result, truth)) for result in results]
    assert figures == sorted(figures, reverse=True)
    assert figures[0] == pytest.approx(metric().of(pair_of(truth, results[0])), abs=1e-6)


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = pair_of(noisy([texture()], 20)[0], texture())
    whole = Ssim().of(pair)
    monkeypatch.setattr(ssim, "STRIP", 5)
    assert Ssim().of(pair) == pytest.approx(whole, abs=1e-6)


def test_no_window_fits_a_tiny_frame() -> None:
    pair = pair_of(flat(9, 9, 9, size=(6, 40)), flat(9, 9, 9, size=(6, 40)))
    assert Ssim().of(pair) is None
    assert SsimGauss().of(pair) is None
