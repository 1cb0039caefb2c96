"""The pixel aspect in a Matroska header, which PyAV has no way to set.

FFmpeg's writer leaves eleven spare bytes behind the Video element of each track; DisplayWidth and DisplayHeight take
some of them, so that nothing else in the file moves. Element names and layout: RFC 8794 (EBML), RFC 9559 (Matroska).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from ..errors import VideoError

_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
_VOID, _CHECKSUM = 0xEC, 0xBF
_HEADER_BYTES = 1 << 20


def set_sample_aspect(path: Path, width: int, height: int, aspect: Fraction) -> None:
    """Writes into a finished .mkv that its first video track's pixels are `aspect` times as wide as high."""
    with path.open("r+b") as file:
        data = bytearray(file.read(_HEADER_BYTES))
        segment = next(part for part in _elements(data, 0, len(data)) if part.name == _SEGMENT)
        tracks = next(part for part in _elements(data, segment.body, len(data)) if part.name == _TRACKS)
        for track in _elements(data, tracks.body, tracks.end):
            if track.name == _TRACK and any(part.name == _VIDEO for part in _elements(data, track.body, track.end)):
                data[track.body : track.end] = _with_aspect(
                    bytes(data[track.body : track.end]), _display_sizes(width, height, aspect)
                )
                break
        first = next(_elements(data, tracks.body, tracks.end))
        if first.name == _CHECKSUM:
            checksum = zlib.crc32(data[first.end : tracks.end])
            data[first.body : first.end] = checksum.to_bytes(4, "little")
        file.seek(0)
        file.write(data)


class _Element(NamedTuple):
    """Where an element lies: its name, and where its header begins, its content begins and it ends."""

    name: int
    begin: int
    body: int
    end: int


def _elements(data: bytes | bytearray, start: int, stop: int) -> Iterator[_Element]:
    """The elements between two places, one after another."""
    while start < stop:
        name_length = 9 - data[start].bit_length()
        name = int.from_bytes(data[start : start + name_length], "big")
        size_at = start + name_length
        size_length = 9 - data[size_at].bit_length()
        size = int.from_bytes(data[size_at : size_at + size_length], "big") & ((1 << 7 * size_length) - 1)
        body = size_at + size_length
        yield _Element(name, start, body, body + size)
        start = body + size


def _with_aspect(track: bytes, sizes: list[bytes]) -> bytes:
    """A TrackEntry's content of the same length, its Void made smaller by what the Video element needs."""
    parts = list(_elements(track, 0, len(track)))
    video = next(part for part in parts if part.name == _VIDEO)
    kept = b"".join(
        track[part.begin : part.end]
        for part in _elements(track, video.body, video.end)
        if part.name not in (_DISPLAY_WIDTH, _DISPLAY_HEIGHT, _DISPLAY_UNIT)
    )
    rest = [track[part.begin : part.end] for part in parts if part.name not in (_VIDEO, _VOID)]
    for size in sizes:
        made = b"".join([*rest, _element(_VIDEO, kept + size)])
        spare = len(track) - len(made)
        if spare == 0 or 2 <= spare < 128:
            return made + (_element(_VOID, bytes(spare - 2)) if spare else b"")
    raise VideoError("The Matroska header has no room for the pixel aspect; take .mov or .mp4 as the target.")


def _display_sizes(width: int, height: int, aspect: Fraction) -> list[bytes]:
    """Ways to say it, the best first: in whole pixels, as the picture's own ratio, in rounded pixels."""
    ratio = Fraction(width, height) * aspect
    exact = [(round(width * aspect), height, 0)] if (width * aspect).denominator == 1 else []
    ways = [*exact, (ratio.numerator, ratio.denominator, 3), (round(width * aspect), height, 0)]
    return [
        _number(_DISPLAY_WIDTH, across)
        + _number(_DISPLAY_HEIGHT, down)
        + (_number(_DISPLAY_UNIT, unit) if unit else b"")
        for across, down, unit in ways
    ]


def _number(name: int, value: int) -> bytes:
    return _element(name, value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _element(name: int, body: bytes) -> bytes:
    """An element of fewer than 127 bytes."""
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + bytes([0x80 | len(body)]) + body
