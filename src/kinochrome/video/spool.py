"""Raw film from a pipe, kept losslessly so that it can be read again."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av

from ..errors import VideoError
from .matroska import set_sample_aspect

SITINGS = {"420jpeg": "center", "420mpeg2": "left", "420paldv": "topleft"}
"""What y4m's colour space parameter says of where chroma lies."""


class _Pipe:
    """The read end of a stream, as FFmpeg wants it: nothing but bytes, the ones already looked at first."""

    def __init__(self, stream: BinaryIO, start: bytes) -> None:
        self.stream, self.start = stream, start
        self.count = 0
        """Bytes that were read."""

    def read(self, size: int = -1) -> bytes:
        if self.start:
            part, self.start = (self.start, b"") if size < 0 else (self.start[:size], self.start[size:])
        else:
            part = self.stream.read(size)
        self.count += len(part)
        return part


def spool(stream: BinaryIO, target: Path) -> Path:
    """A Matroska file with the very frames of a y4m stream (FFV1); it appears when it is whole.

    Reads the stream to its end. Times are in Matroska's milliseconds. The same stream becomes the same bytes, by which
    a later run knows the film again.
    """
    header = stream.readline(4096)
    if not header.startswith(b"YUV4MPEG2"):
        what = "something else than raw y4m" if header else "nothing"
        raise VideoError(f"Standard input holds {what}. Send y4m: ffmpeg -i FILM -f yuv4mpegpipe - | kinochrome …")
    folder, part = target.parent, target.with_name(f"{target.name}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _store(_Pipe(stream, header), header.decode("ascii", "replace"), part)
        part.replace(target)
    except av.error.FFmpegError as error:
        raise VideoError(f"The film from standard input cannot be stored in {folder}: {error.strerror}.") from error
    except OSError as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(f"{folder} cannot be written: {error.strerror}. Choose another with --project.") from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _store(pipe: _Pipe, header: str, part: Path) -> None:
    with av.open(pipe, "r", format="yuv4mpegpipe") as source, _bit_exact(part) as output:
        film = source.streams.video[0]
        stream = _stream_like(film, header, output)
        count = 0
        end = 0
        for packet in source.demux(film):
            end = packet.pos + packet.size if packet.pos is not None else end
            for frame in packet.decode():
                output.mux(stream.encode(frame))
                count += 1
        if count == 0:
            raise VideoError("Standard input holds a y4m header and no frame. See why its sender stopped.")
        if pipe.count > end:
            raise VideoError(f"Standard input breaks off within frame {count}. See why its sender stopped.")
        output.mux(stream.encode(None))
        width, height, aspect = film.width, film.height, Fraction(film.sample_aspect_ratio or 1)
    if aspect != 1:
        set_sample_aspect(part, width, height, aspect)


def _bit_exact(part: Path) -> Any:
    """An empty film without what tells one writing from another: its date and its random numbers."""
    return av.open(f"file:{part}", "w", format="matroska", container_options={"fflags": "+bitexact"})


def _stream_like(film: Any, header: str, output: Any) -> Any:
    found = re.search(r" C(\S+)", header)
    siting = SITINGS.get(found[1]) if found else None
    options = {"level": "3", "slicecrc": "1", **({"chroma_sample_location": siting} if siting else {})}
    stream = output.add_stream("ffv1", rate=Fraction(film.average_rate), options=options)
    stream.width, stream.height, stream.pix_fmt = film.width, film.height, film.pix_fmt
    context = stream.codec_context
    context.time_base = film.time_base
    context.field_order = film.codec_context.field_order
    context.color_range = film.codec_context.color_range
    stream.thread_type = "AUTO"
    return stream
