"""One pass over a clip: every metric, gaps, the truth's own figures, wrong input, memory."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from kinochrome.errors import MethodError, VideoError
from kinochrome.metrics import METRICS, load
from kinochrome.metrics.picture import Picture
from kinochrome.metrics.score import Score, Truth

from .clips import noisy, panned, texture

PIXELS = [name for name in METRICS if not any(need.startswith("weights:") for need in load(name).needs)]
"""What needs no network."""
DRAFTLESS = [name for name in PIXELS if "draft" not in load(name).needs]


def shown(film: list[np.ndarray], score: Score, indices: range) -> list[dict[str, float | None]]:
    truth = Truth()
    return [score.add(truth.show(index, frame), frame) for index, frame in zip(indices, film, strict=True)]


def test_every_metric_of_a_result_and_of_the_truth() -> None:
    film = panned(6)
    result = noisy(film, 8)
    truth, scores = Truth(), {name: Score(PIXELS) for name in ("result", "truth")}
    for index, (true, frame) in enumerate(zip(film, result, strict=True)):
        moment = truth.show(index, true)
        by_frame = scores["result"].add(moment, frame, draft=true)
        scores["truth"].add(moment, moment.picture, draft=moment.picture)
    assert set(by_frame) == set(PIXELS)
    assert all(isinstance(figure, float) for figure in by_frame.values()), by_frame
    figures, own = scores["result"].finish(), scores["truth"].finish()
    assert all(figure is not None and np.isfinite(figure) for figure in figures.values()), figures
    assert own["psnr"] is None and own["psnr_u8wrap"] is None
    assert own["ssim"] == pytest.approx(1) and own["delta_e"] == 0 and own["fade"] == 0
    for name, metric in scores["result"].metrics.items():
        if metric.better == "lower":
            assert own[name] < figures[name], name
        if metric.better == "higher" and own[name] is not None:
            assert own[name] > figures[name], name


def test_the_clips_figure_is_the_mean_of_the_frames_own() -> None:
    film = panned(5)
    truth, score = Truth(), Score(DRAFTLESS)
    rows = [
        score.add(truth.show(index, true), frame)
        for index, (true, frame) in enumerate(zip(film, noisy(film, 9), strict=True))
    ]
    clip = score.finish()
    for name in set(DRAFTLESS) - {"cdc", "fade"}:
        own = [row[name] for row in rows if row[name] is not None]
        assert clip[name] == pytest.approx(np.mean(own)), name


def test_a_gap_breaks_what_spans_frames() -> None:
    rows = shown([texture()] * 3, Score(["warp_error", "color_consistency", "cdc"]), range(0, 6, 2))
    assert all(figure is None for row in rows for figure in row.values())


def test_a_result_that_misses_a_frame_is_not_compared_across_it() -> None:
    truth, score = Truth(), Score(["warp_error", "warp_error_vcgan"])
    moments = [truth.show(index, texture()) for index in range(3)]
    score.add(moments[0], texture())
    assert score.add(moments[2], texture()) == {"warp_error": None, "warp_error_vcgan": None}


def test_frames_of_another_size() -> None:
    truth = Truth()
    with pytest.raises(VideoError, match="Frame 0 of the result is 64x40, the true one 64x48"):
        Score(["psnr"]).add(truth.show(0, texture()), texture(40, 64))
    with pytest.raises(VideoError, match="True frame 1 is 60x48"):
        truth.show(1, texture(48, 60))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1, 200])
def test_values_that_are_no_colours(value: float) -> None:
    frame = np.full((8, 8, 3), 0.5, np.float32)
    frame[3, 4, 1] = value
    with pytest.raises(VideoError, match=r"result's frame 0.*within 0..1"):
        Score(["psnr"]).add(Truth().show(0, texture(8, 8)), frame)


@pytest.mark.parametrize("frame", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((8, 8, 4), np.uint8)])
def test_arrays_that_are_no_pictures(frame: np.ndarray) -> None:
    with pytest.raises(VideoError, match="uint8 or float32"):
        Picture(frame)


def test_an_unknown_metric() -> None:
    with pytest.raises(MethodError, match="'psrn'; did you mean 'psnr'"):
        Score(["psrn"])


def test_a_float_truth_equals_its_codes() -> None:
    film, result = panned(3), noisy(panned(3), 6)
    figures = []
    for scale in (False, True):
        truth, score = Truth(), Score(DRAFTLESS)
        for index, (true, frame) in enumerate(zip(film, result, strict=True)):
            given = [true, frame] if not scale else [f.astype(np.float32) / 255 for f in (true, frame)]
            score.add(truth.show(index, given[0]), given[1])
        figures.append(score.finish())
    for name, figure in figures[0].items():
        assert figure == (None if figure is None else pytest.approx(figures[1][name], rel=1e-3, abs=1e-6)), name


def test_grey_truth() -> None:
    film = [np.full((16, 16, 3), 100 + k, np.uint8) for k in range(6)]
    truth, score = Truth(), Score(DRAFTLESS)
    for index, frame in enumerate(film):
        score.add(truth.show(index, frame), frame)
    clip = score.finish()
    assert clip["colorfulness"] == 0 and clip["bleed"] is None and clip["delta_e"] == 0


def test_nothing_is_kept_but_the_frame_before() -> None:
    truth, score = Truth(), Score(DRAFTLESS)
    watched, alive = [], []
    for index, frame in enumerate(panned(9)):
        result = Picture(noisy([frame], 5)[0])
        moment = truth.show(index, frame)
        score.add(moment, result)
        watched += [weakref.ref(result), weakref.ref(moment.picture)]
        del moment, result
        alive.append(sum(picture() is not None for picture in watched))
    assert max(alive) == alive[2] <= 4


@pytest.mark.parametrize("divided", [True, False])
def test_floats_that_are_8_bit_codes_are_known_as_such(divided: bool) -> None:
    codes = texture(70, 9)
    floats = codes / np.float32(255) if divided else codes * np.float32(1 / 255)
    found = Picture(floats)
    assert found.eight_bit and (found.codes == codes).all() and (found.truncated == codes).all()
    between = floats.copy()
    between[-1, -1, -1] = 100.3 / 255
    other = Picture(between)
    assert not other.eight_bit and other.rgb is between
