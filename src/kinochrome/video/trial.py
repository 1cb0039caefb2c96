"""Whether a target can hold a film with all that it carries: tried out in memory, before any work."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np

from ..errors import VideoError
from ..types import Encoding, FrameTable, VideoInfo
from .companions import Companions, Cut, describe, is_timecode_track, open_output
from .presets import CONTAINERS, DEFAULTS, encoding_for
from .write import FIXED_RATE, FrameMaker, last_packets, open_picture_encoder, open_stream


def check_streams(info: VideoInfo, encoding: Encoding) -> list[str]:
    """What will not be as in the source although it was asked for, in words; an error if the target cannot be written.

    Everything is tried out in memory: the encoder opened with its options, and every stream of the source put into the
    target's container and read back. An error names the stream and the containers that hold all.
    """
    with _companions(info) as companions:
        if encoding.kind != "film":
            _try_encoder(info, encoding)
            return _left_out(encoding, companions)
        trial = _Trial(info, encoding, companions)
        if trouble := trial.trouble(companions.streams):
            raise VideoError(_advice(info, encoding, trouble))
        if encoding.format == "webm" and info.sample_aspect != 1:
            raise VideoError(
                f"{encoding.target}: WebM cannot be written with pixels that are not square ({info.sample_aspect}). "
                "A target ending in .mkv (--preset av1) or .mp4 can."
            )
        return _colour_notes(info, encoding)


def _try_encoder(info: VideoInfo, encoding: Encoding) -> None:
    """Encodes one grey frame as the Writer would."""
    try:
        if encoding.kind == "y4m":
            with av.open(io.BytesIO(), "w", format="matroska") as output:
                _grey_packets(open_stream(output, info, encoding), info, encoding)
        else:
            _grey_packets(open_picture_encoder(info, encoding), info, encoding)
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise _encoder_error(info, encoding, error) from error


def _grey_packets(encoder: Any, info: VideoInfo, encoding: Encoding) -> list[Any]:
    luma = np.full((info.height, info.width), 1 << (encoding.depth - 1), np.uint8 if encoding.depth == 8 else np.uint16)
    context = getattr(encoder, "codec_context", encoder)
    frame = FrameMaker(info, encoding, context).make((luma,))
    frame.pts, frame.time_base = 0, info.time_base
    return [*encoder.encode(frame), *last_packets(encoder, 1)]


class _Trial:
    """Films of one grey frame and the first packets of some streams, made in memory and opened again."""

    def __init__(self, info: VideoInfo, encoding: Encoding, companions: Companions) -> None:
        self._info, self._encoding, self._companions = info, encoding, companions
        self._packets = companions.first_packets()

    def trouble(self, streams: list[Any]) -> str | None:
        """What the container does not hold of these streams, the chapters and the timecode; None if it holds all."""
        try:
            self._film([])
        except (OSError, ValueError, av.error.FFmpegError) as error:
            raise _encoder_error(self._info, self._encoding, error) from error
        try:
            return self._lost(self._film(streams), streams)
        except (OSError, ValueError):
            refused = [describe(stream) for stream in streams if self._refuses(stream)]
            return ", ".join(refused) or "the source's streams together"

    def _refuses(self, stream: Any) -> bool:
        try:
            return self._lost(self._film([stream]), [stream]) is not None
        except (OSError, ValueError):
            return True

    def _film(self, streams: list[Any]) -> io.BytesIO:
        memory = io.BytesIO()
        with open_output(memory, self._encoding, self._companions.metadata) as output:
            video = open_stream(output, self._info, self._encoding)
            made = self._companions.add_to(output, video, Cut(), streams)
            output.mux(_grey_packets(video, self._info, self._encoding))
            for index, packet in self._packets.items():
                if index in made:
                    packet.stream = made[index]
                    packet.dts = packet.pts = packet.pts or 0
                    output.mux(packet)
        memory.seek(0)
        return memory

    def _lost(self, film: io.BytesIO, streams: list[Any]) -> str | None:
        """What a container drops without a word."""
        wanted = [stream for stream in streams if stream.type == "attachment" or stream.index in self._packets]
        with av.open(film, metadata_errors="surrogateescape") as made:
            if self._companions.chapters and not made.chapters():
                return "the chapters"
            if self._companions.timecode and not _timecode(made):
                return f"the timecode {self._companions.timecode}"
            kinds = [stream.type for stream in made.streams]
            kinds.remove("video")
            for stream in wanted:
                if not is_timecode_track(stream) and kinds.count(stream.type) < _count(wanted, stream.type):
                    return describe(stream)
        return None


def _count(streams: list[Any], kind: str) -> int:
    return sum(stream.type == kind and not is_timecode_track(stream) for stream in streams)


def _timecode(film: Any) -> str | None:
    places = [film.metadata, *(stream.metadata for stream in film.streams)]
    return next((value for place in places for name, value in place.items() if name.lower() == "timecode"), None)


def _companions(info: VideoInfo) -> Companions:
    try:
        return Companions(info)
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise VideoError(f"{info.path} cannot be opened: {error}. Check the name, and that it is a film.") from error


def _advice(info: VideoInfo, encoding: Encoding, trouble: str) -> str:
    """What cannot be held, and the containers, each with its default preset, that hold all."""
    suffix = encoding.target.suffix
    text = f"{encoding.target}: {suffix} cannot hold {trouble} of {info.path}."
    with Companions(info) as companions:
        fitting = [
            other for other in dict.fromkeys(CONTAINERS) if other != suffix and _holds_all(info, other, companions)
        ]
    if not fitting:
        return f"{text} No other container here holds everything; write pictures or .y4m, or drop the stream before."
    lines = " or ".join(f"{other} (preset {DEFAULTS[other]})" for other in fitting if other != ".m4v")
    return f"{text} A target ending in {lines} holds everything."


def _holds_all(info: VideoInfo, suffix: str, companions: Companions) -> bool:
    try:
        encoding = encoding_for(f"trial{suffix}", info)
        return _Trial(info, encoding, companions).trouble(companions.streams) is None
    except VideoError:
        return False


def _encoder_error(info: VideoInfo, encoding: Encoding, error: BaseException) -> VideoError:
    size = f"{info.width}x{info.height}"
    options = ", ".join(f"{name}={value}" for name, value in encoding.options.items())
    reason = getattr(error, "strerror", None) or str(error)
    return VideoError(
        f"{encoding.target}: the encoder {encoding.codec} does not take {size} {encoding.pixel_format} at {info.rate} "
        f"frames/s with {options or 'no options'} ({reason}). Change its options, or take another --preset."
    )


def _left_out(encoding: Encoding, companions: Companions) -> list[str]:
    """Pictures and raw video hold nothing else; whoever asks for them knows, and is told what."""
    what = [describe(stream) for stream in companions.streams]
    if companions.chapters:
        what.append("the chapters")
    kind = "raw video" if encoding.kind == "y4m" else "a picture"
    return [f"{encoding.target}: {kind} cannot hold {item}; it is left out." for item in what]


def check_times(info: VideoInfo, encoding: Encoding, table: FrameTable) -> list[str]:
    """Whether the target can hold the frames' times: an error, or what will be lost, in words.

    MXF, raw video and some encoders have a fixed rate; pictures are not asked to keep time.
    """
    counted = encoding.format in ("mxf", "yuv4mpegpipe") or encoding.codec in FIXED_RATE
    if not counted or len(table) < 2:
        return []
    times = table.pts.astype(np.float64) * float(info.time_base * info.rate)
    if np.abs(times - times[0] - np.arange(len(times))).max() < 0.75:
        return []
    text = f"{encoding.target}: the frames of {info.path} do not come at a fixed rate"
    if encoding.format == "mxf":
        raise VideoError(f"{text}, which MXF cannot hold. A target ending in .mkv or .mov can.")
    if encoding.codec in FIXED_RATE:
        raise VideoError(f"{text}, which the encoder {encoding.codec} cannot write. Leave codec={encoding.codec} out.")
    return [f"{text}; raw video shows them all at {info.rate} a second."]


def _colour_notes(info: VideoInfo, encoding: Encoding) -> list[str]:
    notes = []
    if encoding.codec == "dnxhd" and info.matrix not in ("bt709", "bt2020nc"):
        notes.append(
            f"{encoding.target}: DNxHR itself knows bt709 and bt2020nc; {info.matrix} stands in the container only."
        )
    if encoding.subsampling == "444" and encoding.preset in ("web", "h265"):
        notes.append(
            f"{encoding.target}: {info.width}x{info.height} is an odd size, which 4:2:0 cannot hold whole: written as "
            "4:4:4, which some players and all browsers but few refuse."
        )
    return notes
