"""Finished pieces put together to the film, without encoding again, with all that the source carried beside them."""

from __future__ import annotations

import heapq
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from ..errors import VideoError
from ..types import Encoding, FrameTable, VideoInfo
from .companions import Companions, Cut, copied_stream, open_output
from .matroska import set_sample_aspect
from .planes import read_letters
from .write import beside, raise_explained
from .y4m import write_frame, write_header

Segments = Sequence[tuple[Path, int]]
"""(file or folder, index in the film of its first frame), rising."""


def join(
    segments: Segments,
    info: VideoInfo,
    table: FrameTable,
    encoding: Encoding,
    span: tuple[int, int] | None = None,
) -> None:
    """Writes `encoding.target` of its pieces in one step: it is there whole, or not at all.

    A film's frames get exactly the source's times. `span`: the pieces are frames start to stop of a longer film; the
    target then begins at time 0 and everything beside the pictures is cut and moved with them.
    """
    start, stop = span or (0, len(table))
    counts = _frame_counts(segments, start, stop)
    target = encoding.target
    try:
        if encoding.kind == "film":
            _join_film(segments, info, table, encoding, span)
        elif encoding.kind == "y4m":
            _join_y4m(segments, counts, info, encoding)
        elif encoding.kind == "pictures":
            _join_pictures(segments, counts, target)
        else:
            _place(segments[0][0], beside(target))
            beside(target).replace(target)
    except (OSError, ValueError) as error:
        raise_explained(error, target, encoding.codec)


@dataclass(frozen=True)
class _Piece:
    """A segment looked through: where each of its packets belongs."""

    path: Path
    first: int
    order: np.ndarray
    """For each packet, in the file's order, the place of its frame in showing order."""
    setup: bytes
    """The decoder's parameters, which the whole film shares."""


def _frame_counts(segments: Segments, start: int, stop: int) -> list[int]:
    """How many frames each segment must hold so that all of start to stop are there once."""
    firsts = [first for _, first in segments]
    if not segments or firsts[0] != start or any(np.diff([*firsts, stop]) <= 0):
        raise VideoError(f"The pieces begin at frames {firsts}: they do not make up frames {start} to {stop}.")
    return [int(count) for count in np.diff([*firsts, stop])]


def _join_film(
    segments: Segments, info: VideoInfo, table: FrameTable, encoding: Encoding, span: tuple[int, int] | None
) -> None:
    start, stop = span or (0, len(table))
    counts = _frame_counts(segments, start, stop)
    pieces = [_looked_through(path, first, count) for (path, first), count in zip(segments, counts, strict=True)]
    if other := next((piece for piece in pieces if piece.setup != pieces[0].setup), None):
        raise VideoError(f"{other.path} was encoded with other settings than {pieces[0].path}. Run again with --fresh.")
    times = np.append(table.pts, table.stop_pts)[start : stop + 1].astype(np.int64)
    cut = Cut()
    if span:
        cut = Cut(int(times[0]) * info.time_base, int(times[-1]) * info.time_base, start)
        times = times - times[0]
    part = beside(encoding.target)
    try:
        with ExitStack() as opened:
            companions = opened.enter_context(Companions(info))
            output = opened.enter_context(open_output(str(part), encoding, companions.metadata))
            template = opened.enter_context(av.open(f"file:{pieces[0].path}"))
            video = _video_stream(output, template.streams.video[0], info)
            made = companions.add_to(output, video, cut, companions.streams)
            pictures = _video_packets(pieces, start, times, info, video)
            for packet in heapq.merge(pictures, companions.packets(made, cut), key=_decoding_time):
                output.mux(packet)
        if encoding.format == "matroska" and info.sample_aspect != 1:
            set_sample_aspect(part, info.width, info.height, info.sample_aspect)
        part.replace(encoding.target)
    finally:
        part.unlink(missing_ok=True)


def _video_stream(output: Any, template: Any, info: VideoInfo) -> Any:
    """The new film's picture stream: a segment's, with the film's rate, clock and turn."""
    video = copied_stream(output, template)
    video.metadata.clear()
    tag = template.codec_context.codec_tag
    if tag.strip("\0"):
        video.codec_context.codec_tag = tag  # ProRes and H.265 exist under several
    video.codec_context.framerate = info.rate
    video.codec_context.sample_aspect_ratio = info.sample_aspect
    video.time_base = info.time_base
    if info.rotation:
        video.set_display_rotation(-info.rotation)
    return video


def _looked_through(path: Path, first: int, count: int) -> _Piece:
    with av.open(f"file:{path}") as segment:
        stream = segment.streams.video[0]
        stamps = [packet.pts for packet in segment.demux(stream) if packet.size]
        setup = bytes(stream.codec_context.extradata or b"")
    if len(stamps) != count or len(set(stamps)) != count or None in stamps:
        raise VideoError(f"{path} holds {len(stamps)} frames instead of {count}. Run again with --fresh.")
    return _Piece(path, first, np.argsort(np.argsort(np.array(stamps, np.int64))).astype(np.int32), setup)


def _video_packets(pieces: list[_Piece], start: int, times: np.ndarray, info: VideoInfo, video: Any) -> Iterator[Any]:
    """Every segment's packets with the source's times; decoding times are made anew and always rise.

    With B-frames a packet is decoded up to `delay` places before its frame is shown, so the time of the frame `delay`
    places earlier is never later than its own. Before the first one time goes at the pace at which it begins, so that
    a film of constant rate is one in its decoding times, too.
    """
    delay = max(int((np.arange(len(piece.order)) - piece.order).max()) for piece in pieces)
    step = max(1, int(times[min(delay, len(times) - 1)] - times[0]) // max(1, delay))
    place = 0
    for piece in pieces:
        with av.open(f"file:{piece.path}") as segment:
            packets = (packet for packet in segment.demux(segment.streams.video[0]) if packet.size)
            for rank, packet in zip(piece.order, packets, strict=True):
                shown = piece.first - start + int(rank)
                packet.stream, packet.time_base = video, info.time_base
                packet.pts = int(times[shown])
                packet.dts = int(times[place - delay]) if place >= delay else int(times[0]) - (delay - place) * step
                packet.duration = int(times[shown + 1] - times[shown])
                place += 1
                yield packet


def _decoding_time(packet: Any) -> float:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return float(stamp * packet.time_base)


def _join_y4m(segments: Segments, counts: list[int], info: VideoInfo, encoding: Encoding) -> None:
    if str(encoding.target) == "-":
        _write_y4m(sys.stdout.buffer, segments, counts, info, encoding)
        sys.stdout.buffer.flush()
        return
    part = beside(encoding.target)
    try:
        with part.open("wb") as output:
            _write_y4m(output, segments, counts, info, encoding)
        part.replace(encoding.target)
    finally:
        part.unlink(missing_ok=True)


def _write_y4m(output: BinaryIO, segments: Segments, counts: list[int], info: VideoInfo, encoding: Encoding) -> None:
    write_header(output, info, encoding)
    for (path, _), count in zip(segments, counts, strict=True):
        written = 0
        with av.open(f"file:{path}") as segment:
            for frame in segment.decode(video=0):
                letters = read_letters(frame)
                write_frame(output, [letters[letter] for letter in "YUV" if letter in letters])
                written += 1
        if written != count:
            raise VideoError(f"{path} holds {written} frames instead of {count}. Run again with --fresh.")


def _join_pictures(segments: Segments, counts: list[int], pattern: Path) -> None:
    """A new folder appears in one step; into one that has other files the pictures are moved one by one."""
    folder = pattern.parent.absolute()
    part = beside(folder)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for (path, first), count in zip(segments, counts, strict=True):
            for number in range(first, first + count):
                name = pattern.name % number
                if not (path / name).is_file():
                    raise VideoError(f"{path} has no picture {name}. Run again with --fresh.")
                _place(path / name, part / name)
        if not folder.exists() or not any(folder.iterdir()):
            part.replace(folder)
            return
        for picture in sorted(part.iterdir()):
            picture.replace(folder / picture.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _place(source: Path, place: Path) -> None:
    """The same file under another name, without copying where the disk allows; the segment stays for a second try."""
    place.unlink(missing_ok=True)
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)
