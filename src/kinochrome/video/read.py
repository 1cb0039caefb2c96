"""The frames of a film: one pass over all (`scan`), or any of them, to the frame (`frames`)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from ..errors import VideoError
from ..project import is_picture
from ..types import Frame, FrameTable, VideoInfo
from .background import in_background
from .decode import Decoder, whole_frames
from .deinterlace import deinterlaced
from .planes import read_planes
from .timeline import REACH, Timeline, after_damage, mended

AHEAD = 48 << 20
"""Bytes of decoded frames that may wait for their reader."""

Planes = tuple[np.ndarray, "tuple[np.ndarray, np.ndarray] | None"]


def scan(info: VideoInfo, see: Callable[[Frame], None] | None = None) -> FrameTable:
    """Where every frame lies in time; decodes all, and calls `see` on each in order.

    The planes of a `Frame` are read-only and stay valid for as long as they are held.
    """
    with Decoder(info) as decoder:
        timeline = Timeline(info, decoder)

        def all_frames() -> Generator[Frame, None, None]:
            return _with_held(_planes(mended(timeline), info), timeline.pts, timeline.held, info)

        with closing(in_background(all_frames, _weight, AHEAD)) as seen:
            for frame in seen:
                if see is not None:
                    see(frame)
        return FrameTable(
            pts=np.array(timeline.pts, np.int64),
            keyframes=np.array(timeline.keys if timeline.seekable else [], np.int64),
            stop_pts=timeline.pts[-1] + timeline.duration,
            held=tuple(sorted(timeline.held)),
        )


def frames(info: VideoInfo, table: FrameTable, start: int = 0, stop: int | None = None) -> Generator[Frame, None, None]:
    """Frames `start` to `stop` (excluded), the very same that `scan` saw.

    Decodes ahead in a thread, which ends when the iterator is closed. Planes are read-only, valid while they are held.
    """
    stop = len(table) if stop is None else stop
    if not 0 <= start <= stop <= len(table):
        raise VideoError(f"{info.path} has frames 0 to {len(table) - 1}; {start} to {stop} was asked for.")
    return in_background(lambda: _span(info, table, start, stop), _weight, AHEAD)


def _span(info: VideoInfo, table: FrameTable, start: int, stop: int) -> Generator[Frame, None, None]:
    """What `frames` gives, in the thread that does the work."""
    if start == stop:
        return
    held = frozenset(table.held)
    whole = [index for index in range(start + 1) if index not in held]
    # A held frame is shown as the one before it; bwdif looks at one more.
    first = next((index for index in range(len(table)) if index not in held), 0)
    if whole:
        first = whole[-2] if info.deinterlace and len(whole) > 1 else whole[-1]
    found = _with_held(_planes(_whole(info, table, first), info), table.pts.tolist(), held, info, start)
    for frame in found:
        yield frame
        if frame.index + 1 == stop:
            return


def _whole(info: VideoInfo, table: FrameTable, first: int) -> Iterator[tuple[int, Any]]:
    """(index, decoded frame) from `first` on, without the held ones."""
    held = frozenset(table.held)
    for start, stop, damaged in _stretches(table):
        if stop > first:
            if damaged:
                found = _located(table, after_damage(info, _keys(table, start), int(table.pts[0])))
            else:
                found = _clean(info, table, max(start, first))
            with closing(found):
                for index, frame in found:
                    if index >= stop:
                        break
                    if index >= max(start, first) and index not in held:
                        yield index, frame


def _stretches(table: FrameTable) -> Iterator[tuple[int, int, bool]]:
    """(start, stop, damaged) of the whole film in turn.

    Damage reaches to the next keyframe, and back to frames shown earlier but decoded later (see `timeline.mended`).
    What is read as damaged without need comes out the same.
    """
    keys, position = table.keyframes.tolist(), 0
    for held in table.held if keys else ():
        if held < position:
            continue
        after = bisect_right(keys, held)
        stop = keys[after] if after < len(keys) else len(table)
        start = max(position, held - REACH, keys[after - 1] if after else 0)
        if position < start:
            yield position, start, False
        yield start, stop, True
        position = stop
    if position < len(table):
        yield position, len(table), False


def _clean(info: VideoInfo, table: FrameTable, first: int) -> Generator[tuple[int, Any], None, None]:
    """(index, frame) from an undamaged place on."""
    if not len(table.keyframes):
        with Decoder(info) as decoder:
            yield from ((index, frame) for index, frame in Timeline(info, decoder).frames() if frame is not None)
        return
    yield from _located(table, whole_frames(info, _keys(table, first), int(table.pts[first])))


def _keys(table: FrameTable, index: int) -> list[int]:
    """The pts of the keyframes up to a frame."""
    return table.pts[table.keyframes[: bisect_right(table.keyframes.tolist(), index)]].tolist()


def _located(table: FrameTable, found: Generator[Any, None, None]) -> Generator[tuple[int, Any], None, None]:
    """(index, frame), known by their pts."""
    with closing(found):
        for frame in found:
            index = int(np.searchsorted(table.pts, frame.pts))
            if index < len(table) and table.pts[index] == frame.pts:
                yield index, frame


def _planes(located: Iterator[tuple[int, Any]], info: VideoInfo) -> Iterator[tuple[int, Planes]]:
    """(index, planes) of decoded frames, deinterlaced where asked."""
    alike = _alike(located, info)
    for index, frame in deinterlaced(alike, info) if info.deinterlace else alike:
        try:
            yield index, read_planes(frame, info)
        except ValueError as error:
            if is_picture(info.path) and info.path.is_file():
                raise VideoError(
                    f"{info.path} cannot be coloured: {error}. Save it without transparency, in any paint program."
                ) from error
            raise VideoError(
                f"{info.path}: frame {index} cannot be coloured: {error}. Lay it over black first: ffmpeg -i "
                f'"{info.path}" -vf premultiply=inplace=1,format=gbrp -c:v ffv1 -c:a copy "{info.path.stem}-opaque.mkv"'
            ) from error


def _alike(located: Iterator[tuple[int, Any]], info: VideoInfo) -> Iterator[tuple[int, Any]]:
    """The same, and an error at the first frame whose size or pixel format differs from the film's."""
    kind = (info.width, info.height, info.pixel_format)
    for index, frame in located:
        if (frame.width, frame.height, frame.format.name) != kind:
            raise VideoError(
                f"{info.path}: frame {index} is {frame.width}x{frame.height} {frame.format.name}, the film began as "
                f"{info.width}x{info.height} {info.pixel_format}. Bring all to one size and format first: ffmpeg -i "
                f'"{info.path}" -vf scale={info.width}:{info.height} -pix_fmt {info.pixel_format} -c:v ffv1 -c:a copy '
                f'"{info.path.stem}-even.mkv"'
            )
        yield index, frame


def _with_held(
    found: Iterator[tuple[int, Planes]], pts: Sequence[int], held: Collection[int], info: VideoInfo, start: int = 0
) -> Generator[Frame, None, None]:
    """Every frame from `start` on; a held one has the planes of the frame before it, or else of the one after it.

    `pts` and `held` may grow while this runs, as long as they are ahead of `found`.
    """
    expected = start
    shown: Planes | None = None
    for index, planes in found:
        for gap in range(expected, index):
            yield _held_frame(info, gap, pts, held, shown or planes)
        if index >= expected:
            yield Frame(index, int(pts[index]), *planes)
        expected, shown = max(expected, index + 1), planes
    for gap in range(expected, len(pts)):
        yield _held_frame(info, gap, pts, held, shown)


def _held_frame(info: VideoInfo, index: int, pts: Sequence[int], held: Collection[int], planes: Planes | None) -> Frame:
    if index not in held or planes is None:
        raise VideoError(f"{info.path}: frame {index} is not found again: the file has changed. Start with --fresh.")
    return Frame(index, int(pts[index]), *planes)


def _weight(frame: Frame) -> int:
    return frame.luma.nbytes + sum(plane.nbytes for plane in frame.chroma or ())
