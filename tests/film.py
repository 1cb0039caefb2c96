"""Tiny films with known truth, written with raw PyAV, for any test that needs a source.

planes = moving_planes(10, (48, 64), "yuv420p10le")
make_film(tmp_path / "a.mkv", planes, "yuv420p10le", audio=True)
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from kinochrome import video
from kinochrome.types import Frame, FrameTable, VideoInfo

Planes = tuple[np.ndarray, ...]

FILM = VideoInfo(
    path=Path("film.mkv"), width=64, height=48, pixel_format="yuv420p", depth=8, subsampling="420", rgb=False,
    matrix="bt709", range="limited", primaries="bt709", transfer="bt709", chroma_location="left",
    rate=Fraction(25), time_base=Fraction(1, 25),
)  # fmt: skip
"""An ordinary film that is nowhere, for tests that need only its description."""


def plane_shapes(size: tuple[int, int], pixel_format: str) -> list[tuple[tuple[int, ...], int, bool]]:
    """For each plane of a planar or grey format: its (height, width), bits, and whether it is little endian."""
    height, width = size
    layout = av.VideoFormat(pixel_format, width, height)
    assert layout.is_planar or len(layout.components) == 1, f"{pixel_format}: give packed planes by hand"
    components = sorted(layout.components, key=lambda component: component.plane)
    return [((c.height, c.width), c.bits, not layout.is_big_endian) for c in components]


def moving_planes(count: int, size: tuple[int, int], pixel_format: str = "yuv420p", seed: int = 0) -> list[Planes]:
    """`count` frames of a texture that moves two pixels a frame; every frame differs from every other."""
    random = np.random.default_rng(seed)
    frames = []
    textures = []
    for (height, width), bits, _ in plane_shapes(size, pixel_format):
        rows, columns = np.mgrid[0:height, 0 : width + 2 * count]
        smooth = 0.5 + 0.25 * np.sin(columns / 5.0) + 0.15 * np.sin(rows / 3.0 + columns / 11.0)
        texture = smooth + random.uniform(-0.05, 0.05, smooth.shape)
        textures.append(np.round(texture * ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16))
    for index in range(count):
        shapes = plane_shapes(size, pixel_format)
        frames.append(
            tuple(
                np.ascontiguousarray(texture[:, 2 * index : 2 * index + width])
                for texture, ((_, width), _, _) in zip(textures, shapes, strict=True)
            )
        )
    return frames


def grey_planes(count: int, size: tuple[int, int], pixel_format: str = "yuv420p", seed: int = 0) -> list[Planes]:
    """Like `moving_planes`, with neutral chroma: a black-and-white film kept as colour video."""
    frames = moving_planes(count, size, pixel_format, seed)
    middle = [1 << (bits - 1) for _, bits, _ in plane_shapes(size, pixel_format)]
    return [
        (frame[0], *(np.full_like(plane, value) for plane, value in zip(frame[1:], middle[1:], strict=True)))
        for frame in frames
    ]


def fill(frame: av.VideoFrame, planes: Sequence[np.ndarray]) -> None:
    """Writes arrays into a frame's own buffers; (h, w) or packed (h, w, channels), values as stored."""
    for plane, array in zip(frame.planes, planes, strict=True):
        rows = np.ascontiguousarray(array).reshape(array.shape[0], -1)
        if rows.itemsize == 2 and frame.format.is_big_endian:
            rows = rows.byteswap()
        raw = rows.view(np.uint8)
        buffer = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        buffer[: raw.shape[0], : raw.shape[1]] = raw


def make_frame(planes: Sequence[np.ndarray], size: tuple[int, int], pixel_format: str) -> av.VideoFrame:
    """A PyAV frame holding exactly these planes."""
    height, width = size
    frame = av.VideoFrame(width, height, pixel_format)
    fill(frame, planes)
    return frame


TAGS = {"matrix": "colorspace", "range": "color_range", "primaries": "color_primaries", "transfer": "color_trc"}
"""What `make_film(tags=...)` takes, FFmpeg's numbers: `tags={"matrix": 1, "range": 1}` is bt709, limited."""


def make_film(
    path: Path,
    frames: Sequence[Sequence[np.ndarray]],
    pixel_format: str = "yuv420p",
    codec: str = "ffv1",
    rate: Fraction | int = 25,
    *,
    size: tuple[int, int] | None = None,
    pts: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    audio: bool = False,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    tags: dict[str, int] | None = None,
    sample_aspect: Fraction | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    format: str | None = None,
) -> Path:
    """A film of these planes.

    `size` is (height, width), by default the first plane's; `pts` in `time_base` (1/rate by default);
    `rotation` is clockwise degrees for the player, `mirrored` left for right; `audio` adds a PCM or AAC tone as long as
    the film.
    """
    height, width = size or frames[0][0].shape[:2]
    base = time_base or 1 / Fraction(rate)
    with av.open(str(path), "w", format=format, options=container or {}) as output:
        stream: Any = output.add_stream(codec, rate=Fraction(rate), options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = base
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, TAGS[name], value)
        if sample_aspect:
            stream.codec_context.sample_aspect_ratio = sample_aspect
        if rotation or mirrored:
            stream.set_display_rotation(-rotation, hflip=mirrored)
        sound = add_tone(output) if audio else None
        for index, planes in enumerate(frames):
            frame = make_frame(planes, (height, width), pixel_format)
            frame.pts = index if pts is None else pts[index]
            frame.time_base = base
            for name, value in (tags or {}).items():
                setattr(frame, TAGS[name], value)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            write_tone(output, sound, float(len(frames) / Fraction(rate)))
    return path


def add_tone(output: Any) -> Any:
    """The audio stream, added before anything is written."""
    codec = "aac" if output.format.name in ("mp4", "mov", "mpegts") else "pcm_s16le"
    return output.add_stream(codec, rate=48000, layout="mono")


def write_tone(output: Any, stream: Any, seconds: float) -> None:
    """440 Hz, mono, 48 kHz, from the film's start to its end."""
    planar = stream.codec_context.name == "aac"
    total = round(48000 * seconds)
    for start in range(0, total, 1024):
        time = np.arange(start, min(start + 1024, total)) / 48000
        wave = 0.3 * np.sin(2 * np.pi * 440 * time)
        samples = wave.astype(np.float32)[None] if planar else np.round(wave * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp" if planar else "s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def damage(path: Path, start: float, stop: float, seed: int = 0) -> None:
    """Overwrites the part of a file between two fractions of its length with noise."""
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * start), int(len(data) * stop)
    data[first:last] = np.random.default_rng(seed).bytes(last - first)
    path.write_bytes(bytes(data))


def truncate(path: Path, keep: float) -> None:
    """Cuts a file off after this fraction of its length."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def seen_by_scan(info: VideoInfo) -> tuple[FrameTable, list[Frame]]:
    frames: list[Frame] = []
    table = video.scan(info, frames.append)
    assert [frame.index for frame in frames] == list(range(len(table)))
    assert [frame.pts for frame in frames] == table.pts.tolist()
    assert (np.diff(table.pts) > 0).all()
    assert table.stop_pts > table.pts[-1]
    return table, frames


def planes_of(frame: Frame) -> list[np.ndarray]:
    return [frame.luma, *(frame.chroma or ())]


def same(one: Frame, other: Frame) -> bool:
    return (
        (one.index, one.pts) == (other.index, other.pts)
        and len(planes_of(one)) == len(planes_of(other))
        and all(np.array_equal(a, b) for a, b in zip(planes_of(one), planes_of(other), strict=True))
    )


def assert_same(found: list[Frame], expected: list[Frame]) -> None:
    assert [frame.index for frame in found] == [frame.index for frame in expected]
    assert [one.index for one, other in zip(found, expected, strict=True) if not same(one, other)] == []
