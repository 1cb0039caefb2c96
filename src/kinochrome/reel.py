"""The film as a run walks through it: looked at for its lightness, then again to be rendered."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np

from . import video
from .types import Frame, FrameTable, VideoInfo

HELD = 160 << 20
"""Bytes of luma that wait to be rendered: a piece of 1080p. What is more is decoded again."""


class Reel:
    """Frames at the size at which they are rendered, decoded once as long as a walk goes forward and memory allows."""

    def __init__(self, source: VideoInfo, info: VideoInfo, table: FrameTable) -> None:
        self.source, self.info, self.table = source, info, table
        self._held: dict[int, Frame] = {}
        self._coming: Generator[Frame, None, None] | None = None
        self._last: Frame | None = None
        """The one that came last; a piece begins with the frame where the one before it ended."""

    def close(self) -> None:
        """Ends the decoding thread."""
        if self._coming is not None:
            self._coming.close()
        self._coming, self._last, self._held = None, None, {}

    def frame(self, index: int) -> Frame:
        """One frame out of turn."""
        with closing(video.frames(self.source, self.table, index, index + 1)) as found:
            return self._sized(next(found))

    def walk(self, start: int, stop: int) -> Iterator[Frame]:
        """Frames `start` to `stop` (excluded), as they are."""
        return map(self._decoded, range(start, stop))

    def look(self, start: int, stop: int) -> Iterator[Frame]:
        """The same, for their luma alone, which waits for `again` from now on; that of others no longer does."""
        self._held = {index: frame for index, frame in self._held.items() if start <= index < stop}
        for index in range(start, stop):
            frame = self._held.get(index) or self._decoded(index)
            if len(self._held) * frame.luma.nbytes < HELD:
                # A copy: the decoder's own frame holds its chroma, too, which nobody will ask for.
                self._held.setdefault(index, replace(frame, luma=frame.luma.copy(), chroma=None))
            yield frame

    def again(self, start: int, stop: int) -> Iterator[Frame]:
        """The same, of what was looked at."""
        for index in range(start, stop):
            yield self._held.get(index) or self._decoded(index)

    def _decoded(self, index: int) -> Frame:
        if self._last is not None and self._last.index == index:
            return self._last
        if self._coming is None or self._last is None or not self._leads_to(index, self._last.index):
            if self._coming is not None:
                self._coming.close()
            self._coming = video.frames(self.source, self.table, index)
        for frame in self._coming:
            if frame.index == index:
                self._last = self._sized(frame)
                return self._last
        raise AssertionError(f"the film ends before frame {index}")

    def _leads_to(self, index: int, last: int) -> bool:
        """Decoding on from `last` comes to `index` before a decoding from the keyframe nearest to it does."""
        keys_passed, keys = np.searchsorted(self.table.keyframes, [last, index], side="right")
        return index == last + 1 or (index > last and keys_passed == keys)

    def _sized(self, frame: Frame) -> Frame:
        if self.info is self.source:
            return frame
        chroma = None if frame.chroma is None else (self._shrunk(frame.chroma[0]), self._shrunk(frame.chroma[1]))
        return replace(frame, luma=self._shrunk(frame.luma), chroma=chroma)

    def _shrunk(self, plane: np.ndarray) -> np.ndarray:
        ratio_down, ratio_across = plane.shape[0] / self.source.height, plane.shape[1] / self.source.width
        wanted = self.info.width * ratio_across, self.info.height * ratio_down
        across, down = (-(-round(length * 2) // 2) for length in wanted)
        return cv2.resize(plane, (across, down), interpolation=cv2.INTER_AREA)
