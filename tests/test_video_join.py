"""Pieces joined to the film: frames, times, and everything that the source carries beside its pictures."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from kinochrome.errors import VideoError
from kinochrome.types import Encoding, FrameTable, VideoInfo
from kinochrome.video.companions import advanced
from kinochrome.video.join import join
from kinochrome.video.planes import read_letters
from kinochrome.video.presets import encoding_for
from kinochrome.video.probe import probe
from kinochrome.video.sound import write_sound
from kinochrome.video.trial import check_streams, check_times
from kinochrome.video.write import Writer, write_picture

from . import film

SIZE = (48, 64)
COUNT = 12
CHAPTERS = [
    {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}},
    {"id": 2, "start": 200, "end": 480, "time_base": Fraction(1, 1000), "metadata": {"title": "two"}},
]
SUBTITLES = [(0, 100, "hello"), (100, 200, "two lines"), (400, 60, "end")]


def source(
    path: Path,
    *,
    subtitles: str = "",
    attachment: bool = False,
    timecode: str = "",
    rotation: int = 0,
    aspect: Fraction | None = None,
    codec: str = "ffv1",
    sound: bool = True,
) -> Path:
    """A grey film of 12 frames at 25/s with whatever is asked for, a title and two chapters."""
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        video.codec_context.time_base = Fraction(1, 25)
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        if rotation:
            video.set_display_rotation(-rotation)
        if timecode:
            video.metadata["timecode"] = timecode
        output.metadata.update({"title": "A film", "artist": "Someone"})
        tone = film.add_tone(output) if sound else None
        if tone is not None:
            tone.metadata["language"] = "deu"
        text: Any = output.add_mux_stream(subtitles) if subtitles else None
        if text is not None:
            text.time_base = Fraction(1, 1000)
            text.metadata["language"] = "eng"
        if attachment:
            output.add_attachment("letters.ttf", "application/x-truetype-font", b"letters" * 9)
        if path.suffix != ".mxf":
            output.set_chapters(CHAPTERS)
        for index, planes in enumerate(film.grey_planes(COUNT, SIZE)):
            frame = film.make_frame(planes, SIZE, "yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for start, duration, words in SUBTITLES if text is not None else ():
            data = words.encode()
            packet = av.Packet(len(data).to_bytes(2, "big") + data if subtitles == "mov_text" else data)
            packet.stream, packet.time_base, packet.is_keyframe = text, Fraction(1, 1000), True
            packet.pts = packet.dts = start
            packet.duration = duration
            output.mux(packet)
        if tone is not None:
            film.write_tone(output, tone, COUNT / 25)
    return path


def scanned(info: VideoInfo) -> FrameTable:
    with av.open(str(info.path)) as container:
        pts = [frame.pts for frame in container.decode(video=0)]
    return FrameTable(np.array(pts), np.array([0]), pts[-1] + round(1 / info.rate / info.time_base))


def coloured(encoding: Encoding, info: VideoInfo, count: int = COUNT) -> list[film.Planes]:
    pixel_format = f"yuv{encoding.subsampling}p" + (f"{encoding.depth}le" if encoding.depth > 8 else "")
    return film.moving_planes(count, (info.height, info.width), pixel_format)


def written(
    folder: Path,
    path: Path,
    name: str,
    *,
    cuts: tuple[int, ...] = (0, 5, 6),
    span: tuple[int, int] | None = None,
    preset: str | None = None,
    options: dict[str, str] | None = None,
) -> tuple[VideoInfo, FrameTable, Encoding, list[film.Planes]]:
    """The source's film in colour: checked, written in pieces that begin at `cuts` (in the span), joined."""
    info = probe(path)
    table = scanned(info)
    encoding = encoding_for(folder / name, info, preset, options)
    check_streams(info, encoding)
    check_times(info, encoding, table)
    frames = coloured(encoding, info, len(table))
    start, stop = span or (0, len(table))
    segments = []
    for first, end in pairwise([*(start + cut for cut in cuts), stop]):
        segment = folder / f"segment{first}"
        with Writer(segment, info, encoding, first) as writer:
            for index in range(first, end):
                writer.write(int(table.pts[index]), *frames[index])
        segments.append((segment, first))
    join(segments, info, table, encoding, span)
    return info, table, encoding, frames


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_constant_rate_stays_one_with_b_frames(tmp_path: Path, name: str) -> None:
    path = source(tmp_path / "source.mkv", sound=False)
    rate = probe(path).rate
    _, _, encoding, _ = written(tmp_path, path, name, preset="web", options={"bf": "2", "b_strategy": "0"})
    with av.open(str(encoding.target)) as made:
        stream = made.streams.video[0]
        packets = [packet for packet in made.demux(stream) if packet.size]
        assert stream.average_rate == rate
    assert len({after.dts - before.dts for before, after in pairwise(packets)}) == 1
    assert any(packet.dts != packet.pts for packet in packets), "there are B-frames"


def pictures_of(path: Path) -> tuple[list[Fraction], list[np.ndarray]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [(frame.pts * stream.time_base, read_letters(frame)["Y"]) for frame in container.decode(stream)]
    return [time for time, _ in frames], [luma for _, luma in frames]


def packets_of(path: Path, kind: str) -> list[tuple[bytes, Fraction]]:
    with av.open(str(path)) as container:
        streams = getattr(container.streams, kind)
        return [(bytes(p), p.pts * p.time_base) for p in container.demux(streams) if p.size] if streams else []


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


TARGETS = [("a.mp4", "web"), ("a.mp4", "lossless"), ("a.mov", "lossless"), ("a.mkv", "archive"), ("a.mkv", "web"),
           ("a.mov", "prores"), ("a.mp4", "h265"), ("a.mkv", "h265"), ("a.mp4", "av1"), ("a.mkv", "av1")]  # fmt: skip


@pytest.mark.parametrize(("name", "preset"), TARGETS)
def test_frames_times_and_sound_are_the_sources(tmp_path: Path, name: str, preset: str) -> None:
    path = source(tmp_path / "source.mp4", codec="libx264")
    info, table, encoding, frames = written(tmp_path, path, name, preset=preset)
    times, lumas = pictures_of(encoding.target)
    assert times == [int(pts) * info.time_base for pts in table.pts]
    if preset in ("archive", "lossless"):
        for luma, planes in zip(lumas, frames, strict=True):
            np.testing.assert_array_equal(luma, planes[0])
    before, after = packets_of(path, "audio"), packets_of(encoding.target, "audio")
    assert [data for data, _ in before] == [data for data, _ in after] and len(before) > 10
    assert max(abs(a - b) for (_, a), (_, b) in zip(before, after, strict=True)) <= Fraction(1, 1000)


@pytest.mark.parametrize(("name", "preset"), [("a.mp4", "web"), ("a.mkv", "h265"), ("a.mov", "h265"), ("a.mp4", "av1"),
                                              ("a.mkv", "archive"), ("a.mov", "prores")])  # fmt: skip
def test_variable_rate_and_a_late_start_are_kept(tmp_path: Path, name: str, preset: str) -> None:
    pts = [100, 140, 200, 210, 300, 333, 400, 410, 420, 500, 900, 950]
    path = tmp_path / "source.mkv"
    film.make_film(path, film.grey_planes(COUNT, SIZE), pts=pts, time_base=Fraction(1, 1000), audio=True)
    _, _, encoding, _ = written(tmp_path, path, name, preset=preset, cuts=(0, 1, 3, 9))
    times, _ = pictures_of(encoding.target)
    assert times == [Fraction(time, 1000) for time in pts]
    assert [d for d, _ in packets_of(path, "audio")] == [d for d, _ in packets_of(encoding.target, "audio")]
    stamps = [p.dts for p in _packets(encoding.target) if p.dts is not None]
    assert stamps == sorted(set(stamps))


def _packets(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(container.streams.video[0]) if packet.size]


def test_pieces_give_the_same_frames_as_one_piece(tmp_path: Path) -> None:
    path = source(tmp_path / "source.mkv")
    _, _, whole, _ = written(tmp_path, path, "whole.mkv", preset="web", cuts=(0,), options={"crf": "0", "bf": "3"})
    _, _, parts, _ = written(
        tmp_path, path, "parts.mkv", preset="web", cuts=(0, 1, 2, 7), options={"crf": "0", "bf": "3"}
    )
    one, many = pictures_of(whole.target), pictures_of(parts.target)
    assert one[0] == many[0]
    for left, right in zip(one[1], many[1], strict=True):
        np.testing.assert_array_equal(left, right)


def test_matroska_carries_everything(tmp_path: Path) -> None:
    path = source(tmp_path / "source.mkv", subtitles="subrip", attachment=True, rotation=90)
    _, _, encoding, _ = written(tmp_path, path, "a.mkv")
    assert packets_of(path, "subtitles") == packets_of(encoding.target, "subtitles") != []
    assert [data for data, _ in packets_of(path, "audio")] == [data for data, _ in packets_of(encoding.target, "audio")]
    with av.open(str(path)) as before, av.open(str(encoding.target)) as after:
        assert [c["metadata"] for c in after.chapters()] == [{"title": "one"}, {"title": "two"}]
        assert [(c["start"], c["end"]) for c in before.chapters()] == [(c["start"], c["end"]) for c in after.chapters()]
        assert [s.type for s in before.streams] == [s.type for s in after.streams]
        assert [s.language for s in before.streams] == [s.language for s in after.streams]
        assert [s.disposition for s in before.streams] == [s.disposition for s in after.streams]
        kept = after.streams.attachments[0]
        assert (kept.name, kept.mimetype, kept.data) == ("letters.ttf", "application/x-truetype-font", b"letters" * 9)
        assert after.metadata["title"] == "A film" and after.metadata["ARTIST"] == "Someone"
    assert probe(encoding.target).rotation == 90


@pytest.mark.parametrize("name", ["a.mov", "a.mp4"])
def test_quicktime_carries_timecode_text_and_turn(tmp_path: Path, name: str) -> None:
    path = source(tmp_path / "source.mov", subtitles="mov_text", timecode="01:02:03:04", rotation=270, codec="libx264")
    _, _, encoding, _ = written(tmp_path, path, name)
    spoken = [(data, time) for data, time in packets_of(encoding.target, "subtitles") if data != b"\0\0"]
    assert spoken == [(d, t) for d, t in packets_of(path, "subtitles") if d != b"\0\0"]
    assert [data[2:].decode() for data, _ in spoken] == [words for _, _, words in SUBTITLES]
    with av.open(str(encoding.target)) as after:
        assert after.streams.video[0].metadata["timecode"] == "01:02:03:04"
        assert [stream.metadata.get("timecode") for stream in after.streams.data].count("01:02:03:04") == 1
        assert [c["metadata"]["title"] for c in after.chapters()] == ["one", "two"]
        assert after.metadata["title"] == "A film"
        assert after.streams.subtitles[0].language == "eng"
    assert probe(encoding.target).rotation == 270


@pytest.mark.parametrize(("name", "language"), [("a.mov", "ger"), ("a.mp4", "deu"), ("a.mkv", "deu")])
def test_languages_are_kept_in_the_words_of_the_container(tmp_path: Path, name: str, language: str) -> None:
    path = source(tmp_path / "source.mkv")
    _, _, encoding, _ = written(tmp_path, path, name, preset="lossless")
    with av.open(str(encoding.target)) as after:
        assert after.streams.audio[0].language == language


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_cover_picture_is_carried(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / "cover.jpg", np.full((32, 32, 3), 0.5, np.float32))
    path = tmp_path / "source.mp4"
    with av.open(str(path), "w") as output, av.open(str(tmp_path / "cover.jpg")) as picture:
        video: Any = output.add_stream("libx264", rate=25)
        video.width, video.height = SIZE[1], SIZE[0]
        video.codec_context.time_base = Fraction(1, 25)
        cover = output.add_stream_from_template(picture.streams.video[0], opaque=True)
        cover.disposition = av.stream.Disposition.attached_pic
        for index, planes in enumerate(film.grey_planes(COUNT, SIZE)):
            frame = film.make_frame(planes, SIZE, "yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        packet = next(packet for packet in picture.demux() if packet.size)
        packet.stream = cover
        output.mux(packet)
    with pytest.raises(VideoError, match=r"\.mov cannot hold video stream 1 \(mjpeg.*\.mkv"):  # it drops it in silence
        check_streams(probe(path), encoding_for(tmp_path / "a.mov", probe(path)))
    _, _, encoding, _ = written(tmp_path, path, name, preset="archive" if name == "a.mkv" else "lossless")
    with av.open(str(encoding.target)) as made:
        (kept,) = [stream for stream in made.streams.video if stream.disposition & av.stream.Disposition.attached_pic]
        data = next(bytes(packet) for packet in made.demux(kept) if packet.size)
    assert data == (tmp_path / "cover.jpg").read_bytes()


def test_sound_can_come_from_a_file_of_its_own(tmp_path: Path) -> None:
    info = probe(source(tmp_path / "source.mkv", sound=False))
    table = scanned(info)
    wave = np.sin(np.arange(23040) / 9)[:, None].repeat(2, 1)
    write_sound(tmp_path / "sound.flac", wave, 48000)
    encoding = encoding_for(tmp_path / "a.mkv", info)
    with Writer(tmp_path / "segment", info, encoding) as writer:
        for index, planes in enumerate(coloured(encoding, info)):
            writer.write(int(table.pts[index]), *planes)
    join([(tmp_path / "segment", 0)], replace(info, path=tmp_path / "sound.flac"), table, encoding)
    assert [d for d, _ in packets_of(tmp_path / "sound.flac", "audio")] == [
        d for d, _ in packets_of(encoding.target, "audio")
    ]


def test_a_damaged_source_still_gives_its_sound(tmp_path: Path) -> None:
    path = source(tmp_path / "source.mkv")
    info, table, encoding, _ = written(tmp_path, path, "a.mkv", cuts=(0, 5))
    whole = packets_of(encoding.target, "audio")
    film.damage(path, 0.5, 0.6)
    join([(tmp_path / "segment0", 0), (tmp_path / "segment5", 5)], info, table, encoding)
    assert len(pictures_of(encoding.target)[0]) == COUNT
    assert 0 < len(packets_of(encoding.target, "audio")) < len(whole)


def test_tags_that_mp4_has_no_name_for_are_kept(tmp_path: Path) -> None:
    path = source(tmp_path / "source.mkv", codec="libx264", sound=False)
    with av.open(str(path)) as before, av.open(str(tmp_path / "tagged.mkv"), "w") as after:
        video = after.add_stream_from_template(before.streams.video[0])
        after.metadata["archive_shelf"] = "B 17"
        for packet in before.demux(before.streams.video[0]):
            if packet.size:
                packet.stream = video
                after.mux(packet)
    _, _, encoding, _ = written(tmp_path, tmp_path / "tagged.mkv", "a.mp4")
    with av.open(str(encoding.target)) as made:
        assert {name.lower(): value for name, value in made.metadata.items()}["archive_shelf"] == "B 17"


@pytest.mark.parametrize("aspect", [Fraction(16, 15), Fraction(16, 11), Fraction(10, 11)])
@pytest.mark.parametrize(("name", "preset"), [("a.mkv", "archive"), ("a.mkv", "av1"), ("a.mkv", "web"),
                                              ("a.mov", "prores"), ("a.mp4", "web")])  # fmt: skip
def test_pixels_keep_their_aspect(tmp_path: Path, name: str, preset: str, aspect: Fraction) -> None:
    path = source(tmp_path / "source.mp4", aspect=aspect, codec="libx264")
    _, _, encoding, frames = written(tmp_path, path, name, preset=preset)
    made = probe(encoding.target)
    assert (made.width, made.height, made.sample_aspect) == (64, 48, aspect)
    assert len(pictures_of(encoding.target)[1]) == len(frames)


def test_a_span_begins_at_zero_and_stays_in_time_with_the_sound(tmp_path: Path) -> None:
    path = source(tmp_path / "source.mov", subtitles="mov_text", timecode="01:02:03:20", codec="libx264")
    info, _, encoding, _ = written(tmp_path, path, "a.mov", cuts=(0, 2), span=(3, 11), preset="lossless")
    times, lumas = pictures_of(encoding.target)
    assert times == [Fraction(index, 25) for index in range(8)]
    frames = coloured(encoding, info)
    for luma, planes in zip(lumas, frames[3:11], strict=True):
        np.testing.assert_array_equal(luma, planes[0])
    origin, end = Fraction(3, 25), Fraction(11, 25)
    tick = Fraction(1, 1000)
    before = [(d, t - origin) for d, t in packets_of(path, "audio") if origin <= t < end]
    after = packets_of(encoding.target, "audio")
    assert [data for data, _ in before] == [data for data, _ in after]
    assert all(abs(a - b) <= tick for (_, a), (_, b) in zip(before, after, strict=True))
    spoken = [(d[2:].decode(), t) for d, t in packets_of(encoding.target, "subtitles") if d != b"\0\0"]
    assert spoken == [("two lines", 0), ("end", Fraction(400, 1000) - origin)]
    with av.open(str(encoding.target)) as made:
        assert made.streams.video[0].metadata["timecode"] == "01:02:03:23"
        chapters = [(float(c["start"] * c["time_base"]), float(c["end"] * c["time_base"])) for c in made.chapters()]
    np.testing.assert_allclose(chapters, [(0, 0.08), (0.08, 0.32)], atol=0.002)


@pytest.mark.parametrize(
    ("timecode", "frames", "rate", "later"),
    [
        ("00:00:59:24", 1, Fraction(25), "00:01:00:00"),
        ("23:59:59:24", 1, Fraction(25), "00:00:00:00"),
        ("00:00:59;29", 1, Fraction(30000, 1001), "00:01:00;02"),
        ("00:09:59;29", 1, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:00;00", 17982, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:00;00", 1800, Fraction(30000, 1001), "00:01:00;02"),
        ("00:01:00;02", 1798, Fraction(30000, 1001), "00:02:00;02"),
        ("unknown", 5, Fraction(25), "unknown"),
    ],
)
def test_timecode_counts_on(timecode: str, frames: int, rate: Fraction, later: str) -> None:
    assert advanced(timecode, frames, rate) == later


REFUSED = [
    ({"name": "source.mp4", "codec": "libx264"}, "a.webm", r"\.webm cannot hold audio stream 1 \(aac.*\.mkv"),
    ({"name": "source.mkv", "subtitles": "subrip"}, "a.mp4", r"subtitle stream 2 \(srt, eng\).*ending in \.mkv"),
    ({"name": "source.mkv", "attachment": True}, "a.mov", r"attachment stream 2 \(letters\.ttf\).*\.mkv"),
    ({"name": "source.mov", "codec": "libx264", "timecode": "01:00:00:00"}, "a.mkv", r"timecode.*\.mov"),
    ({"name": "source.mkv", "aspect": None, "sound": False}, "a.mxf", "dnxhr writes 256x120 and larger"),
]


@pytest.mark.parametrize(("made", "target", "words"), REFUSED)
def test_what_a_container_cannot_hold_is_said_before_work(tmp_path: Path, made: dict, target: str, words: str) -> None:
    path = source(tmp_path / made.pop("name"), **made)
    info = probe(path)
    with pytest.raises(VideoError, match=words):
        check_streams(info, encoding_for(tmp_path / target, info))
    assert names(tmp_path) == [path.name]


def test_pictures_and_raw_video_tell_what_they_leave_out(tmp_path: Path) -> None:
    info = probe(source(tmp_path / "source.mkv", subtitles="subrip"))
    for name in ("out", "a.y4m"):
        notes = check_streams(info, encoding_for(tmp_path / name, info))
        assert len(notes) == 3 and "audio stream 1" in notes[0] and "chapters" in notes[2]
    assert check_streams(info, encoding_for(tmp_path / "a.mkv", info)) == []


def test_variable_rate_is_refused_for_mxf_and_noted_for_raw_video(tmp_path: Path) -> None:
    path = tmp_path / "source.mkv"
    film.make_film(path, film.grey_planes(4, (128, 256)), pts=[0, 40, 200, 240], time_base=Fraction(1, 1000))
    info = replace(probe(path), rate=Fraction(25))
    with pytest.raises(VideoError, match=r"fixed rate.*\.mkv or \.mov"):
        check_times(info, encoding_for(tmp_path / "a.mxf", info), scanned(info))
    (note,) = check_times(info, encoding_for(tmp_path / "a.y4m", info), scanned(info))
    assert "25 a second" in note
    counting = encoding_for(tmp_path / "a.mp4", info, options={"codec": "mpeg2video"})
    with pytest.raises(VideoError, match=r"fixed rate.*mpeg2video cannot write"):
        check_times(info, counting, scanned(info))


def test_mxf_film(tmp_path: Path) -> None:
    path = tmp_path / "source.mkv"
    film.make_film(path, film.grey_planes(COUNT, (128, 256)), audio=True)
    _, _, encoding, frames = written(tmp_path, path, "a.mxf")
    times, lumas = pictures_of(encoding.target)
    assert times == [Fraction(index, 25) for index in range(COUNT)] and len(lumas) == len(frames)
    sound = [b"".join(data for data, _ in packets_of(file, "audio")) for file in (path, encoding.target)]
    assert sound[0] == sound[1][: len(sound[0])] and not any(sound[1][len(sound[0]) :])


@pytest.mark.parametrize("depth", [8, 10, 16])
@pytest.mark.parametrize("subsampling", ["420", "422", "444"])
def test_raw_video_holds_every_code(tmp_path: Path, subsampling: str, depth: int) -> None:
    pixel_format = f"yuv{subsampling}p" + (f"{depth}le" if depth > 8 else "")
    path = film.make_film(tmp_path / "source.mkv", film.grey_planes(4, SIZE, pixel_format), pixel_format)
    _, _, encoding, frames = written(tmp_path, path, "a.y4m", cuts=(0, 1))
    with av.open(str(encoding.target)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 25 and stream.codec_context.pix_fmt == pixel_format
        for frame, planes in zip(container.decode(stream), frames, strict=True):
            for plane, letter in zip(planes, "YUV", strict=True):
                np.testing.assert_array_equal(read_letters(frame)[letter], plane)


def test_pictures_appear_as_a_whole_folder_numbered_by_frame(tmp_path: Path) -> None:
    path = source(tmp_path / "source.mkv")
    written(tmp_path, path, "out/%03d.png", span=(2, 9), cuts=(0, 4))
    assert names(tmp_path / "out") == [f"{number:03d}.png" for number in range(2, 9)]
    (tmp_path / "out" / "notes.txt").write_text("mine")
    written(tmp_path, path, "out/%03d.png", span=(2, 9), cuts=(0,))
    assert "notes.txt" in names(tmp_path / "out") and len(names(tmp_path / "out")) == 8
    assert not [name for name in names(tmp_path) if name.endswith(".part")]


def test_one_picture(tmp_path: Path) -> None:
    write_picture(tmp_path / "source.png", np.full((48, 64, 3), 0.4, np.float32))
    written(tmp_path, tmp_path / "source.png", "a.tif", cuts=(0,))
    assert pictures_grey(tmp_path / "a.tif").shape == (48, 64)


def pictures_grey(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return read_letters(next(container.decode(video=0)))["G"]


def test_a_piece_of_the_wrong_length_and_a_gap_are_refused(tmp_path: Path) -> None:
    path = source(tmp_path / "source.mkv")
    info, table, encoding, _ = written(tmp_path, path, "a.mkv", cuts=(0, 5))
    before = encoding.target.read_bytes()
    pieces = [(tmp_path / "segment0", 0), (tmp_path / "segment5", 6)]
    with pytest.raises(VideoError, match=r"holds 5 frames instead of 6.*--fresh"):
        join(pieces, info, table, encoding)
    with pytest.raises(VideoError, match="do not make up frames 0 to 12"):
        join(pieces[1:], info, table, encoding)
    assert encoding.target.read_bytes() == before
    assert not [name for name in names(tmp_path) if name.endswith(".part")]


def test_a_piece_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = source(tmp_path / "source.mkv", sound=False)
    info, table, encoding, frames = written(tmp_path, path, "a.mkv", preset="web", cuts=(0, 5))
    other = encoding_for(tmp_path / "a.mkv", info, "web", {"profile": "baseline"})
    with Writer(tmp_path / "segment5", info, other) as writer:
        for index in range(5, COUNT):
            writer.write(int(table.pts[index]), *frames[index])
    with pytest.raises(VideoError, match="segment5 was encoded with other settings"):
        join([(tmp_path / "segment0", 0), (tmp_path / "segment5", 5)], info, table, encoding)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.y4m", "out/%d.png"])
def test_a_damaged_piece_leaves_no_target(tmp_path: Path, name: str) -> None:
    path = source(tmp_path / "source.mkv", sound=False)
    info, table, encoding, _ = written(tmp_path, path, name, cuts=(0, 5))
    if encoding.kind == "pictures":
        (tmp_path / "segment5" / "7.png").unlink()
        for picture in (tmp_path / "out").iterdir():
            picture.unlink()
    else:
        film.truncate(tmp_path / "segment5", 0.5)
        encoding.target.unlink()
    with pytest.raises(VideoError):
        join([(tmp_path / "segment0", 0), (tmp_path / "segment5", 5)], info, table, encoding)
    assert not encoding.target.exists() and not [n for n in names(tmp_path) if n.endswith(".part")]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_raw_video_on_standard_output_and_a_full_disk(tmp_path: Path) -> None:
    path = source(tmp_path / "source.mkv")
    written(tmp_path, path, "a.y4m", cuts=(0, 5))
    program = f"""
        import sys
        from pathlib import Path
        from kinochrome.errors import VideoError
        from kinochrome.video.join import join
        from kinochrome.video.presets import encoding_for
        from kinochrome.video.probe import probe
        from tests.test_video_join import scanned
        folder = Path({str(tmp_path)!r})
        info = probe(folder / "source.mkv")
        try:
            join([(folder / "segment0", 0), (folder / "segment5", 5)], info, scanned(info), encoding_for("-", info))
        except VideoError as error:
            print(error, file=sys.stderr)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, env=environment, capture_output=True)
    assert done.stdout == (tmp_path / "a.y4m").read_bytes(), done.stderr
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE)
    assert b"disk is full" in done.stderr
