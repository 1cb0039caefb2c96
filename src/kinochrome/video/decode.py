"""Decoded pictures of a film in the order of showing, from its start or from a keyframe."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from heapq import heappop, heappush
from itertools import dropwhile
from typing import Any

import av

from ..types import VideoInfo
from .source import RAW_STREAMS, open_source

GIVE_UP = 32
"""Read errors in a row, without a packet between them, after which the rest of a file counts as lost."""

DISORDERED = frozenset({"h264", "hevc"})
"""Codecs whose frames AVI cannot put in order: it stores no time, only that one packet follows another."""


class Decoder:
    """Reads one film from front to back; a context manager.

    Damaged frames come out like the rest, marked `is_corrupt`: FFmpeg has patched them up.
    """

    def __init__(self, info: VideoInfo, threads: bool = True) -> None:
        self.info = info
        self.opened = open_source(info.path, info.rate)
        self.threads = threads
        self.timed = True
        """Whether each frame's own pts is its time. Else order is all there is, and no part can be found by time."""
        self.sent: list[tuple[int, int]] = []
        """A heap: pts and number of the packets whose frames have not come out yet."""
        self.settled = -1
        """Number of the packet of the last frame that was settled."""
        self.keyframes: list[int] = []
        """The pts of packets that begin a group."""
        self.first_key: int | None = None
        self.packets = 0
        self.last_dts: int | None = None
        self.delay = 0
        """From a packet's dts to its pts, by the first packet that has both."""
        self.errors = 0

    def __enter__(self) -> Decoder:
        self.container, self.stream = self.opened.__enter__()
        self.format: str = self.container.format.name
        context = self.stream.codec_context
        self.timed = not (self.format == "avi" and context.name in DISORDERED)
        if self.format in {"avi", *RAW_STREAMS} and not context.codec.intra_only:
            # Damaged, such a film can only be read from its start, and what threads make of damage differs each time.
            self.threads = False
        if self.threads:
            self.stream.thread_type = "AUTO"
        else:
            self.stream.thread_count = 1
        return self

    def __exit__(self, *error: Any) -> None:
        self.opened.__exit__(*error)

    def frames(self, starts: Collection[int] | None = None, latest: int = 0) -> Iterator[Any]:
        """Every frame that decodes, from the first keyframe on; packets that do not are counted in `errors`.

        `starts`: the pts of keyframes to begin at. Nothing comes out where the first keyframe after `latest` is none.
        """
        for packet in self._packets(starts, latest):
            yield from self._decode(packet)
        yield from self._decode(None)
        if self.timed and self.sent and self.keyframes and self.threads:
            yield from self._again()

    def whole_frames(self, keys: Sequence[int]) -> Iterator[Any]:
        """Undamaged frames with their pts from the last of these keyframes' pts on (none: from the start of the file).

        Begins at an earlier one of them where the demuxer lands there.
        """
        if keys:
            self.container.seek(keys[-1], stream=self.stream)
        # Program streams guess times after a seek, until they read one: only a known keyframe's time can be trusted.
        for frame in self.frames(set(keys), keys[-1]) if keys else self.frames():
            if frame.pts is None:
                continue
            self.settle(frame.pts)
            # What an open group shows before its keyframe is predicted from frames that were not decoded.
            if not frame.is_corrupt and self.first_key is not None and frame.pts >= self.first_key:
                yield frame

    def settle(self, pts: int) -> list[int]:
        """Strikes off a frame that came out; the pts of those that should have come before it and did not."""
        lost = []
        while self.sent and self.sent[0][0] <= pts:
            sent, number = heappop(self.sent)
            if sent < pts:
                lost.append(sent)
            else:
                self.settled = number
        return lost

    def awaits_before(self, number: int) -> bool:
        """Whether any frame decoded before this one has yet to come out: this one may have been predicted from it."""
        return any(other < number for _, other in self.sent)

    def last_key(self, pts: int) -> int | None:
        """The pts of the last keyframe that is shown at `pts` or before."""
        return next((key for key in reversed(self.keyframes) if key <= pts), None)

    def unread(self) -> list[int]:
        """The pts of frames that the file's index names and the file does not hold: it was cut short."""
        if "mp4" not in self.format or self.last_dts is None or self.packets >= self.stream.frames:
            return []
        entries = [entry for entry in self.stream.index_entries if not entry.is_discard]
        return [entry.timestamp + self.delay for entry in entries if entry.timestamp > self.last_dts]

    def _again(self) -> Iterator[Any]:
        """The film's last frames, decoded once more without threads.

        When a damaged packet is among those that the threads still hold at the end, PyAV drops all that come after it.
        """
        missing = self.sent[0][0]
        with Decoder(self.info, threads=False) as again:
            for frame in again.whole_frames([key for key in self.keyframes if key <= missing]):
                if frame.pts >= missing:
                    yield frame

    def _decode(self, packet: Any) -> list[Any]:
        try:
            return self.stream.codec_context.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self.errors += 1
            return []

    def _packets(self, starts: Collection[int] | None, latest: int) -> Iterator[Any]:
        failures = 0
        started = False
        while failures < GIVE_UP:
            try:
                for packet in self.container.demux(self.stream):
                    if not packet.size:
                        continue
                    failures = 0
                    if not started and packet.is_keyframe:
                        started = starts is None or packet.pts in starts
                        if not started and packet.pts is not None and packet.pts > latest:
                            return
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
        else:
            if self.first_key is None:
                self.first_key = packet.pts
            if not packet.is_discard:  # an edit list hides it; it is decoded for the sake of those after it
                heappush(self.sent, (packet.pts, self.packets))
                if packet.is_keyframe:
                    self.keyframes.append(packet.pts)
        if packet.dts is not None:
            if self.last_dts is None and packet.pts is not None:
                self.delay = packet.pts - packet.dts
            self.last_dts = packet.dts


def whole_frames(info: VideoInfo, keys: Sequence[int], wanted: int, threads: bool = True) -> Generator[Any, None, None]:
    """Undamaged frames, in order, from the one with the pts `wanted` on; `keys`: the pts of the keyframes up to it.

    A demuxer may land behind a keyframe, and not every one starts all that follow it (open groups, gradual refresh):
    two earlier ones and then the film's start are tried where the wanted frame does not come out.
    """
    for skipped in dict.fromkeys([*range(min(3, len(keys))), len(keys)]):
        starts = keys[: len(keys) - skipped]
        with Decoder(info, threads) as decoder:
            found = dropwhile(lambda frame: frame.pts < wanted, decoder.whole_frames(starts))
            first = next(found, None)
            if first is not None and (first.pts == wanted or not starts):
                yield first
                yield from found
                return
