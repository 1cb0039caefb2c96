"""Opens whatever a film is stored in, and says plainly why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.stream import Discard, Disposition

from ..errors import VideoError
from .pictures import check_file, picture_input

RAW_STREAMS = frozenset({"h264", "hevc", "m4v", "mpegvideo", "mjpeg", "vc1"})
"""Formats that are nothing but a codec's bytes: their rate is what the reader says, and they cannot be sought in."""

NOT_FILMS = frozenset({"tty", "bin", "xbin", "adf", "idf"})
"""Text, which FFmpeg would gladly show as a film of a terminal."""


@contextmanager
def open_source(path: Path, rate: Fraction | None = None) -> Iterator[tuple[Any, Any]]:
    """(container, video stream) of a film, a folder or pattern of pictures, or one picture.

    `rate` (frames a second) counts for what stores none: pictures and raw streams.
    """
    pictures = picture_input(path, rate)
    if pictures is None:
        check_file(path)
    url, options = pictures or (f"file:{path}", {})
    try:
        container = _open(url, "image2" if pictures else None, options)
        if rate and container.format.name in RAW_STREAMS:
            container.close()
            container = _open(url, None, {"framerate": str(rate)})
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(_unreadable(path, error)) from error
    with container:
        yield container, _video_stream(path, container)


def _open(url: str, format: str | None, options: dict[str, str]) -> Any:
    return av.open(url, "r", format=format, options=options, metadata_errors="replace")


def _unreadable(path: Path, error: Exception | str) -> str:
    if isinstance(error, av.error.EOFError):
        return f"{path} ends before its first frame: it holds no picture. Copy it again from where it came from."
    if isinstance(error, PermissionError):
        return f"{path} may not be read (permission denied). Give yourself the right to read it."
    return (
        f"{path} is not a film that FFmpeg can read ({getattr(error, 'strerror', None) or error}). If it should be, "
        "it is damaged or was cut short (an MP4 or MOV file has its index at the end and cannot be opened without it): "
        "copy it again."
    )


def main_video(container: Any) -> Any:
    """The stream whose frames are the film, the best that is not cover art; None in a file of sound alone."""
    films = [stream for stream in container.streams.video if not is_cover(stream)]
    best = container.streams.best("video")
    return best if best in films else next(iter(films), None)


def is_cover(stream: Any) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _video_stream(path: Path, container: Any) -> Any:
    """The film's picture: the best video stream that is not cover art."""
    if container.format.name in NOT_FILMS:
        raise VideoError(f"{path} is a text file, not a film.")
    stream = main_video(container)
    if not len(container.streams):
        raise VideoError(_unreadable(path, "it holds no stream"))
    if stream is None:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise VideoError(f"{path} has no video stream (it holds {kinds}). Name a file that has a picture.")
    if stream.codec_context is None:
        raise VideoError(
            f"{path}: this FFmpeg has no decoder for its video. Convert it where it plays: "
            f'ffmpeg -i "{path}" -c:v ffv1 -c:a copy "{path.stem}.mkv"'
        )
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    return stream
