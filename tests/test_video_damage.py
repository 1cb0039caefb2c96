"""Damaged films keep count and time, come out the same from any start, and bad input says what it is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kinochrome import video
from kinochrome.errors import VideoError
from tests.film import assert_same, damage, make_film, moving_planes, seen_by_scan, truncate

SIZE = (48, 64)
LONG = moving_planes(40, SIZE)


def spoil(path: Path, packet: av.Packet) -> None:
    """Overwrites one packet's bytes in its file."""
    data = path.read_bytes()
    place = data.index(bytes(packet))
    path.write_bytes(data[:place] + np.random.default_rng(3).bytes(packet.size) + data[place + packet.size :])


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("a.mp4", {"codec": "libx264", "options": {"g": "10", "bf": "2"}}),
        ("b.mp4", {"codec": "mpeg4", "options": {"g": "10", "bf": "2"}}),
        ("c.mkv", {"codec": "mpeg2video", "options": {"g": "10", "bf": "2"}}),
        ("d.nut", {"codec": "ffv1", "options": {"g": "1", "slicecrc": "1"}}),
        ("e.mp4", {"codec": "libx264", "options": {"g": "100", "bf": "0"}}),
    ],
    ids=["h264", "mpeg4", "mpeg2", "ffv1", "one long group"],
)
def test_a_damaged_packet_is_held(tmp_path: Path, file: str, options: dict[str, object]) -> None:
    path = make_film(tmp_path / file, LONG, **options)  # type: ignore[arg-type]
    info = video.probe(path)
    whole, sound = seen_by_scan(info)
    with av.open(str(path)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
    hurt = max(packets[12:30], key=lambda packet: packet.size) if file != "e.mp4" else packets[20]
    spoil(path, hurt)
    index = whole.pts.tolist().index(hurt.pts)

    table, frames = seen_by_scan(info)
    assert table.pts.tolist() == whole.pts.tolist()
    assert index in table.held
    later = next((key for key in whole.keyframes.tolist() if key > index), 40)
    # Decoders also drop some of the frames that need it: B-frames before, and after a keyframe some that follow.
    assert set(table.held) <= set(range(index - 2, later))
    assert np.array_equal(frames[index].luma, frames[index - 1].luma)
    assert_same(frames[: index - 3], sound[: index - 3])  # two B-frames before it may be predicted from it
    assert_same(frames[later:], sound[later:])
    for start in range(max(0, index - 3), min(40, index + 14)):
        stop = min(start + 5, 40)
        assert_same(list(video.frames(info, table, start, stop)), frames[start:stop])
    assert_same(list(video.frames(info, table)), frames)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("file", ["a.mkv", "b.ts", "c.mp4", "d.avi"])
def test_noise_anywhere_keeps_what_decodes_repeatable(tmp_path: Path, file: str, seed: int) -> None:
    path = make_film(
        tmp_path / file, LONG, codec="mpeg4" if file == "d.avi" else "libx264", options={"g": "8", "bf": "2"}
    )
    place = np.random.default_rng(seed).uniform(0.15, 0.85)
    damage(path, place, place + 0.02, seed)
    info = video.probe(path)
    table, frames = seen_by_scan(info)
    assert 20 <= len(table) <= 41
    for start in range(0, len(table), 7):
        stop = min(start + 3, len(table))
        assert_same(list(video.frames(info, table, start, stop)), frames[start:stop])


def test_lost_packets_beside_damage_keep_count_and_time(tmp_path: Path) -> None:
    path = make_film(tmp_path / "film.mkv", LONG, options={"g": "1"})
    whole = video.scan(video.probe(path))
    damage(path, 0.5, 0.53)
    table, frames = seen_by_scan(video.probe(path))
    assert len(table) == 40
    assert np.abs(table.pts - whole.pts).max() <= 2
    assert table.held
    assert all(np.array_equal(frames[index].luma, frames[index - 1].luma) for index in table.held)


def test_damage_at_the_very_end_costs_one_frame(tmp_path: Path) -> None:
    path = make_film(tmp_path / "film.nut", LONG, options={"g": "1", "slicecrc": "1"})
    with av.open(str(path)) as source:
        hurt = [packet for packet in source.demux(video=0) if packet.size][38]
    spoil(path, hurt)
    table, frames = seen_by_scan(video.probe(path))
    assert len(table) == 40 and table.held == (38,)
    assert np.array_equal(frames[39].luma, LONG[39][0])


def test_a_damaged_start_is_held_from_what_follows(tmp_path: Path) -> None:
    path = make_film(tmp_path / "film.nut", LONG[:8], options={"g": "1", "slicecrc": "1"})
    with av.open(str(path)) as source:
        hurt = next(source.demux(video=0))
    spoil(path, hurt)
    info = video.probe(path)
    table, frames = seen_by_scan(info)
    assert len(table) == 8 and table.held == (0,)
    assert np.array_equal(frames[0].luma, LONG[1][0])
    assert_same(list(video.frames(info, table, 0, 3)), frames[:3])


def test_a_film_cut_short(tmp_path: Path) -> None:
    options = {"codec": "libx264", "options": {"g": "10", "bf": "2"}}
    path = make_film(tmp_path / "film.mp4", LONG, container={"movflags": "faststart"}, **options)  # type: ignore[arg-type]
    whole = video.scan(video.probe(path))
    truncate(path, 0.6)
    info = video.probe(path)
    table, frames = seen_by_scan(info)
    assert table.pts.tolist() == whole.pts.tolist()  # the index at its front names all frames
    assert table.held and table.held == tuple(range(table.held[0], 40))
    assert 10 < table.held[0] < 35
    assert np.array_equal(frames[-1].luma, frames[table.held[0] - 1].luma)
    assert_same(list(video.frames(info, table, 37, 40)), frames[37:])

    path = make_film(tmp_path / "film.mkv", LONG, **options)  # type: ignore[arg-type]
    truncate(path, 0.6)
    info = video.probe(path)
    table, frames = seen_by_scan(info)
    assert 10 < len(table) < 35
    assert_same(list(video.frames(info, table, 9)), frames[9:])


# Bad input


def test_what_is_no_film_says_so(tmp_path: Path) -> None:
    empty, text, noise, half = (tmp_path / name for name in ("empty.mp4", "letter.txt", "noise.mkv", "half.mp4"))
    empty.touch()
    text.write_text("Dear editor,\n" * 500)
    noise.write_bytes(np.random.default_rng(0).bytes(20000))
    make_film(half, LONG, codec="libx264")
    truncate(half, 0.5)
    for path, words in (
        (tmp_path / "nowhere.mp4", r"nowhere\.mp4 does not exist"),
        (empty, r"empty\.mp4 is empty"),
        (text, r"letter\.txt is (a text file|not a film)"),
        (noise, r"noise\.mkv is not a film"),
        (half, r"half\.mp4 is not a film .*cut short"),
        (tmp_path, r"holds no pictures"),
    ):
        with pytest.raises(VideoError, match=words):
            video.probe(path)


def test_a_film_without_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        output.start_encoding()
    with pytest.raises(VideoError, match=r"film\.mkv ends before its first frame"):
        video.probe(path)


def test_a_film_damaged_throughout(tmp_path: Path) -> None:
    path = make_film(tmp_path / "film.nut", LONG[:10], options={"g": "1", "slicecrc": "1"})
    with av.open(str(path)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
    for packet in packets:
        spoil(path, packet)
    with pytest.raises(VideoError, match="no frame that can be decoded"):
        video.scan(video.probe(path))


def test_a_change_of_size_is_an_error(tmp_path: Path) -> None:
    one = make_film(tmp_path / "one.ts", LONG[:10], codec="mpeg2video")
    two = make_film(tmp_path / "two.ts", moving_planes(10, (64, 80)), codec="mpeg2video", pts=range(10, 20))
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    with pytest.raises(VideoError, match=r"both\.ts: frame (9|10) is 80x64 .*began as 64x48.*ffmpeg"):
        video.scan(video.probe(both))


def test_time_that_starts_again_is_an_error(tmp_path: Path) -> None:
    one = make_film(tmp_path / "one.ts", LONG, codec="mpeg2video")
    both = tmp_path / "both.ts"
    both.write_bytes(2 * one.read_bytes())
    with pytest.raises(VideoError, match=r"both\.ts: time starts again at frame 40.*-c copy"):
        video.scan(video.probe(both))


def test_a_rate_for_a_film_that_has_one_is_an_error(tmp_path: Path) -> None:
    path = make_film(tmp_path / "film.mkv", LONG[:2])
    with pytest.raises(VideoError, match="has its own frame rate"):
        video.probe(path, rate=Fraction(18))
    bare = make_film(tmp_path / "film.h264", LONG, codec="libx264")
    info = video.probe(bare, rate=Fraction(18))
    table = video.scan(info)
    assert info.rate == 18
    for index, pts in enumerate(table.pts):
        assert abs(int(pts) * info.time_base - Fraction(index, 18)) <= info.time_base
