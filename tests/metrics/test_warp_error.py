"""Warp errors: nothing along the motion, a known flicker by hand, and how the five scales relate."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

from kinochrome.metrics import METRICS
from kinochrome.metrics.picture import Picture
from kinochrome.metrics.score import Moment, Pair, Score, Truth
from kinochrome.metrics.warp_error import WarpErrorLai, WarpErrorVcgan

from .clips import clip_figure, flat, grey, known, moved, noisy, panned, texture

ALL = [name for name in METRICS if name.startswith("warp_error")]
ALONG_TRUTH = [name for name in ALL if name != "warp_error_vcgan"]


@pytest.mark.parametrize("name", ["warp_error", "warp_error_ab"])
def test_a_pan_has_none(name: str) -> None:
    film = panned(4)
    assert clip_figure(name, film, film, x=-2) == 0
    assert clip_figure(name, film, film, x=-1) > 0


def test_the_border_that_leaves_counts_for_lai_only() -> None:
    film = panned(4)
    assert clip_figure("warp_error_lai", film, film, x=-2) > 0
    assert clip_figure("warp_error_survey", film, film, x=-2) > 0


def test_a_pan_by_estimated_motion_has_next_to_none() -> None:
    film = panned(3)
    truth, score = Truth("dis"), Score(["warp_error"])
    for index, frame in enumerate(film):
        moment = truth.show(index, frame)
        score.add(moment, moment.picture)
    still = clip_figure("warp_error", film, film, x=0)
    assert score.finish()["warp_error"] < 0.03 * still


@pytest.mark.parametrize("name", ALL)
def test_flicker_raises_it(name: str) -> None:
    film = [texture()] * 4
    figures = [clip_figure(name, noisy(film, size), film) for size in (2, 8, 32)]
    assert 0 < figures[0] < figures[1] < figures[2]


def test_a_known_flicker_by_hand() -> None:
    film = [flat(100, 100, 100)] * 2
    result = [flat(100, 100, 100), flat(130, 100, 60)]
    red, blue = 30 / 255, 40 / 255
    assert clip_figure("warp_error", result, film) == pytest.approx((red**2 + blue**2) / 3, rel=1e-5)
    assert clip_figure("warp_error_lai", result, film) == pytest.approx((red**2 + blue**2) / 3, rel=1e-5)
    assert clip_figure("warp_error_survey", result, film) == pytest.approx(np.hypot(red, blue), rel=1e-5)
    ab = [rgb2lab(frame[:1, :1])[0, 0, 1:] for frame in result]
    assert clip_figure("warp_error_ab", result, film) == pytest.approx(((ab[1] - ab[0]) ** 2).mean(), rel=1e-4)


def test_light_does_not_count_for_ab() -> None:
    film = [grey([texture()])[0], grey([texture() // 2])[0]]
    assert clip_figure("warp_error", film, film) > 0.01
    assert clip_figure("warp_error_ab", film, film) < 1e-6


def with_both_motions(before: np.ndarray, after: np.ndarray, x: float) -> Pair:
    first, second = Picture(before), Picture(after)
    motion = moved(first, second, x)
    return Pair(Moment(1, second, motion), second, first, None, motion)


def test_vcgan_is_three_times_lai_where_masks_and_flows_are_equal() -> None:
    pair = with_both_motions(texture(), noisy([texture()], 20)[0], x=0)
    assert WarpErrorVcgan().of(pair) == pytest.approx(3 * WarpErrorLai().of(pair), rel=1e-6)


def test_vcgan_warps_the_wrong_way() -> None:
    film = panned(2)
    true_way = with_both_motions(film[0], film[1], x=-2)
    assert WarpErrorLai().of(true_way) < 0.2 * WarpErrorVcgan().of(true_way)
    # By the flow back, the frame before does come to lie on this one, but for the border.
    other_way = WarpErrorVcgan().of(with_both_motions(film[0], film[1], x=2))
    assert other_way < 0.2 * WarpErrorVcgan().of(true_way)


def test_vcgan_adds_flows_at_the_same_pixel() -> None:
    picture = Picture(texture(8, 10))
    forward = np.zeros((8, 10, 2), np.float32)
    forward[:, 5:] = (2, 0)
    motion = known(picture, Picture(texture(8, 10)), forward, -forward)
    pair = Pair(Moment(1, picture, None), picture, picture, None, motion)
    change = np.zeros((8, 10, 3))
    columns = np.clip(np.arange(5, 10) + 2, 0, 9)
    change[:, 5:] = (texture(8, 10)[:, columns].astype(float) - texture(8, 10)[:, 5:]) / 255
    # Where flows are added at the same pixel, only the column left of the step is left out, as a motion boundary.
    assert WarpErrorVcgan().of(pair) == pytest.approx((change**2).sum() / (8 * 9), rel=1e-4)
    assert motion.clear[:, :5].sum() == 8 * 4 and not motion.clear.all()


@pytest.mark.parametrize("name", ALL)
def test_no_frame_before_no_figure(name: str) -> None:
    assert clip_figure(name, [texture()], [texture()]) is None


@pytest.mark.parametrize("name", ALL)
def test_a_pair_that_shows_nothing(name: str) -> None:
    first = Picture(texture())
    away = np.full((48, 64, 2), 9, np.float32)
    motion = known(first, Picture(texture()), away, away)  # both ways the same: nothing agrees
    pair = Pair(Moment(1, first, motion), first, first, None, motion)
    metric = Score([name]).metrics[name]
    assert metric.of(pair) == (0 if name == "warp_error_lai" else None)


@pytest.mark.parametrize("name", ALONG_TRUTH)
def test_the_motion_is_the_truths(name: str) -> None:
    """Colour that stands still over a moving film is wrong, however steady it looks."""
    film = panned(3, step=4)
    still = [film[0]] * 3
    assert clip_figure(name, still, film, x=-4) > 0
    assert clip_figure(name, still, still) == 0


def test_lai_sees_eight_bit_frames() -> None:
    film = [flat(100, 100, 100)] * 2
    result = [flat(0.5, 0.5, 0.5), flat(0.501, 0.5, 0.5)]
    assert clip_figure("warp_error", result, film) == pytest.approx(0.001**2 / 3, rel=1e-2)
    assert clip_figure("warp_error_lai", result, film) == 0


def test_lai_sees_eight_bit_frames_before_eight_bit_frames_too() -> None:
    film = [flat(100, 100, 100)] * 2
    result = [flat(*[100.4 / 255] * 3), flat(100, 100, 100)]
    assert clip_figure("warp_error", result, film) > 0
    assert clip_figure("warp_error_lai", result, film) == 0


def test_vcgans_boundaries_are_those_of_the_flow_back() -> None:
    first, second = (Picture(frame) for frame in noisy([texture(8, 10)] * 2, 20))
    forward, backward = np.zeros((8, 10, 2), np.float32), np.zeros((8, 10, 2), np.float32)
    backward[:, 5:] = (0.3, 0)  # a boundary, and yet within 0.5 of the flow there
    pair = Pair(Moment(1, second, None), second, first, None, known(first, second, forward, backward))
    square = ((second.rgb - first.rgb) ** 2).sum(axis=2)
    square[:, 4] = 0
    assert WarpErrorVcgan().of(pair) == pytest.approx(square.sum() / (8 * 9), rel=1e-4)
