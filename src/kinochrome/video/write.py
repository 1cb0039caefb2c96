"""Frames into a film, a folder of pictures or one picture: planes as they are, under the final name only when whole.

with Writer(path, info, encoding) as writer:
    writer.write(pts, luma, cb, cr)
"""

from __future__ import annotations

import errno
import os
import queue
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Protocol

import av
import numpy as np

from .. import color
from ..errors import VideoError
from ..types import Encoding, VideoInfo
from .presets import encoding_for

_WAITING_FRAMES = 4
"""So many frames wait for the encoder; the caller then waits too, so that memory stays bounded."""

_LIMITED_ONLY = ("prores", "prores_aw", "prores_ks", "prores_ks_vulkan")
"""Encoders whose stream cannot say "full range"; players take its codes as limited."""

FIXED_RATE = ("mpeg1video", "mpeg2video")
"""Encoders that count frames and know no finer time."""

Planes = Sequence[np.ndarray]


class Writer:
    """Writes frames in a thread of its own; `path` appears when the block ends without an error, else nothing does.

    `path`: a film or segment of `encoding` (raw y4m waits as lossless FFV1 until `join`), for kind "pictures" a new
    folder. Pictures are named by frame index: the pattern of `encoding.target` with `first`, `first + 1`, …
    """

    def __init__(self, path: Path, info: VideoInfo, encoding: Encoding, first: int = 0) -> None:
        self.path = Path(path)
        self._info, self._encoding, self._first = info, encoding, first
        self._queue: queue.Queue[tuple[int, tuple[np.ndarray, ...]] | None] = queue.Queue(_WAITING_FRAMES)
        self._failure: BaseException | None = None
        self._abandoned = self._ended = False
        self._thread = threading.Thread(target=self._work, name=f"encode {self.path.name}", daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def write(self, pts: int, luma: np.ndarray, cb: np.ndarray | None = None, cr: np.ndarray | None = None) -> None:
        """Takes one frame: planes at the encoding's depth and chroma layout and the film's range, pts in its time base.

        Without cb and cr the frame is grey. The arrays are read later, in the thread: do not change them afterwards.
        """
        self._raise_failure()
        self._queue.put((pts, (luma,) if cb is None or cr is None else (luma, cb, cr)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandoned = error is not None
        self._queue.put(None)
        self._thread.join()
        if error is None:
            self._raise_failure()

    def _work(self) -> None:
        """The thread: writes until told to stop; after a failure it only empties the queue, so that nobody waits."""
        try:
            with _sink(self.path, self._info, self._encoding, self._first) as sink:
                for pts, planes in self._frames():
                    sink.write(pts, planes)
                if self._abandoned:
                    raise _AbandonedError
        except _AbandonedError:
            return
        except BaseException as error:  # whatever it is, the caller's thread raises it
            self._failure = error
            for _ in self._frames():
                pass

    def _frames(self) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
        while not self._ended and (item := self._queue.get()) is not None:
            yield item
        self._ended = True

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise_explained(self._failure, self.path, self._encoding.codec)


class _AbandonedError(Exception):
    """The caller left the block with an error: what was written is thrown away."""


class _Sink(Protocol):
    """Where frames go; leaving its block without an error puts the result under its final name."""

    def __enter__(self) -> _Sink: ...

    def write(self, pts: int, planes: Planes) -> None: ...

    def __exit__(self, *error: Any) -> None: ...


def _sink(path: Path, info: VideoInfo, encoding: Encoding, first: int) -> _Sink:
    if encoding.kind in ("pictures", "picture"):
        return _PictureSink(path, info, encoding, first)
    return _FilmSink(path, info, encoding)


class _FilmSink:
    """One encoded video stream in a container."""

    def __init__(self, path: Path, info: VideoInfo, encoding: Encoding) -> None:
        self._path, self._part = path, beside(path)
        self._container = av.open(f"file:{self._part}", "w", format=segment_format(encoding))
        self._stream = open_stream(self._container, info, encoding)
        self._frames = FrameMaker(info, encoding, self._stream.codec_context)
        self._time_base, self._count = info.time_base, 0

    def __enter__(self) -> _FilmSink:
        return self

    def write(self, pts: int, planes: Planes) -> None:
        frame = self._frames.make(planes)
        frame.pts, frame.time_base = pts, self._time_base
        self._container.mux(self._stream.encode(frame))
        self._count += 1

    def __exit__(self, *error: Any) -> None:
        try:
            if error[0] is None:
                self._container.mux(last_packets(self._stream, self._count))
                self._container.close()
                self._part.replace(self._path)
        finally:
            with suppress(OSError, ValueError):  # the first error is the one that counts
                self._container.close()
            self._part.unlink(missing_ok=True)


class _PictureSink:
    """Numbered pictures in a folder, or one picture; encoded one after another, several threads at once."""

    def __init__(self, path: Path, info: VideoInfo, encoding: Encoding, first: int) -> None:
        self._path, self._part, self._number = path, beside(path), first
        self._folder = encoding.kind == "pictures"
        self._pattern = encoding.target.name
        self._context = open_picture_encoder(info, encoding)
        self._frames = FrameMaker(info, encoding, self._context)
        if self._folder:
            shutil.rmtree(self._part, ignore_errors=True)
            self._part.mkdir(parents=True)

    def __enter__(self) -> _PictureSink:
        return self

    def write(self, pts: int, planes: Planes) -> None:
        self._save(self._context.encode(self._frames.make(planes)))

    def _save(self, packets: Sequence[av.Packet]) -> None:
        for packet in packets:
            place = self._part / (self._pattern % self._number) if self._folder else self._part
            place.write_bytes(bytes(packet))
            self._number += 1

    def __exit__(self, *error: Any) -> None:
        try:
            if error[0] is None:
                self._save(self._context.encode(None))
                if self._folder and self._path.is_dir():
                    self._clear_earlier()
                self._part.replace(self._path)
        finally:
            if self._folder:
                shutil.rmtree(self._part, ignore_errors=True)
            else:
                self._part.unlink(missing_ok=True)

    def _clear_earlier(self) -> None:
        """Removes what an earlier run left in the folder; whatever else lies there is a person's, and an error."""
        ending = Path(self._pattern).suffix
        if foreign := next((item for item in self._path.iterdir() if item.suffix != ending), None):
            raise VideoError(f"{self._path} holds other things ({foreign.name}). Name a new folder for the pictures.")
        shutil.rmtree(self._path)


class FrameMaker:
    """Makes the encoder's frames of planes: copied row by row, colours tagged on each frame as on the encoder."""

    def __init__(self, info: VideoInfo, encoding: Encoding, context: Any) -> None:
        self._info, self._encoding, self._context = info, encoding, context
        self._form = av.VideoFormat(encoding.pixel_format, info.width, info.height)
        self._jpeg = encoding.codec == "mjpeg"
        self._rgb = self._form.is_rgb or self._jpeg
        full = color.is_full_range(info)
        self._narrow = _narrowing_tables(encoding.depth) if full and encoding.codec in _LIMITED_ONLY else None

    def make(self, planes: Planes) -> av.VideoFrame:
        """A frame of (luma,) or (luma, cb, cr)."""
        width, height = self._info.width, self._info.height
        if planes[0].shape != (height, width):
            raise VideoError(f"Luma of {planes[0].shape[::-1]} does not fit a film of {width}x{height}.")
        if self._rgb:
            return self._rgb_frame(planes)
        frame = av.VideoFrame(width, height, self._encoding.pixel_format)
        for index, target in enumerate(frame.planes):
            plane = planes[index] if index < len(planes) else self._neutral(target)
            if self._narrow:
                plane = self._narrow[min(index, 1)][plane]
            _fill(target, plane)
        return self._tagged(frame)

    def _neutral(self, target: Any) -> np.ndarray:
        depth = self._encoding.depth
        return np.full((target.height, target.width), 1 << (depth - 1), np.uint8 if depth == 8 else np.uint16)

    def _tagged(self, frame: av.VideoFrame) -> av.VideoFrame:
        # ProRes forgets primaries and transfer unless every frame says them.
        frame.colorspace, frame.color_range = self._context.colorspace, self._context.color_range
        frame.color_primaries, frame.color_trc = self._context.color_primaries, self._context.color_trc
        return frame

    def _rgb_frame(self, planes: Planes) -> av.VideoFrame:
        info = replace(self._info, depth=self._encoding.depth)
        neutral = np.full_like(planes[0], 1 << (info.depth - 1))
        chroma = (planes[1], planes[2]) if len(planes) == 3 else (neutral, neutral)
        rgb = color.rgb_from_planes(planes[0], chroma, info)
        if self._encoding.kind != "film":
            # A player turns a film upright; a viewer of pictures may not.
            rgb = np.rot90(rgb, -(info.rotation // 90))
        if self._encoding.pixel_format == "gbrpf32le":
            rgb = _linear(rgb)
        if self._jpeg:
            return self._tagged(rgb_frame(rgb, "rgb24").reformat(format="yuvj444p", dst_colorspace="ITU601"))
        return self._tagged(rgb_frame(rgb, self._encoding.pixel_format))


def rgb_frame(rgb: np.ndarray, pixel_format: str) -> av.VideoFrame:
    """A frame of (h, w, 3) R, G, B in a packed or planar R, G, B format of the same depth."""
    height, width = rgb.shape[:2]
    frame = av.VideoFrame(width, height, pixel_format)
    if len(frame.planes) == 1:
        _fill(frame.planes[0], rgb.reshape(height, width * 3), 3, pixel_format.endswith("be"))
        return frame
    for target, channel in zip(frame.planes, (1, 2, 0), strict=True):
        _fill(target, rgb[..., channel])
    return frame


def _fill(target: Any, plane: np.ndarray, channels: int = 1, big_endian: bool = False) -> None:
    """Copies an array of (height, width x channels) into a frame's plane, whose rows may be longer."""
    rows = np.frombuffer(target, plane.dtype).reshape(-1, target.line_size // plane.itemsize)
    height, width = plane.shape
    samples = target.width * channels
    if (height, width) != (target.height, samples):
        raise VideoError(f"A plane of {width}x{height} does not fit a frame's {samples}x{target.height}.")
    rows[:height, :width] = plane.byteswap() if big_endian else plane


def _narrowing_tables(depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Full-range code -> limited-range code, for luma and for chroma; every luma code keeps its place in the order."""
    codes, unit = np.arange(1 << depth) / ((1 << depth) - 1), 1 << (depth - 8)
    middle = (np.arange(1 << depth) - (1 << (depth - 1))) / ((1 << depth) - 1)
    luma = np.rint(16 * unit + codes * 219 * unit)
    chroma = np.rint(128 * unit + middle * 224 * unit)
    kind = np.uint8 if depth == 8 else np.uint16
    return luma.astype(kind), chroma.astype(kind)


def _linear(codes: np.ndarray) -> np.ndarray:
    """Scene-linear float32 of 16-bit codes, by the sRGB curve that EXR pictures are read with."""
    values = np.arange(1 << 16) / 65535
    curve = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return curve.astype(np.float32)[codes]


def segment_format(encoding: Encoding) -> str:
    """The container of pieces and of the film made of them; raw y4m waits in Matroska."""
    return "matroska" if encoding.kind == "y4m" else encoding.format


def open_stream(container: Any, info: VideoInfo, encoding: Encoding) -> Any:
    """A new video stream whose encoder is open: size, time base, aspect, colour tags and options of the encoding."""
    # SVT-AV1 takes its log level from the environment alone, and would fill the terminal.
    os.environ.setdefault("SVT_LOG", "1")
    stream = container.add_stream(encoding.codec, rate=info.rate)
    context = stream.codec_context
    _describe(context, info, encoding)
    context.time_base = 1 / info.rate if encoding.codec in FIXED_RATE else info.time_base
    if encoding.codec == "libx265":
        # x265 prints a summary to the terminal by itself; the user's own parameters come after and win.
        given = encoding.options.get("x265-params")
        context.options["x265-params"] = "log-level=error" + (f":{given}" if given else "")
        if container.format.name in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # the tag that Apple's players know
    context.open()
    return stream


def last_packets(encoder: Any, frames: int) -> list[Any]:
    """What an encoder still holds after so many frames."""
    packets = list(encoder.encode(None))
    if frames < 3:
        for packet in packets:
            packet.dts = packet.pts  # x265 decodes so few in order, but gives them times out of the blue
    return packets


def open_picture_encoder(info: VideoInfo, encoding: Encoding) -> Any:
    """An open encoder of single upright pictures; several at once, in order."""
    context: Any = av.CodecContext.create(encoding.codec, "w")
    _describe(context, info, encoding)
    if info.rotation in (90, 270):
        context.width, context.height = info.height, info.width
        context.sample_aspect_ratio = 1 / info.sample_aspect
    context.time_base = Fraction(1, 25)
    context.thread_type = "FRAME"
    context.open()
    return context


def _describe(context: Any, info: VideoInfo, encoding: Encoding) -> None:
    """Size, aspect and colour tags; FFmpeg's words go in as options, so that it translates them itself."""
    context.width, context.height, context.pix_fmt = info.width, info.height, encoding.pixel_format
    context.sample_aspect_ratio = info.sample_aspect
    limited = encoding.codec in _LIMITED_ONLY or not color.is_full_range(info)
    rgb = av.VideoFormat(encoding.pixel_format, 16, 16).is_rgb
    context.options = {
        "color_range": "tv" if limited and not rgb and encoding.codec != "mjpeg" else "pc",
        "colorspace": "rgb" if rgb else info.matrix,
        "color_primaries": info.primaries,
        "color_trc": "linear" if encoding.codec == "exr" else info.transfer,
        "chroma_sample_location": info.chroma_location,
        **encoding.options,
    }


def write_picture(path: Path, rgb: np.ndarray) -> None:
    """Writes (h, w, 3) R'G'B', float 0..1 or uint8, as 8-bit PNG, JPEG or TIFF by suffix; whole or not at all."""
    path = Path(path)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".tif", ".tiff"):
        raise VideoError(f"{path}: pictures are written as .png, .jpg or .tif.")
    codes = rgb if rgb.dtype == np.uint8 else np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
    height, width = codes.shape[:2]
    info = VideoInfo(
        Path("picture.png"), width, height, "rgb24", 8, "444", True, "bt709", "full", "bt709", "iec61966-2-1",
        "unspecified", Fraction(25), Fraction(1, 25),
    )  # fmt: skip
    encoding = encoding_for(path, info)
    context = open_picture_encoder(info, encoding)
    frame = rgb_frame(codes, "rgb24")
    if encoding.codec == "mjpeg":
        frame = frame.reformat(format="yuvj444p", dst_colorspace="ITU601")
    part = beside(path)
    try:
        part.write_bytes(b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]))
        part.replace(path)
    except OSError as error:
        raise_explained(error, path, encoding.codec)
    finally:
        part.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """Where a file is written until it is whole: in the same folder, so that renaming is one step."""
    return path.with_name(f".{path.name}.part")


def raise_explained(error: BaseException, path: Path, codec: str) -> NoReturn:
    """Raises what an error while writing means and what to do; errors that speak for themselves as they are."""
    if isinstance(error, VideoError) or not isinstance(error, (OSError, ValueError, av.FFmpegError)):
        raise error
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        text = f"The disk is full: {path} could not be written. Free some space and run again."
    elif number == errno.EFBIG:
        text = f"{path} would be larger than this disk or account allows. Choose another disk or --preset."
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        text = f"No permission to write {path}. Choose a folder that is yours."
    elif number == errno.ENOENT:
        text = f"The folder {path.parent} does not exist. Make it first, or choose another target."
    elif number == errno.EPIPE:
        text = f"Whoever read {path} has stopped reading. Keep the program after the pipe running to the end."
    else:
        text = f"{path} could not be written ({codec}): {error}. Choose another --preset, or report this."
    raise VideoError(text) from error
