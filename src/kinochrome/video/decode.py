"""Decoded pictures of a film in the order of showing, and what went wrong on the way."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from heapq import heappop, heappush
from typing import Any

import av

from ..errors import VideoError
from ..types import VideoInfo

GIVE_UP = 32
"""Read errors in a row, without a packet between them, after which the rest of a file counts as lost."""

DISORDERED = frozenset({"h264", "hevc"})
"""Codecs whose frames AVI cannot put in order: it stores no time, only that one packet follows another."""


class Decoder:
    """Reads one opened film from front to back, from its start or from a keyframe.

    `damaged` frames come out like the rest: FFmpeg has patched them up, and the caller decides.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self.container, self.stream = container, stream
        self.format: str = container.format.name
        self.timed = not (self.format == "avi" and stream.codec_context.name in DISORDERED)
        """Whether each frame's own pts is its time. Else order is all there is, and no part can be found by time."""
        self.sent: list[int] = []
        """A heap: the pts of packets whose frames have not come out yet."""
        self.keyframes: list[int] = []
        self.packets = 0
        self.last_dts: int | None = None
        self.delay = 0
        """From a packet's dts to its pts, by the first packet that has both."""
        self.errors = 0

    def seek(self, pts: int) -> None:
        """To the keyframe shown at `pts`, or to one before it."""
        self.container.seek(pts, stream=self.stream)

    def frames(self) -> Iterator[Any]:
        """Every frame that decodes; packets that do not are counted in `errors`."""
        for packet in self._packets():
            yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: Any) -> list[Any]:
        try:
            return self.stream.codec_context.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self.errors += 1
            return []

    def _packets(self) -> Iterator[Any]:
        """Packets from the first keyframe on; read errors are counted and passed over."""
        failures = 0
        started = False
        while failures < GIVE_UP:
            try:
                for packet in self.container.demux(self.stream):
                    if not packet.size:
                        continue
                    failures = 0
                    started = started or packet.is_keyframe
                    if started:
                        self._note(packet)
                        yield packet
                return
            except av.error.FFmpegError:
                failures += 1
                self.errors += 1

    def _note(self, packet: Any) -> None:
        self.packets += 1
        if packet.is_corrupt:
            self.errors += 1
        if packet.pts is None:
            self.timed = self.timed and self.packets > 1
        elif not packet.is_discard:
            heappush(self.sent, packet.pts)
            if packet.is_keyframe:
                self.keyframes.append(packet.pts)
        if packet.dts is not None:
            if self.last_dts is None and packet.pts is not None:
                self.delay = packet.pts - packet.dts
            self.last_dts = packet.dts

    def unread(self) -> list[int]:
        """The pts of frames that the file's index names and the file does not hold: it was cut short."""
        if "mp4" not in self.format or self.last_dts is None or self.packets >= self.stream.frames:
            return []
        entries = [entry for entry in self.stream.index_entries if not entry.is_discard]
        return [entry.timestamp + self.delay for entry in entries if entry.timestamp > self.last_dts]


class Timeline:
    """Gives each frame of a film, read from its start, its index and its pts.

    A frame that cannot be decoded keeps its place: `held` lists those, `pts` has all, and both grow while frames pass.
    """

    def __init__(self, info: VideoInfo, decoder: Decoder) -> None:
        self.info, self.decoder = info, decoder
        self.pts: list[int] = []
        self.held: list[int] = []
        self.tick = max(1, round(1 / (info.rate * info.time_base)))
        self.duration = self.tick
        """Of the last frame."""
        self.seekable = True
        self.paired = True
        """Every packet is a frame; not so in field-coded film and where frames are hidden."""

    def frames(self) -> Iterator[tuple[int, Any]]:
        """(index, frame) of each frame that decoded whole."""
        for frame in self.decoder.frames():
            pts = self._place(frame)
            if pts is None:
                continue
            self.duration = frame.duration or self.tick
            if frame.is_corrupt:
                self._hold(pts)
            else:
                self.pts.append(pts)
                yield len(self.pts) - 1, frame
        self._finish()

    def _place(self, frame: Any) -> int | None:
        """The frame's pts, after frames lost before it are held."""
        self.seekable = self.seekable and self.decoder.timed
        if not self.decoder.timed:
            return self._by_order()
        if frame.pts is None:
            return self._next()
        lost = []
        sent = self.decoder.sent
        while sent and sent[0] <= frame.pts:
            if sent[0] < frame.pts:
                lost.append(sent[0])
            heappop(sent)
        self._account(lost)
        if not self.pts or frame.pts > self.pts[-1]:
            self._bridge(frame.pts)
            return frame.pts
        if self.pts[-1] - frame.pts > 1 / self.info.time_base:
            raise VideoError(
                f"{self.info.path}: time starts again at frame {len(self.pts)}, as if several recordings were joined. "
                f'Number it anew: ffmpeg -i "{self.info.path}" -map 0 -c copy "{self.info.path.stem}-joined.mkv"'
            )
        self.seekable = False
        return self.pts[-1] + 1

    def _by_order(self) -> int:
        """Without times of their own, frames take the packets' in rising order, else follow one another at the rate."""
        sent = self.decoder.sent
        pts = heappop(sent) if sent else self._next()
        return pts if not self.pts or pts > self.pts[-1] else self._next()

    def _next(self) -> int:
        """The next pts at the film's rate, without adding up what rounding loses."""
        if not self.pts:
            return 0
        ticks = 1 / (self.info.rate * self.info.time_base)
        return max(self.pts[-1] + 1, round(self.pts[0] + len(self.pts) * ticks) if not self.seekable else self.pts[-1] + self.tick)

    def _account(self, lost: list[int]) -> None:
        """Holds the frames of packets that gave none, if there is reason to think that they should have."""
        if not self.pts:  # what leads the first keyframe was never meant to be seen
            first = self.decoder.keyframes[0] if self.decoder.keyframes else 0
            lost = [pts for pts in lost if pts >= first]
        if lost and not self.decoder.errors:
            self.paired = False
        for pts in lost if self.paired else []:
            if not self.pts or pts > self.pts[-1]:
                self._bridge(pts)
                self._hold(pts)

    def _hold(self, pts: int) -> None:
        self.held.append(len(self.pts))
        self.pts.append(pts)

    def _bridge(self, pts: int) -> None:
        """Fills a hole in time beside a frame that was lost: more packets than one were, with all their headers."""
        while self.held and self.held[-1] == len(self.pts) - 1 and pts - self.pts[-1] > 1.5 * self.tick:
            self._hold(self.pts[-1] + self.tick)

    def _finish(self) -> None:
        if self.decoder.timed:
            self._account(sorted(self.decoder.sent))
            for pts in sorted(self.decoder.unread()):
                if self.pts and pts > self.pts[-1]:
                    self._hold(pts)
        if len(self.held) == len(self.pts):
            raise VideoError(
                f"{self.info.path} holds no frame that can be decoded whole: it has no pictures, or all are damaged. "
                "Copy it again, and see whether a player shows it."
            )

    def keyframes(self) -> list[int]:
        """Indices that decoding can start at; only 0 where frames cannot be found by their time."""
        if not self.seekable:
            return [0]
        places = {pts: index for index, pts in enumerate(self.pts)}
        whole = set(self.held)
        found = {places[pts] for pts in self.decoder.keyframes if pts in places}
        return sorted({0} | (found - whole))
