"""What a film carries beside its pictures: sound, subtitles, data, attachments, chapters, timecode and metadata.

All of it goes to the new film packet for packet; nothing is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any

import av
from av.stream import Discard

from ..types import Encoding, VideoInfo
from .pictures import is_pictures
from .source import is_cover, main_video

_OF_THE_OLD_FILE = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "number_of_frames")
"""Metadata that describes the source file itself; the new container writes its own."""

_TIMECODE_TRACKS = ("mov", "mp4", "mxf")
"""Containers whose writers make the timecode track of a `timecode` tag."""

_DAMAGED_PLACES = 1000
"""A file with more of them than this is read no further."""

_NO_TEXT = b"\0\0"
"""A mov_text subtitle of no letters."""

_QUICKTIME_LANGUAGES = {
    "sqi": "alb", "hye": "arm", "ces": "cze", "nld": "dut", "fra": "fre", "deu": "ger", "ell": "gre", "isl": "ice",
    "mkd": "mac", "msa": "may", "fas": "per", "ron": "rum", "slk": "slo", "cym": "wel", "zho": "chi",
}  # fmt: skip
"""ISO 639-2's terminological codes -> the bibliographic ones, the only ones that FFmpeg's QuickTime writer knows."""

_PLAIN_TAGS = frozenset(
    {
        "title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright",
        "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "location",
        "make", "model", "creation_time", "timecode",
    }
)  # fmt: skip
"""Tags that MP4 and QuickTime have names for; any other needs their key-value form."""


class Companions:
    """The source's streams other than its pictures; a context manager. Sources made of pictures have none."""

    def __init__(self, info: VideoInfo) -> None:
        self._info = info
        self._container: Any = None
        if not is_pictures(info.path):
            # Surrogates carry tags in any old encoding through unchanged.
            self._container = av.open(f"file:{info.path}", metadata_errors="surrogateescape")
        self.pictures = main_video(self._container) if self._container else None

    def __enter__(self) -> Companions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container:
            self._container.close()

    @property
    def streams(self) -> list[Any]:
        """Those to be carried, in the source's order; timecode and chapter tracks come as tags and chapters."""
        if not self._container:
            return []
        return [
            stream
            for stream in self._container.streams
            if stream != self.pictures and not self._is_chapter_track(stream)
        ]

    @property
    def chapters(self) -> list[Any]:
        return self._container.chapters() if self._container else []

    @property
    def metadata(self) -> dict[str, str]:
        """The film's own tags: title, date, …"""
        return _own_tags(self._container.metadata) if self._container else {}

    @property
    def timecode(self) -> str | None:
        """HH:MM:SS:FF (; before FF: drop frame) of the first picture, wherever the source keeps it."""
        if not self._container:
            return None
        streams = sorted(self._container.streams, key=lambda stream: stream != self.pictures)
        places = [*(stream.metadata for stream in streams), self._container.metadata]
        return next((place["timecode"] for place in places if "timecode" in place), None)

    def add_to(self, output: Any, video: Any, span: Cut, streams: list[Any]) -> dict[int, Any]:
        """Adds these streams and all tags to a film being made; source index -> new stream."""
        made: dict[int, Any] = {}
        if self._container is None:
            return made
        output.metadata.update(self.metadata)
        tags = _own_tags(self.pictures.metadata) if self.pictures else {}
        if self.timecode and output.format.name in (*_TIMECODE_TRACKS, "matroska", "webm"):
            output.metadata.pop("timecode", None)
            tags["timecode"] = advanced(self.timecode, span.frames, self._info.rate)
        video.metadata.update(tags)
        if self.pictures:
            video.disposition = self.pictures.disposition
        for stream in streams:
            if is_timecode_track(stream) and output.format.name in _TIMECODE_TRACKS:
                continue
            if is_cover(stream) and output.format.name == "matroska":
                output.add_attachment(*self._cover(stream))  # as a track it would be a second film
            else:
                made[stream.index] = copied_stream(output, stream)
        output.set_chapters([part for chapter in self.chapters if (part := span.chapter(chapter))])
        return made

    def packets(self, made: dict[int, Any], span: Cut) -> Iterator[Any]:
        """The packets of these streams in the source's order, moved to the span's beginning."""
        if not made:
            return
        for stream in self._container.streams:
            if stream.index not in made:
                stream.discard = Discard.all
        last: dict[int, int] = {}
        wanted = [self._container.streams[index] for index in made]
        for packet in self._demuxed(wanted):
            if packet.size == 0:
                continue  # the demuxer's own end mark
            if packet.dts is None:
                # A cover picture has no time.
                packet.dts = packet.pts = packet.pts or 0
            if packet.stream.name == "mov_text" and bytes(packet) == _NO_TEXT:
                continue  # the pause between two subtitles, which the writer of MP4 makes anew
            index = packet.stream.index
            if not is_cover(packet.stream) and not span.moves(packet):
                continue
            packet.stream = made[index]
            _keep_rising(packet, last, index)
            yield packet

    def _cover(self, stream: Any) -> tuple[str, str, bytes]:
        """(file name, media type, file) of a cover picture."""
        kind = {"mjpeg": "jpeg"}.get(stream.name, stream.name)
        with av.open(f"file:{self._info.path}") as again:
            packets = again.demux(again.streams[stream.index])
            picture = next((bytes(packet) for packet in packets if packet.size), b"")
        name = stream.metadata.get("filename", f"cover.{'jpg' if kind == 'jpeg' else kind}")
        return name, stream.metadata.get("mimetype", f"image/{kind}"), picture

    def _demuxed(self, wanted: list[Any]) -> Iterator[Any]:
        """All packets that can be read; a place that cannot is passed over, as by a player."""
        for _ in range(_DAMAGED_PLACES):
            try:
                yield from self._container.demux(wanted)
                return
            except av.error.InvalidDataError:
                continue  # reading on starts behind the damage

    def first_packets(self) -> dict[int, Any]:
        """One packet of each stream that has one near the beginning."""
        found: dict[int, Any] = {}
        wanted = {stream.index for stream in self.streams if stream.type != "attachment"}
        if not wanted:
            return found
        for count, packet in enumerate(self._container.demux([self._container.streams[index] for index in wanted])):
            if packet.size:
                found.setdefault(packet.stream.index, packet)
            if len(found) == len(wanted) or count > 2000:
                break
        return found

    def _is_chapter_track(self, stream: Any) -> bool:
        """QuickTime keeps chapter titles in a text track, which its writer makes anew of the chapters."""
        return (
            stream.type == "data"
            and bool(self.chapters)
            and stream.name == "bin_data"
            and not stream.metadata.get("timecode")
        )


class Cut:
    """The part of the source that is written: from one time to another, moved so that it begins at zero."""

    def __init__(self, start: Fraction | None = None, stop: Fraction | None = None, frames: int = 0) -> None:
        self._start, self._stop = start, stop
        self.frames = frames
        """Source frames before the first one written."""

    def moves(self, packet: Any) -> bool:
        """Moves a packet in time; False if it lies outside. Subtitles that are on already start with the film."""
        if self._start is None or self._stop is None:
            return True
        begin = packet.pts if packet.pts is not None else packet.dts
        first, end = round(self._start / packet.time_base), round(self._stop / packet.time_base)
        if begin >= end:
            return False
        if begin < first:
            over = begin + (packet.duration or 0) - first
            if packet.stream.type != "subtitle" or over <= 0:
                return False
            packet.pts = packet.dts = begin = first
            packet.duration = over
        if packet.stream.type == "subtitle" and packet.duration:
            packet.duration = min(packet.duration, end - begin)
        packet.pts = None if packet.pts is None else packet.pts - first
        packet.dts = None if packet.dts is None else packet.dts - first
        return True

    def chapter(self, chapter: Any) -> Any:
        """A chapter moved in time and cut to the span; None if it lies outside."""
        if self._start is None or self._stop is None:
            return chapter
        base = chapter["time_base"]
        first, end = round(self._start / base), round(self._stop / base)
        begin, finish = max(chapter["start"], first) - first, min(chapter["end"], end) - first
        return {**chapter, "start": begin, "end": finish} if begin < finish else None


def is_timecode_track(stream: Any) -> bool:
    return stream.type == "data" and "timecode" in stream.metadata


def copied_stream(output: Any, stream: Any) -> Any:
    """A new stream that takes this one's packets as they are, with its tags and its part in the film."""
    # `opaque` keeps PyAV from looking for an encoder, which some formats do not have here.
    made = output.add_stream_from_template(stream, opaque=True)
    tags = _own_tags(stream.metadata)
    if output.format.name == "mov" and tags.get("language") in _QUICKTIME_LANGUAGES:
        tags["language"] = _QUICKTIME_LANGUAGES[tags["language"]]
    made.metadata.update(tags)
    made.disposition = stream.disposition
    return made


def open_output(place: Any, encoding: Encoding, metadata: dict[str, str]) -> Any:
    """A film to be written to a path or into memory, with room for every tag of the source."""
    options = {
        "max_interleave_delta": "200000",
        "avoid_negative_ts": "disabled",
    }  # microseconds; packets come in order, so little need wait in memory
    if encoding.format in ("mp4", "mov"):
        flags = ["+faststart"] if encoding.format == "mp4" and isinstance(place, str) else []
        if set(metadata) - _PLAIN_TAGS:
            flags.append("+use_metadata_tags")
        options["movflags"] = "".join(flags) or "0"
    return av.open(place, "w", format=encoding.format, container_options=options, metadata_errors="surrogateescape")


def describe(stream: Any) -> str:
    """'audio stream 1 (aac, eng)'"""
    codec = "timecode" if is_timecode_track(stream) else stream.name or "unknown"
    language = f", {stream.metadata['language']}" if "language" in stream.metadata else ""
    return f"{stream.type} stream {stream.index} ({codec}{language})"


def advanced(timecode: str, frames: int, rate: Fraction) -> str:
    """The timecode so many frames later; what is no timecode stays as it is."""
    digits = timecode.replace(";", ":").replace(".", ":").split(":")
    if frames == 0 or len(digits) != 4 or not all(part.isdigit() for part in digits):
        return timecode
    fps, drop = round(rate), ";" in timecode or "." in timecode
    hours, minutes, seconds, frame = map(int, digits)
    total = ((hours * 60 + minutes) * 60 + seconds) * fps + frame + frames
    skipped = fps // 15  # drop frame: two labels in each minute but every tenth, four at 60
    if drop:
        whole = hours * 60 + minutes
        total -= skipped * (whole - whole // 10)
        tens, rest = divmod(total, fps * 600 - 9 * skipped)
        total += 9 * skipped * tens + (skipped * ((rest - skipped) // (fps * 60 - skipped)) if rest >= skipped else 0)
    total, frame = divmod(total, fps)
    clock = f"{total // 3600 % 24:02}:{total // 60 % 60:02}:{total % 60:02}"
    return f"{clock}{';' if drop else ':'}{frame:02}"


def _own_tags(metadata: dict[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in metadata.items()
        if name.lower() not in _OF_THE_OLD_FILE
        and not name.startswith(("_STATISTICS", "NUMBER_OF_", "BPS", "DURATION"))
    }


def _keep_rising(packet: Any, last: dict[int, int], index: int) -> None:
    """Moves a decoding time that does not rise (a broken source) on by a tick, as a container demands it."""
    if packet.dts is None:
        return
    if index in last and packet.dts <= last[index]:
        packet.dts = last[index] + 1
        if packet.pts is not None:
            packet.pts = max(packet.pts, packet.dts)
    last[index] = packet.dts
