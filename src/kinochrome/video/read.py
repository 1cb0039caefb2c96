"""The frames of a film: one pass over all (`scan`), or any of them, to the frame (`frames`)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from ..errors import VideoError
from ..types import Frame, FrameTable, VideoInfo
from .background import in_background
from .decode import Decoder, Timeline
from .deinterlace import deinterlaced
from .planes import read_planes
from .source import open_source

AHEAD = 96 << 20
"""Bytes of decoded frames that may wait for their reader."""

FIELDS_AROUND = 1
"""Frames before the first one wanted that bwdif needs to see."""


def scan(info: VideoInfo, see: Callable[[Frame], None] | None = None) -> FrameTable:
    """Where every frame lies in time; decodes all, and calls `see` on each in order.

    The planes of a `Frame` are read-only and stay valid for as long as they are held.
    """
    with open_source(info.path, info.rate) as (container, stream):
        timeline = Timeline(info, Decoder(container, stream))

        def all_frames() -> Iterator[Frame]:
            return _with_held(_read(timeline.frames(), info), timeline.pts, info.path)

        for frame in in_background(all_frames, _weight, AHEAD):
            if see is not None:
                see(frame)
        return FrameTable(
            pts=np.array(timeline.pts, np.int64),
            keyframes=np.array(timeline.keyframes(), np.int64),
            stop_pts=timeline.pts[-1] + timeline.duration,
            held=tuple(timeline.held),
        )


def frames(info: VideoInfo, table: FrameTable, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
    """Frames `start` to `stop` (excluded), the very same that `scan` saw.

    Decodes ahead in a thread, which ends when the iterator is closed. Planes are read-only, valid while they are held.
    """
    stop = len(table) if stop is None else stop
    if not 0 <= start <= stop <= len(table):
        raise VideoError(f"{info.path} has frames 0 to {len(table) - 1}; {start} to {stop} was asked for.")
    if start == stop:
        return
    yield from in_background(lambda: _from(info, table, start, stop), _weight, AHEAD)


def _from(info: VideoInfo, table: FrameTable, start: int, stop: int) -> Iterator[Frame]:
    """The work of `frames`, in the thread that does it."""
    held = frozenset(table.held)
    first = start
    while first in held and first > 0:
        first -= 1
    for _ in range(FIELDS_AROUND if info.deinterlace else 0):
        first = max((index for index in range(max(0, first - 1 - len(held)), first) if index not in held), default=first)
    with ExitStack() as stack:
        whole = _whole_frames(info, table, first, stack)
        found = _with_held(_read(whole, info), table.pts, info.path, held, first)
        for frame in found:
            if frame.index >= start:
                yield frame
            if frame.index + 1 >= stop:
                return
        # The film ends on frames that were lost: `_with_held` cannot know how many were asked for.
    raise VideoError(f"{info.path} ends before frame {stop - 1}: it has changed since it was scanned. Scan it again.")


def _whole_frames(info: VideoInfo, table: FrameTable, first: int, stack: ExitStack) -> Iterator[tuple[int, Any]]:
    """(index, frame) from `first` on, started at the nearest keyframe from which that frame comes out whole."""
    held = frozenset(table.held)
    wanted = next((index for index in range(first, len(table)) if index not in held), first)
    place = bisect_right(table.keyframes.tolist(), wanted) - 1
    for key in reversed(table.keyframes.tolist()[max(0, place - 2) : place + 1]):
        attempt = stack.enter_context(ExitStack())
        container, stream = attempt.enter_context(open_source(info.path, info.rate))
        if key > 0:
            found = _sought(Decoder(container, stream), table, key, wanted)
        if False:
            yield
