"""Contact sheets, strips, and before/after films."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kinochrome import color, sheet, video
from kinochrome.errors import VideoError
from kinochrome.types import Frame, VideoInfo
from tests.film import grey_planes, make_film, moving_planes

RED, GREEN = np.uint8((200, 20, 30)), np.uint8((20, 180, 40))
INFO = VideoInfo(
    Path("film.mkv"),
    8,
    6,
    "yuv444p",
    8,
    "444",
    False,
    "bt709",
    "limited",
    "bt709",
    "bt709",
    "left",
    Fraction(25),
    Fraction(1, 25),
)


def flat(colour: np.ndarray, height: int = 60, width: int = 80) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(colour, (height, width, 3)))


def test_a_row_shares_the_width_and_keeps_its_order() -> None:
    made = sheet.contact_sheet(
        [[(flat(RED), "film"), (flat(GREEN), "truth")], [(flat(GREEN, 10, 300), "strip")]], width=600
    )
    assert made.shape[1] == 600 and made.dtype == np.uint8
    assert (made[40, 100] == RED).all() and (made[40, 500] == GREEN).all()
    assert (made[:, :3] == sheet.PAPER).all(), "a margin all round"
    reds, greens = ((made == colour).all(-1).any(0).sum() for colour in (RED, GREEN))
    assert reds == (600 - 3 * sheet.GAP) // 2 and greens == 600 - 2 * sheet.GAP


def test_captions_are_there_and_legible() -> None:
    with_text, without = (sheet.contact_sheet([[(flat(RED), text)]], width=300) for text in ("frame 12", ""))
    ink = (with_text != without).any(-1)
    assert ink[-sheet.CAPTION - sheet.GAP :].sum() > 60 and not ink[: -sheet.CAPTION - sheet.GAP].any()
    assert with_text[ink].max() > 180


def test_a_strip_has_a_column_for_every_frame() -> None:
    made = sheet.strip([sheet.squeezed(flat(colour)) for colour in (RED, GREEN, RED, RED)], width=400)
    assert made.shape[1] == 400
    assert [bool((made[5, x] == RED).all()) for x in (50, 150, 250, 350)] == [True, False, True, True]


def test_a_picture_of_a_frame_is_upright_with_square_pixels() -> None:
    luma = np.full((6, 8), 60, np.uint8)
    luma[:, :2] = 200
    plane = np.full((6, 8), 128, np.uint8)
    turned = replace(INFO, rotation=90, sample_aspect=Fraction(2))
    seen = sheet.picture_of(Frame(0, 0, luma, (plane, plane)), turned)
    assert seen.shape == (16, 6, 3)
    assert seen[1, 3, 0] > 180 and seen[-2, 3, 0] < 70, "the left edge is on top after a quarter turn clockwise"


@pytest.mark.parametrize(("subsampling", "steps"), [("444", (1, 1)), ("420", (2, 2))])
def test_a_picture_of_a_frame_has_its_colours(subsampling: str, steps: tuple[int, int]) -> None:
    wanted = flat(RED, 6, 8)
    luma, (cb, cr) = color.planes_from_rgb(wanted)
    info = replace(INFO, range="full", subsampling=subsampling)
    chroma = (cb[:: steps[0], :: steps[1]], cr[:: steps[0], :: steps[1]])
    seen = sheet.picture_of(Frame(0, 0, luma, chroma), info)
    assert np.abs(seen.astype(int) - wanted).max() <= 3
    grey = sheet.picture_of(Frame(0, 0, luma, None), info)
    assert (grey == luma[..., None]).all()


def test_a_sheet_of_a_film_shows_frames_of_all_of_it(tmp_path: Path) -> None:
    neutral = np.full((16, 24), 128, np.uint8)
    shades = [(np.full((32, 48), 40 + 15 * i, np.uint8), neutral, neutral) for i in range(10)]
    film = make_film(tmp_path / "film.mkv", shades)
    sheet.film_sheet(film, tmp_path / "sheet.png", count=4)
    made = video.read_picture(tmp_path / "sheet.png")
    seen = [float(made[y, x, 1]) for y, x in ((40, 100), (40, 600), (40, 1100), (400, 100))]
    assert np.allclose(seen, [(24 + 45 * i) / 219 for i in range(4)], atol=0.01)


@pytest.fixture
def two_films(tmp_path: Path) -> tuple[Path, Path]:
    before = make_film(tmp_path / "before.mkv", grey_planes(6, (32, 48)), audio=True)
    return before, make_film(tmp_path / "after.mkv", moving_planes(6, (32, 48)))


def frames_of(path: Path) -> tuple[VideoInfo, list[Frame]]:
    info = video.probe(path)
    return info, list(video.frames(info, video.scan(info)))


def sound_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as film:
        return [bytes(packet) for packet in film.demux(audio=0) if packet.size]


def test_side_by_side_is_grey_on_the_left_and_coloured_on_the_right(
    two_films: tuple[Path, Path], tmp_path: Path
) -> None:
    before, after = two_films
    sheet.side_by_side(before, after, tmp_path / "both.mkv")
    info, both = frames_of(tmp_path / "both.mkv")
    left, right = frames_of(before)[1], frames_of(after)[1]
    assert (info.width, info.height) == (96, 32) and len(both) == 6
    for first, second, seen in zip(left, right, both, strict=True):
        assert (seen.luma == np.concatenate((first.luma, second.luma), 1)).all()
        cb, cr = (plane[:, : plane.shape[1] // 2] for plane in seen.chroma or ())
        assert (cb == 128).all() and (cr == 128).all()
        assert all(
            (plane[:, plane.shape[1] // 2 :] == own).all()
            for plane, own in zip(seen.chroma or (), second.chroma or (), strict=True)
        )
    assert sound_of(tmp_path / "both.mkv") == sound_of(before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after.mkv", "before.mkv", "both.mkv"]


def test_films_that_do_not_belong_together_are_refused(two_films: tuple[Path, Path], tmp_path: Path) -> None:
    before, _ = two_films
    shorter = make_film(tmp_path / "shorter.mkv", moving_planes(5, (32, 48)))
    lower = make_film(tmp_path / "lower.mkv", moving_planes(6, (16, 48)))
    for other, telling in ((shorter, "5 frames"), (lower, "16")):
        with pytest.raises(VideoError, match=telling):
            sheet.side_by_side(before, other, tmp_path / "both.mkv")
        assert not (tmp_path / "both.mkv").exists()
