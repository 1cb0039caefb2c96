"""A walk through a film: the very frames, decoded once while it goes forward, and no more held than is bearable."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from kinochrome import reel, video
from kinochrome.reel import Reel
from kinochrome.types import Frame, FrameTable, VideoInfo
from tests.film import make_film, moving_planes

FRAMES, SIZE = 150, (32, 48)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[VideoInfo, FrameTable, list[Frame]]:
    planes = moving_planes(FRAMES, SIZE, "yuv420p")
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    info = video.probe(make_film(path, planes, "yuv420p", "ffv1", size=SIZE, options={"g": "48"}))
    table = video.scan(info)
    return info, table, list(video.frames(info, table))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where decodings began."""
    begun: list[int] = []
    real = video.frames

    def frames(info: VideoInfo, table: FrameTable, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        begun.append(start)
        return real(info, table, start, stop)

    monkeypatch.setattr(video, "frames", frames)
    return begun


def same(found: Iterator[Frame], truth: list[Frame], chroma: bool) -> bool:
    frames = list(found)
    return [frame.index for frame in frames] == [frame.index for frame in truth] and all(
        np.array_equal(frame.luma, one.luma)
        and (not chroma or (frame.chroma is not None and all(map(np.array_equal, frame.chroma, one.chroma))))
        for frame, one in zip(frames, truth, strict=True)
    )


def test_pieces_that_follow_each_other_are_decoded_once(film, opened: list[int]) -> None:
    info, table, truth = film
    walked = Reel(info, info, table)
    for first, start, stop, last in ((0, 0, 50, 54), (49, 50, 90, 90), (89, 90, 150, 150)):
        assert same(walked.look(first, last), truth[first:last], chroma=False)
        assert same(walked.again(start, stop), truth[start:stop], chroma=False)
    walked.close()
    assert opened == [0]


def test_what_is_too_much_to_hold_is_decoded_again(film, opened: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    info, table, truth = film
    monkeypatch.setattr(reel, "HELD", 10 * truth[0].luma.nbytes)
    walked = Reel(info, info, table)
    for start, stop in ((0, 40), (39, 80)):
        assert same(walked.look(start, stop), truth[start:stop], chroma=False)
        assert len(walked._held) == 10
        assert same(walked.again(start, stop), truth[start:stop], chroma=False)
    walked.close()
    assert opened == [0, 10, 49]  # the second piece goes on where the first one ended


def test_a_part_in_colour_keeps_its_colours_after_a_dissolve_was_looked_at(film, opened: list[int]) -> None:
    info, table, truth = film
    walked = Reel(info, info, table)
    list(walked.look(0, 40))
    assert same(walked.walk(30, 60), truth[30:60], chroma=True)
    walked.close()


@pytest.mark.parametrize(("frame", "begun"), [(47, [0]), (50, [0, 50])], ids=["before the keyframe", "at it"])
def test_a_gap_is_decoded_through_or_leapt_over(film, opened: list[int], frame: int, begun: list[int]) -> None:
    info, table, truth = film
    walked = Reel(info, info, table)
    list(walked.walk(0, 20))
    assert same(walked.walk(frame, frame + 2), truth[frame : frame + 2], chroma=True)
    walked.close()
    assert opened == begun


def test_what_a_way_back_looked_at_is_not_held_for_long(film, opened: list[int], monkeypatch) -> None:
    info, table, truth = film
    monkeypatch.setattr(reel, "HELD", 40 * truth[0].luma.nbytes)
    walked = Reel(info, info, table)
    for start, stop in ((80, 120), (40, 80), (0, 40)):
        list(walked.look(start, stop))
    assert same(walked.again(0, 40), truth[:40], chroma=False)
    walked.close()
    assert opened == [80, 40, 0]


def test_one_frame_out_of_turn_disturbs_nothing(film, opened: list[int]) -> None:
    info, table, truth = film
    walked = Reel(info, info, table)
    list(walked.walk(0, 20))
    assert same(iter([walked.frame(3)]), truth[3:4], chroma=True)
    assert same(walked.walk(20, 22), truth[20:22], chroma=True)
    walked.close()
    assert opened == [0, 3]


def test_a_preview_is_shrunk(film) -> None:
    info, table, truth = film
    walked = Reel(info, replace(info, width=24, height=16), table)
    [frame] = walked.look(5, 6)
    walked.close()
    assert frame.luma.shape == (16, 24) and frame.chroma is not None and frame.chroma[0].shape == (8, 12)
    assert abs(float(frame.luma.mean()) - float(truth[5].luma.mean())) < 1


def test_the_decoding_thread_ends_with_it(film) -> None:
    info, table, _ = film
    walked = Reel(info, info, table)
    list(walked.walk(0, 2))
    walked.close()
    assert all(thread.name != "kinochrome-decode" for thread in threading.enumerate())
