"""Raw YUV4MPEG2: a line of text, then the planes of every frame as they are."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from ..color import is_full_range
from ..types import Encoding, VideoInfo

_SITINGS = {"left": "mpeg2", "center": "jpeg", "topleft": "paldv"}


def write_header(output: BinaryIO, info: VideoInfo, encoding: Encoding) -> None:
    """Size, rate, pixel aspect, chroma layout and range of all frames to come."""
    if encoding.subsampling == "grey":
        space = "mono" if encoding.depth == 8 else f"mono{encoding.depth}"
    elif encoding.depth > 8:
        space = f"{encoding.subsampling}p{encoding.depth}"
    else:
        siting = _SITINGS.get(info.chroma_location, "") if encoding.subsampling == "420" else ""
        space = encoding.subsampling + siting
    rate, aspect = info.rate, info.sample_aspect
    full = "FULL" if is_full_range(info) else "LIMITED"
    header = (
        f"YUV4MPEG2 W{info.width} H{info.height} F{rate.numerator}:{rate.denominator} Ip "
        f"A{aspect.numerator}:{aspect.denominator} C{space} XCOLORRANGE={full}\n"
    )
    output.write(header.encode("ascii"))


def write_frame(output: BinaryIO, planes: list[np.ndarray]) -> None:
    """One frame; samples of more than 8 bits in two bytes, the lower first."""
    output.write(b"FRAME\n")
    for plane in planes:
        wide = plane.astype("<u2", copy=False) if plane.itemsize == 2 else plane
        output.write(np.ascontiguousarray(wide).data)
