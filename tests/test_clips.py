"""Pieces write every frame once; pictures are fitted, never squashed; frames stand upright."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from kinochrome import clips
from kinochrome.types import Frame, Painted, Reference, Scribble, Shot
from tests.film import FILM

INFO = replace(FILM, height=36, rate=Fraction(24), time_base=Fraction(1, 24))


@st.composite
def shot_lists(draw: st.DrawFn) -> list[Shot]:
    lengths = draw(st.lists(st.integers(1, 60), min_size=1, max_size=6))
    shots, start = [], 0
    for length in lengths:
        fade = draw(st.integers(0, 20)) if shots else 0
        shots.append(Shot(start, start + length, fade, draw(st.booleans())))
        start += length
    return clips.without_bad_fades(shots)


@given(shot_lists(), st.integers(1, 40), st.integers(1, 4))
def test_pieces_write_every_frame_once_and_cross_no_cut(shots: list[Shot], longest: int, overlap: int) -> None:
    pieces = clips.split(shots, longest, overlap)
    assert [f for piece in pieces for f in range(piece.start, piece.stop)] == list(range(shots[-1].stop))
    for before, piece in zip([None, *pieces], pieces, strict=False):
        shot = shots[piece.shot]
        following = shots[piece.shot + 1] if piece.shot + 1 < len(shots) else None
        assert shot.start - shot.fade <= piece.first <= piece.start < piece.stop <= piece.last
        assert piece.last <= shot.stop + (following.fade if following else 0)
        assert piece.continues == (before is not None and before.shot == piece.shot)
        if piece.continues:
            assert piece.start > shot.start + shot.fade, "what is handed on is no mixture of two shots"
            assert piece.overlap == min(overlap, piece.start - piece.first) > 0
        elif before is not None:
            # The whole dissolve is seen by both sides: the piece before as its tail, this one from its first frame on.
            assert before.last - before.stop == 2 * shot.fade <= len(range(piece.first, piece.last))
            assert piece.first == before.stop


@given(shot_lists(), st.integers(1, 40), st.integers(1, 4))
@example([Shot(0, 2), Shot(2, 5, 1), Shot(5, 7, 1)], 1, 1)  # the middle shot is one piece with a dissolve at both ends
def test_no_piece_is_longer_than_its_dissolves_make_it(shots: list[Shot], longest: int, overlap: int) -> None:
    for piece in clips.split(shots, longest, overlap):
        head = 0 if piece.continues else 2 * shots[piece.shot].fade + 1
        tail = piece.last - piece.stop
        own = max(longest, head + tail, overlap + max(longest // 2, 1) + tail)
        assert piece.last - piece.first <= own


def test_only_the_first_piece_is_as_long_as_a_long_dissolve() -> None:
    """Two dissolves of 40 frames, each 80 with what both sides see of it, between shots of 300."""
    shots = clips.without_bad_fades([Shot(0, 300), Shot(300, 600, 40), Shot(600, 900, 40)])
    pieces = clips.split(shots, 72)
    first = [piece for piece in pieces if not piece.continues]
    assert [piece.stop - piece.start for piece in first[1:]] == [81, 81]
    inside = [piece for piece in pieces if piece.continues and piece.last == piece.stop]
    assert max(piece.last - piece.first for piece in inside) <= 72
    assert max(piece.last - piece.first for piece in pieces) <= 72 // 2 + 1 + 80


def test_fades_are_cut_to_what_the_shots_allow() -> None:
    shots = clips.without_bad_fades([Shot(0, 10), Shot(10, 14, 9), Shot(14, 60, 9), Shot(60, 90, 5, colour=True)])
    assert [shot.fade for shot in shots] == [0, 2, 1, 0]


def test_a_backward_piece_ends_at_its_first_reference() -> None:
    piece = clips.split([Shot(0, 100)], 40)[2]
    back = clips.backward_piece(piece, [0, 70, 90])
    assert (back.first, back.last) == (piece.first, 71)
    assert clips.backward_piece(piece, [0]) == piece


def test_a_way_back_begins_where_a_reference_covers_its_frame_or_at_the_last_one() -> None:
    def known(frame: int | None, reach: float = 1) -> Reference:
        return Reference(torch.zeros(1, 2, 2), torch.zeros(2, 2, 2), torch.tensor([[[1, 1], [1, reach]]]), frame)

    assert clips.backward_starts([known(9, 0), known(None), known(30), known(20, 0.9), known(4)]) == [4, 30]
    assert clips.backward_starts([known(20, 0), known(9, 0)]) == [20]
    assert clips.backward_starts([known(None)]) == []


def a_frame(luma: np.ndarray) -> Frame:
    return Frame(0, 0, luma)


def test_lightness_is_the_films_own_at_every_depth_and_range() -> None:
    codes = np.linspace(16, 235, 64).astype(np.uint8)[None].repeat(36, 0)
    eight = clips.lightness(a_frame(codes), INFO, (36, 64))
    ten = clips.lightness(a_frame(codes.astype(np.uint16) << 2), replace(INFO, depth=10), (36, 64))
    assert torch.equal(eight, ten)
    assert eight.min() == pytest.approx(0, abs=1e-3)
    assert eight.max() == pytest.approx(100, abs=1e-2)
    full = clips.lightness(a_frame(np.full((36, 64), 255, np.uint8)), replace(INFO, range="full"), (9, 16))
    assert full.min() == pytest.approx(100, abs=1e-2)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_frames_stand_upright(rotation: int) -> None:
    luma = np.full((36, 64), 16, np.uint8)
    luma[:18, :32] = 235  # top left as stored
    info = replace(INFO, rotation=rotation)
    size = clips.small_size(info, 18)
    assert size == ((18, 32) if rotation in (0, 180) else (18, 10))
    light = clips.lightness(a_frame(luma), info, size)[0]
    assert tuple(light.shape) == size
    top, left = {0: (True, True), 90: (True, False), 180: (False, False), 270: (False, True)}[rotation]
    rows = light[:4] if top else light[-4:]
    corner = rows[:, :3] if left else rows[:, -3:]
    assert corner.mean() > 95
    assert light.mean() == pytest.approx(25, abs=3)


def test_pixel_aspect_is_undone() -> None:
    assert clips.small_size(replace(INFO, sample_aspect=Fraction(2)), 18) == (18, 64)
    assert clips.small_size(INFO, 5000) == (36, 64)


def test_a_picture_of_another_shape_is_fitted_not_squashed() -> None:
    square = np.zeros((50, 50, 3), np.float32)
    square[20:30, 20:30] = 1
    fitted, where = clips.fit(square, (36, 64), "contain")
    assert fitted.shape == (36, 64, 3)
    assert where.sum() == 36 * 36
    white = fitted[..., 0] > 0.5
    rows, columns = white.any(1).sum(), white.any(0).sum()
    assert abs(int(rows) - int(columns)) <= 1
    covered, where = clips.fit(square, (36, 64), "cover")
    assert covered.shape == (36, 64, 3)
    assert where.all()
    white = covered[..., 0] > 0.5
    assert abs(int(white.any(1).sum()) - int(white.any(0).sum())) <= 1


def test_the_fit_that_agrees_with_the_film_is_taken() -> None:
    rng = np.random.default_rng(0)
    film = np.kron(rng.random((9, 16)), np.ones((8, 8))).astype(np.float32)
    light = torch.from_numpy(film)[None] * 100
    cropped = np.repeat(film[:, 16:-16, None], 3, 2)  # the sides are missing: fits inside
    boxed = np.pad(np.repeat(film[..., None], 3, 2), ((20, 20), (0, 0), (0, 0)))  # black bars: must be cut off
    assert clips.best_fit(cropped, light, film.shape)[0] == "contain"
    assert clips.best_fit(boxed, light, film.shape)[0] == "cover"
    assert clips.best_fit(cropped, light, film.shape)[1] > 0.95


def test_a_reference_that_is_a_frame_has_the_films_lightness() -> None:
    picture = np.zeros((36, 64, 3), np.float32)
    picture[..., 0] = 1
    frame = Frame(7, 7, np.full((36, 64), 235, np.uint8))
    own = clips.reference(picture, (18, 32), "stretch", frame, INFO)
    other = clips.reference(picture, (18, 32), "stretch", None, INFO)
    assert own.frame == 7
    assert own.lightness.mean() == pytest.approx(100, abs=0.1)
    assert other.frame is None
    assert other.lightness.mean() == pytest.approx(53.24, abs=0.1)
    for one in (own, other):
        assert one.ab.mean((1, 2)).tolist() == pytest.approx([80.09, 67.2], abs=0.1)


def stroke(lines: np.ndarray, colour: tuple[float, float] = (40.0, -30.0)) -> np.ndarray:
    """What `hints.strokes` makes of a picture with one colour where `lines` is not 0."""
    return np.dstack([lines * colour[0], lines * colour[1], lines]).astype(np.float32)


@pytest.mark.parametrize(("height", "width"), [(1080, 3), (480, 2), (240, 1), (2160, 1), (720, 1)])
@pytest.mark.parametrize("slope", [0, 1 / 50, 1 / 3])
def test_a_thin_stroke_neither_breaks_nor_fades(height: int, width: int, slope: float) -> None:
    size = (240, 320)
    columns = height * 4 // 3
    for offset in range(5):
        lines, row = np.zeros((height, columns), np.uint8), height // 4 + offset
        cv2.line(lines, (0, row), (columns - 1, row + round(columns * slope)), 1, width)
        drawn = clips.scribble(stroke(lines), size, 7)
        assert drawn.frame == 7 and drawn.where.shape == (1, *size)
        gap = int(np.diff(np.flatnonzero(drawn.where[0].any(0).numpy())).max())
        # Of a sloping line much thinner than a working-size pixel dots are left, close together.
        assert gap == 1 if width / height >= 2 / 3 / 240 or not slope else gap <= 4
        assert slope or drawn.where[0].sum(0).max() <= 2, "and is hardly widened"
        assert torch.allclose(drawn.ab[:, drawn.where[0]].T, torch.tensor([40.0, -30.0]), atol=0.01)
        assert (drawn.ab[:, ~drawn.where[0]] == 0).all()


def test_a_dot_is_not_lost_and_a_wide_stroke_not_widened() -> None:
    dot = np.zeros((480, 640))
    dot[101, 201] = 1
    assert torch.nonzero(clips.scribble(stroke(dot), (48, 64), 0).where[0]).tolist() == [[10, 20]]
    wide = np.zeros((480, 640))
    wide[100:202, 298:400] = 1  # a fifth of a pixel over the edge at two sides
    where = clips.scribble(stroke(wide), (48, 64), 0).where[0]
    assert where.sum() == 100 and where[10:20, 30:40].all()


def test_two_colours_in_one_pixel_are_mixed_and_none_fades() -> None:
    lines = np.zeros((40, 40))
    lines[:, 12] = lines[:, 17] = 1
    strokes = stroke(lines)
    strokes[:, 17, :2] = 0, 50
    drawn = clips.scribble(strokes, (4, 4), 0)
    assert drawn.where[0, 0].tolist() == [False, True, False, False]
    assert torch.allclose(drawn.ab[:, 0, 1], torch.tensor([20.0, 10.0]))


def test_strokes_lie_over_a_reference() -> None:
    below = Reference(torch.zeros(1, 2, 2), torch.ones(2, 2, 2), torch.full((1, 2, 2), 0.5), 3)
    where = torch.tensor([[[True, False], [False, False]]])
    both = clips.over(below, Scribble(3, torch.full((2, 2, 2), 9.0), where))
    assert both.ab[0].tolist() == [[9, 1], [1, 1]]
    assert both.confidence[0].tolist() == [[1, 0.5], [0.5, 0.5]]
    assert both.frame == 3


def test_a_piece_is_shown_the_references_around_it() -> None:
    def at(frame: int | None) -> Reference:
        return Reference(torch.zeros(1, 2, 2), torch.zeros(2, 2, 2), torch.ones(1, 2, 2), frame)

    shown = clips.near([at(f) for f in (90, 5, None, 1, 3, 22, 25, 40, 50)], 20, 30)
    assert [one.frame for one in shown] == [3, 5, 22, 25, 40, 50, None]


def test_a_dissolve_weighs_both_sides() -> None:
    left = Painted(torch.zeros(2, 4, 4), torch.zeros(1, 4, 4))
    right = Painted(torch.full((2, 4, 4), 8.0), torch.ones(1, 4, 4))
    mixed = clips.crossfade(left, right, 0.25)
    assert mixed.ab.mean() == 2
    assert mixed.confidence.mean() == 0.25


def test_colours_change_size_without_moving() -> None:
    painted = Painted(torch.linspace(0, 10, 32).expand(2, 18, 32).clone(), torch.ones(1, 18, 32))
    there = clips.resized(painted, (36, 64))
    back = clips.resized(there, (18, 32))
    assert torch.allclose(back.ab[:, :, 2:-2], painted.ab[:, :, 2:-2], atol=0.1)
    assert clips.resized(painted, (18, 32)) is painted
