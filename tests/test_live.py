"""Frames in, frames out: as many, in order, of the same depth, in colour, within bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import kinochrome
from kinochrome import color, video
from kinochrome.errors import HintError, VideoError
from kinochrome.methods.flow import Flow
from kinochrome.types import Clip, Painted


def truth(count: int, seed: int = 0, depth: int = 8) -> list[np.ndarray]:
    """A coloured texture that pans two pixels a frame."""
    random = np.random.default_rng(seed)
    wide = cv2.resize(random.random((8, 22, 3)).astype(np.float32), (96 + 2 * count, 64), interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(random.random((32, 88)).astype(np.float32), wide.shape[1::-1])[..., None]
    picture = np.clip(0.25 + 0.4 * wide + 0.3 * (fine - 0.5), 0, 1)
    codes = np.round(picture * ((1 << depth) - 1)).astype(np.uint8 if depth == 8 else np.uint16)
    return [np.ascontiguousarray(codes[:, 2 * k : 2 * k + 96]) for k in range(count)]


def grey(frames: list[np.ndarray]) -> list[np.ndarray]:
    return [color.luma_from_rgb(frame) for frame in frames]


def error(coloured: list[np.ndarray], true: list[np.ndarray]) -> float:
    return float(np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(coloured, true, strict=True)]))


@pytest.mark.parametrize("depth", [8, 16])
def test_frames_come_out_in_colour(depth: int) -> None:
    frames = truth(20, depth=depth)
    coloured = list(kinochrome.stream(grey(frames), {0: frames[0]}))
    assert [frame.dtype for frame in coloured] == [frames[0].dtype] * 20
    assert all(frame.shape == (64, 96, 3) for frame in coloured)
    bare = [np.repeat(luma[..., None], 3, 2) for luma in grey(frames)]
    assert error(coloured, frames) < 0.35 * error(bare, frames)
    lumas = zip(grey(coloured), grey(frames), strict=True)
    assert max(np.abs(a.astype(int) - b.astype(int)).max() for a, b in lumas) <= 1


def test_windows_hand_colours_over_and_cuts_end_them() -> None:
    first, second = truth(30), truth(30, seed=1)
    both = first + second
    references = {0: first[0], 30: second[0]}
    whole = list(kinochrome.stream(grey(both), references, ahead=60))
    windows = list(kinochrome.stream(grey(both), references, ahead=20))
    assert len(windows) == 60
    assert error(windows, both) < error(whole, both) + 2
    alone = list(kinochrome.stream(grey(second), {0: second[0]}, ahead=20))
    assert error(windows[30:], second) == pytest.approx(error(alone, second), rel=0.3), "nothing leaks over the cut"


def test_no_more_than_the_window_is_taken_ahead() -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        frames = grey(truth(40))
        while True:
            yield frames[taken % 40]
            taken += 1

    out = kinochrome.stream(endless(), {0: truth(1)[0]}, ahead=12)
    for given in range(30):
        next(out)
        assert taken <= given + 12 + 1


def test_references_from_files_and_colour_frames_as_film(tmp_path: Path) -> None:
    frames = truth(6)
    video.write_picture(tmp_path / "still.png", frames[0])
    from_file = list(kinochrome.stream(grey(frames), {0: tmp_path / "still.png"}))
    from_colour = list(kinochrome.stream(frames, {0: frames[0]}))
    assert all(map(np.array_equal, from_file, from_colour))


def test_a_reference_is_the_same_in_every_type_that_it_may_have() -> None:
    frames = truth(3)
    wanted = list(kinochrome.stream(grey(frames), {0: frames[0]}))
    for same in (
        frames[0].astype(np.uint16) * 257, frames[0].astype(np.float32) / np.float32(255), frames[0] / 255,
    ):  # fmt: skip
        assert all(map(np.array_equal, kinochrome.stream(grey(frames), {0: same}), wanted)), same.dtype


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint32, np.float32, np.float64, bool])
def test_a_reference_of_another_type_or_scale_is_refused(kind: type) -> None:
    frames = truth(3)
    with pytest.raises(HintError, match=r"uint8, of uint16, or of floats from 0 to 1, not of \w+.*astype\(np.uint8\)"):
        list(kinochrome.stream(grey(frames), {0: frames[0].astype(kind)}))


def test_a_reference_that_holds_no_numbers_is_refused() -> None:
    with pytest.raises(HintError, match="from nan to nan"):
        list(kinochrome.stream(grey(truth(3)), {0: np.full((64, 96, 3), np.nan)}))


def test_bad_input_is_named() -> None:
    frames = grey(truth(3))
    with pytest.raises(HintError, match="at least one reference"):
        list(kinochrome.stream(frames, {}))
    with pytest.raises(VideoError, match="float"):
        list(kinochrome.stream([frames[0].astype(float)], {0: truth(1)[0]}))
    with pytest.raises(VideoError, match="frame 1 is"):
        list(kinochrome.stream([frames[0], frames[1][:-2]], {0: truth(1)[0]}))
    with pytest.raises(VideoError, match=r"frame 1 is \(64, 96, 4\)"):
        list(kinochrome.stream([frames[0], np.zeros((64, 96, 4), np.uint8)], {0: truth(1)[0]}))
    with pytest.raises(HintError, match=r"not \(64, 96\): it tells colours"):
        list(kinochrome.stream(frames, {0: frames[0]}))
    with pytest.raises(VideoError, match="ahead=0"):
        list(kinochrome.stream(frames, {0: truth(1)[0]}, ahead=0))
    assert list(kinochrome.stream([], {})) == []


def test_no_window_is_longer_than_a_method_bears(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    colorize = Flow.colorize

    def watched(self: Flow, clip: Clip) -> Iterator[Painted]:
        lengths.append(len(clip.lightness))
        return colorize(self, clip)

    monkeypatch.setattr(Flow, "colorize", watched)
    monkeypatch.setattr(Flow, "longest", 12)
    frames = truth(30)
    assert len(list(kinochrome.stream(grey(frames), {0: frames[0]}, method="flow", ahead=250))) == 30
    assert max(lengths) <= 12
