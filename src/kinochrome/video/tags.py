"""Colour tags in FFmpeg's words, and the written rule for those that a film leaves open.

A tag that the film carries is kept. What is unset is resolved once, here, so that nothing later has to guess:

matrix           bt709 for R, G, B, for more than 576 rows and for more than 1024 columns; else bt470bg for 576 or 288
                 rows (625-line video), and smpte170m for any other
range            full for R, G, B, for yuvj formats, for pictures, and for grey in a codec that stores it as it is;
                 else limited
primaries        those of the matrix's own standard; bt709 for R, G, B and pictures
transfer         that of the matrix's own standard; iec61966-2-1 (sRGB) for R, G, B and pictures
chroma location  center for pictures and yuvj formats, else left
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any, Literal

import av

MATRICES = {
    0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc",
    10: "bt2020c", 11: "smpte2085", 12: "chroma-derived-nc", 13: "chroma-derived-c", 14: "ictcp", 15: "ipt-c2",
    16: "ycgco-re", 17: "ycgco-ro",
}  # fmt: skip
"""ITU-T H.273's numbers, as FFmpeg numbers and names them; 2 is unset."""

PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020", 10: "smpte428",
    11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip

TRANSFERS = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100", 10: "log316",
    11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084",
    17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip

STANDARDS = {
    "bt709": ("bt709", "bt709"),
    "smpte170m": ("smpte170m", "smpte170m"),
    "bt470bg": ("bt470bg", "smpte170m"),  # BT.601 gives both its systems one curve
    "smpte240m": ("smpte240m", "smpte240m"),
    "fcc": ("bt470m", "gamma22"),
    "bt2020nc": ("bt2020", "bt2020-10"),
}
"""Matrix -> the primaries and transfer that its own standard goes with."""

STORED_GREY = frozenset({"ffv1", "rawvideo", "huffyuv", "ffvhuff", "utvideo", "magicyuv"})
"""Codecs that store samples as they are given; FFmpeg hands them grey at full range."""


@dataclass(frozen=True)
class Colour:
    """The colour tags of a `VideoInfo`."""

    matrix: str
    range: Literal["limited", "full"]
    primaries: str
    transfer: str
    chroma_location: str


def resolve(frame: Any, stream: Any, rgb: bool, pictures: bool) -> Colour:
    """The tags of a film by its first frame, its stream, and the rule above."""
    name, context = frame.format.name, stream.codec_context
    matrix = _tag(MATRICES, frame.colorspace, context.colorspace)
    if rgb or matrix in (None, "gbr"):
        matrix = "bt709" if rgb else _matrix_by_size(frame.width, frame.height)
    primaries, transfer = ("bt709", "iec61966-2-1") if rgb or pictures else STANDARDS.get(matrix, ("bt709", "bt709"))
    full_by_rule = rgb or pictures or (name.startswith(("gray", "ya", "mono")) and context.name in STORED_GREY)
    number = int(frame.color_range) or int(context.color_range)
    full = rgb or name.startswith("yuvj") or number == 2 or (number == 0 and full_by_rule)
    centred = pictures or name.startswith("yuvj")
    floats = re.search(r"f(16|32)(le|be)$", name)  # read through the sRGB curve, see `planes.encoded`
    transfer = (not floats and _tag(TRANSFERS, frame.color_trc, context.color_trc)) or transfer
    return Colour(
        matrix,
        "full" if full else "limited",
        _tag(PRIMARIES, frame.color_primaries, context.color_primaries) or primaries,
        transfer,
        chroma_location(stream) or ("center" if centred else "left"),
    )


def _tag(names: dict[int, str], *numbers: int) -> str | None:
    return next((names[int(number)] for number in numbers if int(number) in names), None)


def _matrix_by_size(width: int, height: int) -> str:
    if height > 576 or width > 1024:
        return "bt709"
    return "bt470bg" if height in (576, 288) else "smpte170m"


SITINGS = {
    (1, 1): "topleft", (1, 2): "left", (1, 3): "bottomleft", (2, 1): "top", (2, 2): "center", (2, 3): "bottom",
}  # fmt: skip
"""Matroska's ChromaSitingHorz and -Vert (1 + twice the distance in luma samples)."""


def chroma_location(stream: Any) -> str | None:
    """Where a stream says that its chroma samples lie; None where it does not.

    PyAV shows this tag nowhere, but FFmpeg's Matroska writer puts it into the header of a film that is never written.
    """
    header = io.BytesIO()
    try:
        with av.open(header, "w", format="matroska") as output:
            output.add_stream_from_template(stream)
            output.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return None  # a codec that Matroska does not know; none of those states a location
    found = re.search(rb"\x55\xb7\x81(.)\x55\xb8\x81(.)", header.getvalue(), re.DOTALL)
    return SITINGS.get((found[1][0], found[2][0])) if found else None
