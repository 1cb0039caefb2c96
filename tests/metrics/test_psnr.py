"""PSNR as it is defined, and as wrapped uint8 arithmetic prints it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from kinochrome.metrics.psnr import Psnr, PsnrU8Wrap

from .clips import clip_figure, flat, noisy, pair_of, texture


def test_by_hand() -> None:
    assert Psnr().of(pair_of(flat(100, 100, 100), flat(110, 100, 100))) == pytest.approx(
        10 * math.log10(255**2 / (100 / 3)), abs=1e-4
    )
    assert Psnr().of(pair_of(flat(0.5, 0.25, 0.5), flat(0.5, 0.5, 0.5))) == pytest.approx(-10 * math.log10(0.0625 / 3))


@pytest.mark.parametrize("size", [1, 20, 120])
def test_as_scikit_image(size: int) -> None:
    truth = texture()
    result = noisy([truth], size)[0]
    assert Psnr().of(pair_of(result, truth)) == pytest.approx(peak_signal_noise_ratio(truth, result), abs=1e-4)


def test_float_frames_are_not_quantised() -> None:
    truth = flat(0.5, 0.5, 0.5)
    assert Psnr().of(pair_of(truth + np.float32(0.0005), truth)) == pytest.approx(66.02, abs=0.01)


def test_an_equal_frame_has_no_figure_and_the_mean_is_over_the_others() -> None:
    truth = [texture(), texture(seed=2)]
    assert clip_figure("psnr", truth, truth) is None
    result = noisy(truth, 9)
    assert clip_figure("psnr", [truth[0], result[1]], truth) == Psnr().of(pair_of(result[1], truth[1]))


def wrapped_by_arithmetic(result: np.ndarray, truth: np.ndarray) -> float:
    """Written out in integers: no array ever wraps by itself."""
    squares = [
        ((int(r) - int(t)) % 256) ** 2 % 256
        for r, t in zip(result.ravel().tolist(), truth.ravel().tolist(), strict=True)
    ]
    return 20 * math.log10(255 / math.sqrt(sum(squares) / len(squares)))


@pytest.mark.parametrize("size", [3, 20, 120])
def test_wrapped_equals_the_arithmetic(size: int) -> None:
    truth = texture(24, 32)
    result = noisy([truth], size)[0]
    assert PsnrU8Wrap().of(pair_of(result, truth)) == pytest.approx(wrapped_by_arithmetic(result, truth), abs=1e-6)


def test_a_difference_of_sixteen_wraps_to_nothing() -> None:
    assert PsnrU8Wrap().of(pair_of(flat(116, 116, 116), flat(100, 100, 100))) is None
    assert Psnr().of(pair_of(flat(116, 116, 116), flat(100, 100, 100))) == pytest.approx(24.05, abs=0.01)


@pytest.mark.parametrize(("true", "printed"), [(33.1, 34.1), (27.1, 30.9), (23.5, 29.8), (21.0, 29.2)])
def test_wrapping_flatters_as_measured(true: float, printed: float) -> None:
    """Residuals as colourizations have them: many small, a few large (Laplace's distribution)."""
    spread = 255 / math.sqrt(2) * 10 ** (-true / 20)
    random = np.random.default_rng(0)
    truth = np.full((200, 200, 3), 128, np.uint8)
    result = np.clip(np.rint(128 + random.laplace(0, spread, truth.shape)), 0, 255).astype(np.uint8)
    pair = pair_of(result, truth)
    assert Psnr().of(pair) == pytest.approx(true, abs=0.1)
    assert PsnrU8Wrap().of(pair) == pytest.approx(printed, abs=0.1)


def test_wrapped_truncates_float_frames() -> None:
    truth = flat(100, 100, 100)
    assert PsnrU8Wrap().of(pair_of(flat(0.4, 0.4, 0.4) * np.float32(0.9999), truth)) == pytest.approx(
        PsnrU8Wrap().of(pair_of(flat(101, 101, 101), truth))
    )
    assert PsnrU8Wrap().of(pair_of(flat(101.9 / 255, 101.9 / 255, 101.9 / 255), truth)) == pytest.approx(
        20 * math.log10(255)
    )


def test_codes_that_went_through_float_stay_what_they_were() -> None:
    ramp = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert PsnrU8Wrap().of(pair_of(ramp.astype(np.float32) / 255, ramp)) is None


def test_falls_with_noise() -> None:
    truth = texture()
    figures = [Psnr().of(pair_of(noisy([truth], size)[0], truth)) for size in (2, 8, 32)]
    assert figures == sorted(figures, reverse=True)
