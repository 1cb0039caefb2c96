"""Every frame's place in a film that is read from its start, and what becomes of the damaged ones."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from ..errors import VideoError
from ..types import VideoInfo
from .decode import Decoder, whole_frames

REACH = 16
"""Frames that may be shown before one that they are predicted from: the most that H.264 and H.265 allow."""

RARE = 10
"""At most one packet in so many may give no frame for no reason; more are a matter of the format."""

NEAR = 8
"""Frames from damage within which a hole in time is taken for lost frames rather than for a pause."""


class Timeline:
    """Gives each frame its index and its pts.

    A frame that cannot be decoded keeps its place: `held` lists those, `pts` has all, and both grow while frames pass.
    """

    def __init__(self, info: VideoInfo, decoder: Decoder) -> None:
        self.info, self.decoder = info, decoder
        self.pts: list[int] = []
        self.held: list[int] = []
        self.missed: set[int] = set()
        """The pts of all that was ever held, also of what came out in the end."""
        self.keys: list[int] = []
        """Indices of undamaged keyframes."""
        self.period = 1 / (info.rate * info.time_base)
        """Of a frame, in ticks."""
        self.duration = 1
        """Of the last frame."""
        self.rising = True
        """Each frame's own pts came after the one before."""
        self.errors = 0
        self.damaged = -NEAR - 1
        """The index at which damage was last met."""
        self.unexplained = 0
        self.paired = True
        """Every packet is a frame; not so in field-coded film and where frames are hidden."""

    def frames(self) -> Iterator[tuple[int, Any]]:
        """(index, frame) of each frame that decoded whole, (index, None) of each that is held, in order."""
        for frame in self.decoder.frames():
            known = len(self.pts)
            pts = self._place(frame)
            if pts is not None:
                self._bridge(pts, beside_damage=frame.is_corrupt)
                self.duration = frame.duration or round(self.period)
                if frame.is_corrupt:
                    self._hold(pts)
            yield from ((index, None) for index in range(known, len(self.pts)))
            if pts is not None and not frame.is_corrupt:
                self.pts.append(pts)
                if frame.key_frame and pts == self.decoder.last_key(pts):
                    self.keys.append(len(self.pts) - 1)
                yield len(self.pts) - 1, frame
        known = len(self.pts)
        self._finish()
        yield from ((index, None) for index in range(known, len(self.pts)))

    @property
    def seekable(self) -> bool:
        """Whether frames can be found by their pts; an AVI that lost packets counts the rest wrongly."""
        return self.decoder.timed and self.rising and not (self.held and self.decoder.format == "avi")

    def _place(self, frame: Any) -> int | None:
        """The frame's pts, after frames lost before it are held; None for a frame that comes too late, after damage."""
        if not self.decoder.timed:
            return self._by_order()
        if frame.pts is None:
            self.rising = False
            return self._next()
        self._account(self.decoder.settle(frame.pts))
        if not self.pts or frame.pts > self.pts[-1]:
            return frame.pts
        if frame.pts in self.missed:
            return None
        if self.pts[-1] - frame.pts > 1 / self.info.time_base:
            raise VideoError(
                f"{self.info.path}: time starts again at frame {len(self.pts)}, as if several recordings were joined. "
                f'Number it anew: ffmpeg -i "{self.info.path}" -map 0 -c copy "{self.info.path.stem}-joined.mkv"'
            )
        self.rising = False
        return self.pts[-1] + 1

    def _by_order(self) -> int:
        """Without times of their own, frames take the packets' in rising order, else follow one another at the rate."""
        pts = heappop(self.decoder.sent)[0] if self.decoder.sent else self._next()
        return pts if not self.pts or pts > self.pts[-1] else self._next()

    def _next(self) -> int:
        """The pts of a frame that has none; never two frames at once, and no rounding that adds up."""
        if not self.pts:
            return 0
        return max(self.pts[-1] + 1, self.pts[0] + round(len(self.pts) * self.period))

    def _account(self, lost: list[int]) -> None:
        """Holds the frames of packets that gave none, if there is reason to think that they should have."""
        if not self.pts:  # what leads the first keyframe was never meant to be seen
            first = self.decoder.keyframes[0] if self.decoder.keyframes else 0
            lost = [pts for pts in lost if pts >= first]
        if not self.decoder.errors:  # some decoders drop what they cannot read without a word, but seldom
            self.unexplained += len(lost)
            self.paired = self.paired and self.unexplained * RARE <= len(self.pts)
        for pts in lost if self.paired else []:
            if not self.pts or pts > self.pts[-1]:
                self._bridge(pts, beside_damage=True)
                self._hold(pts)

    def _hold(self, pts: int) -> None:
        self.held.append(len(self.pts))
        self.pts.append(pts)
        self.missed.add(pts)

    def _bridge(self, pts: int, beside_damage: bool) -> None:
        """Fills a hole in time near damage: more packets were lost there, with all that told of them."""
        if self.decoder.errors != self.errors or beside_damage:
            self.errors, self.damaged = self.decoder.errors, len(self.pts)
        near = len(self.pts) - self.damaged <= NEAR
        while self.pts and near and pts - self.pts[-1] > 1.5 * self.period:
            self._hold(self.pts[-1] + max(1, round(self.period)))

    def _finish(self) -> None:
        if self.decoder.timed:
            self._account(sorted(pts for pts, _ in self.decoder.sent))
            for pts in sorted(self.decoder.unread()):
                if self.pts and pts > self.pts[-1]:
                    self._hold(pts)
        if len(self.held) == len(self.pts):
            raise VideoError(
                f"{self.info.path} holds no frame that can be decoded whole: it has no pictures, or all are damaged. "
                "Copy it again, and see whether a player shows it."
            )


@dataclass
class _Waiting:
    index: int
    frame: Any
    """None where it is held."""
    number: int
    """Of its packet."""
    tainted: bool


def mended(timeline: Timeline) -> Iterator[tuple[int, Any]]:
    """The timeline's frames, the same pixels every time, without the held ones.

    What is decoded after a damaged frame, up to the next keyframe, is predicted from FFmpeg's repair of it, which
    depends on the threads and on what the decoder had in memory. Those frames are decoded anew, without threads, from
    the keyframe before; `video.frames` does the same. A frame waits until all that it may be predicted from came out.
    """
    waiting: deque[_Waiting] = deque()
    tainted = False
    with closing(_Mender(timeline)) as mender:
        for index, frame in timeline.frames():
            if frame is None:
                for other in waiting:
                    other.tainted = True
            tainted = frame is None or (tainted and timeline.keys[-1:] != [index])
            waiting.append(_Waiting(index, frame, timeline.decoder.settled if frame else -1, tainted))
            while waiting and not (timeline.seekable and timeline.decoder.awaits_before(waiting[0].number)):
                yield from mender.mend(waiting.popleft())
        for other in waiting:
            yield from mender.mend(other)


class _Mender:
    """Replaces tainted frames by those of a second decoder, which lives as long as they follow one another."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.found: Generator[Any, None, None] | None = None
        self.ahead: Any = None

    def mend(self, waiting: _Waiting) -> Iterator[tuple[int, Any]]:
        """The frame to show, or nothing where it does not decode the second time either: then it is held."""
        pts, held = self.timeline.pts, self.timeline.held
        if not waiting.tainted or not self.timeline.seekable:
            self.close()
            if waiting.frame is not None:
                yield waiting.index, waiting.frame
            return
        if self.found is None:
            keys = self.timeline.keys[: bisect_right(self.timeline.keys, waiting.index)]
            self.found = after_damage(self.timeline.info, [pts[key] for key in keys], pts[0])
        if self.ahead is None or self.ahead.pts < pts[waiting.index]:
            self.ahead = next((frame for frame in self.found if frame.pts >= pts[waiting.index]), None)
        if self.ahead is not None and self.ahead.pts == pts[waiting.index]:
            if waiting.frame is None:
                held.remove(waiting.index)
            yield waiting.index, self.ahead
        elif waiting.frame is not None:
            held.append(waiting.index)

    def close(self) -> None:
        if self.found is not None:
            self.found.close()
        self.found = self.ahead = None


def after_damage(info: VideoInfo, keys: Sequence[int], start: int) -> Generator[Any, None, None]:
    """Frames decoded the one repeatable way, from the last of the keyframes before a damaged one on.

    `keys`: the pts of all keyframes before it; `start`: the film's first pts, for where there is none.
    """
    found = whole_frames(info, keys, keys[-1] if keys else start, threads=False)
    # Decoders that miss a frame may put those around it out of order.
    window: list[tuple[int, int, Any]] = []
    with closing(found):
        for count, frame in enumerate(found):
            heappush(window, (frame.pts, count, frame))
            if len(window) > REACH:
                yield heappop(window)[2]
        while window:
            yield heappop(window)[2]
