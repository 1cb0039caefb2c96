"""Which reference serves which shot."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinochrome import hints
from kinochrome.errors import HintError
from kinochrome.project import PictureHint
from kinochrome.types import FrameTable, Shot
from tests.test_clips import INFO

SHOTS = [Shot(0, 10), Shot(10, 20), Shot(20, 30)]


def table(pts: list[int], stop: int | None = None) -> FrameTable:
    return FrameTable(np.array(pts), np.array([0]), stop or pts[-1] + 1)


def hint(name: str, **where: object) -> PictureHint:
    return PictureHint(Path(name), **where)


def thumbnails() -> np.ndarray:
    """Frames 0-9 and 20-29 look alike, 10-19 do not."""
    random = np.random.default_rng(0)
    a, b = random.integers(0, 255, (2, 24, 32), dtype=np.uint8)
    return np.stack([a] * 10 + [b] * 10 + [a] * 10)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=30), st.integers(0, 500))
def test_every_frame_is_found_by_its_own_time(steps: list[int], start: int) -> None:
    pts = np.cumsum([start, *steps]).tolist()
    info = replace(INFO, time_base=Fraction(1, 90))
    film = table(pts, pts[-1] + 5)
    for n, one in enumerate(pts):
        assert hints.frame_at(Fraction(one - start, 90), film, info) == n
    assert hints.frame_at(Fraction(pts[-1] + 5 - start, 90), film, info) == len(pts)


def test_a_time_between_frames_is_the_frame_on_screen() -> None:
    film = table(list(range(0, 240, 10)), 240)
    info = replace(INFO, time_base=Fraction(1, 240))
    assert hints.frame_at(Fraction(6, 100), film, info) == 1
    placed = hints.place([hint("a.png", seconds=Fraction(1, 2))], SHOTS, film, info)
    assert placed == [hint("a.png", frame=12)]


def test_own_references_come_first() -> None:
    given_ = [hint("a.png", frame=3), hint("any.png"), hint("c.png", shot=3), hint("b.png", frame=7)]
    serving = hints.assign(given_, SHOTS, thumbnails())
    assert [[(s.hint.picture.name, s.frame) for s in shot] for shot in serving] == [
        [("a.png", 3), ("b.png", 7)],
        [("any.png", None)],
        [("c.png", None)],
    ]


def test_a_shot_without_any_takes_the_most_alike() -> None:
    serving = hints.assign([hint("a.png", frame=3), hint("b.png", frame=15)], SHOTS, thumbnails())
    assert serving[2][0].hint.picture.name == "a.png", "the scene comes back, though b is nearer in time"
    assert serving[2][0].frame is None
    assert "borrowed from frame 3" in serving[2][0].why


def test_parts_in_colour_need_none() -> None:
    shots = [SHOTS[0], replace(SHOTS[1], colour=True), SHOTS[2]]
    assert hints.assign([hint("a.png", frame=3)], shots, thumbnails())[1] == []


def test_scribbles_take_no_references_place() -> None:
    shots = [SHOTS[0], SHOTS[1], replace(SHOTS[2], colour=True)]
    drawn = [hint("s.png", frame=3), hint("t.png", frame=12), hint("u.png", frame=19), hint("v.png", frame=25)]
    serving = hints.with_scribbles(hints.assign([hint("a.png", frame=3)], shots, thumbnails()), drawn, shots)
    assert [[(s.hint.picture.name, s.frame, s.scribble) for s in shot] for shot in serving] == [
        [("a.png", 3, False), ("s.png", 3, True)],
        [("a.png", None, False), ("t.png", 12, True), ("u.png", 19, True)],
        [],
    ]
    assert serving[1][1].why == "scribbles on frame 12"


def test_what_lies_outside_is_named() -> None:
    film = table(list(range(30)))
    for bad, words in [
        (hint("a.png", frame=30), "frames are 0 to 29"),
        (hint("a.png", seconds=Fraction(9)), "beyond the end"),
        (hint("a.png", shot=4), "shots 1 to 3"),
    ]:
        with pytest.raises(HintError, match=words):
            hints.place([bad], SHOTS, film, INFO)
    with pytest.raises(HintError, match=r"^--scribble a\.png: frame 30"):
        hints.place([hint("a.png", frame=30)], SHOTS, film, INFO, "--scribble")
