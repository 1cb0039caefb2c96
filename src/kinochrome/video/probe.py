"""What a film is made of, by its headers and its first frames."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.filter import Graph

from ..errors import VideoError
from ..types import VideoInfo
from .pictures import is_pictures
from .planes import Layout, layout_of, planar_twin
from .source import RAW_STREAMS, open_source
from .tags import resolve

CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")

LOOKED_AT = 4
"""Frames decoded to learn what the headers do not say."""

COMBED_FRAMES = 60
"""Frames searched for combing where neither headers nor frames say how the film was scanned."""

INTERLACED_ORDERS = frozenset({2, 3, 4, 5})
"""FFmpeg's AVFieldOrder: 0 unknown, 1 progressive, the rest interlaced."""

MATRICES_READ = frozenset({"bt709", "smpte170m", "bt470bg", "bt2020nc", "smpte240m", "fcc"})


def declared_end(path: Path) -> Fraction | None:
    """When the pictures should end by what the file says of itself, in seconds of its clock; None if it says nothing.

    Only Matroska, MP4 and MOV are believed; others guess.
    """
    with open_source(path) as (container, stream):
        if not {"matroska", "mov"} & set(container.format.name.split(",")):
            return None
        if stream.duration:
            return (stream.duration + (stream.start_time or 0)) * stream.time_base
        if tag := CLOCK.fullmatch(stream.metadata.get("DURATION", "")):
            hours, minutes, seconds = (Fraction(part) for part in tag.groups())
            return hours * 3600 + minutes * 60 + seconds
        alone = len(container.streams) == 1 and container.duration
        return Fraction(container.duration, 1_000_000) if alone else None


def probe(path: str | Path, deinterlace: bool = False, rate: Fraction | None = None) -> VideoInfo:
    """What a film, a folder or pattern of pictures, or one picture is made of.

    `rate` is for pictures (24 by default) and raw streams, which store none. Colour tags left open are resolved as
    `video.tags` says. Does not refuse an interlaced film: `interlaced` says that it is one.
    """
    path = Path(path)
    with open_source(path, rate) as (container, stream):
        pictures = is_pictures(path)
        if rate is not None and not pictures and container.format.name not in RAW_STREAMS:
            raise VideoError(f"{path} has its own frame rate. Leave the rate out; it is for pictures and raw streams.")
        frames = _first_frames(path, container, stream)
        frame = frames[0]
        name = frame.format.name
        layout = _checked_layout(path, name)
        colour = resolve(frame, stream, layout.rgb, pictures)
        if colour.matrix not in MATRICES_READ:
            raise VideoError(
                _convert(
                    path, f"has the unsupported colour matrix '{colour.matrix}'", "-vf scale=out_color_matrix=bt709"
                )
            )
        if deinterlace:
            _check_deinterlace(path, name, layout)
        return VideoInfo(
            path=path,
            width=frame.width,
            height=frame.height,
            pixel_format=name,
            depth=layout.depth,
            subsampling=layout.subsampling,
            rgb=layout.rgb,
            matrix=colour.matrix,
            range=colour.range,
            primaries=colour.primaries,
            transfer=colour.transfer,
            chroma_location=colour.chroma_location,
            rate=_rate(path, stream),
            time_base=Fraction(stream.time_base),
            sample_aspect=Fraction(stream.sample_aspect_ratio or 1),
            rotation=_rotation(path, frame),
            interlaced=not pictures and _interlaced(container, stream, frames),
            deinterlace=deinterlace,
        )


def _first_frames(path: Path, container: Any, stream: Any) -> list[Any]:
    """Up to `LOOKED_AT` frames; broken packets before them are passed over."""
    frames: list[Any] = []
    tries = 0
    while len(frames) < LOOKED_AT and tries < 50:
        tries += 1
        try:
            frames.extend(islice(container.decode(stream), LOOKED_AT - len(frames)))
            break
        except av.error.EOFError:
            break
        except av.error.FFmpegError:
            continue
    sound = [frame for frame in frames if not frame.is_corrupt] or frames
    if not sound:
        raise VideoError(
            f"{path} holds no frame that can be decoded: it has no pictures, or all are damaged. Copy it again, "
            "and see whether a player shows it."
        )
    return sound


def _checked_layout(path: Path, name: str) -> Layout:
    layout = layout_of(name)
    if layout is None:
        target = "gbrp16le" if av.VideoFormat(name, 2, 2).is_rgb else "yuv444p16le"
        raise VideoError(_convert(path, f"has the unsupported pixel format '{name}'", f"-pix_fmt {target}"))
    return layout


def _convert(path: Path, what: str, options: str) -> str:
    source, target = (path / "%d.png", path.name) if path.is_dir() else (path, path.stem)
    return (
        f'{path} {what}. Convert it first: ffmpeg -i "{source}" {options} -c:v ffv1 -c:a copy "{target}-converted.mkv"'
    )


def _check_deinterlace(path: Path, name: str, layout: Layout) -> None:
    """bwdif knows neither every depth nor every size; what FFmpeg would convert for it is refused."""
    known = not layout.alpha and layout.dtype[-2:] != "f4" and "f2" not in layout.dtype
    if known and planar_twin(name) in _FILTERED_ONLY_BY_CONVERSION:
        known = False
    if not known:
        target = "gray16le" if layout.subsampling == "grey" else "yuv444p16le"
        raise VideoError(
            _convert(path, f"has a pixel format that cannot be deinterlaced ('{name}')", f"-pix_fmt {target}")
        )


_FILTERED_ONLY_BY_CONVERSION = frozenset({"gray9le", "gray10le", "gray12le", "gray14le", "yuv440p10le", "yuv440p12le"})


def _rate(path: Path, stream: Any) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate:
            return Fraction(rate)
    raise VideoError(f"{path} does not say how many frames a second it has. {_convert(path, 'needs one', '-r 25')}")


def _rotation(path: Path, frame: Any) -> int:
    """Clockwise degrees that a player turns the picture by."""
    turn = -frame.rotation % 360
    if _mirrored(path, frame) or turn % 90:
        raise VideoError(_convert(path, "is shown mirrored or turned by an odd angle", ""))
    return turn


def _mirrored(path: Path, frame: Any) -> bool:
    """Whether the display matrix turns left and right about."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV reads none where one kind is unknown to it, such as a picture's EXIF block
        return path.is_file() and _picture_is_mirrored(path)
    return data is not None and np.linalg.det(np.frombuffer(data, np.int32)[:9].reshape(3, 3)[:2, :2] / 65536) < 0


def _picture_is_mirrored(path: Path) -> bool:
    """Whether OpenCV, which minds EXIF, shows a picture otherwise than turned."""
    stored = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    shown = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if stored is None or shown is None:
        return False
    return not any(np.array_equal(shown, np.rot90(stored, turn)) for turn in range(4))


def _interlaced(container: Any, stream: Any, frames: list[Any]) -> bool:
    """By the stream's field order, else by the frames' own flags, else (both silent) by looking for combs."""
    if any(frame.interlaced_frame for frame in frames):
        return True
    order = stream.codec_context.field_order
    if order:
        return order in INTERLACED_ORDERS
    return _combed(container, stream, frames)


def _combed(container: Any, stream: Any, frames: list[Any]) -> bool:
    """Whether FFmpeg's idet finds most of the first frames interlaced and hardly any whole.

    Deliberately hard to convince: grain and flicker comb a few frames of any old film.
    """
    graph = Graph()
    first = frames[0]
    buffer = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=stream.time_base)
    graph.link_nodes(buffer, graph.add("idet"), graph.add("buffersink")).configure()
    found = {"tff": 0, "bff": 0, "progressive": 0, "undetermined": 0}
    for frame in frames:
        _count_combs(graph, frame, found)
    try:
        for frame in islice(container.decode(stream), COMBED_FRAMES - len(frames)):
            if (frame.width, frame.height, frame.format.name) != (first.width, first.height, first.format.name):
                break
            _count_combs(graph, frame, found)
    except av.error.FFmpegError:
        pass  # damage is for the scan to report; what was seen so far decides
    combed, seen = max(found["tff"], found["bff"]), sum(found.values())
    return seen >= 8 and combed > seen / 2 and combed > 10 * found["progressive"]


def _count_combs(graph: Graph, frame: Any, found: dict[str, int]) -> None:
    graph.push(frame)
    try:
        verdict = graph.pull().metadata.get("lavfi.idet.multiple.current_frame", "undetermined")
    except (av.error.BlockingIOError, av.error.EOFError):
        return
    found[verdict] = found.get(verdict, 0) + 1
