"""Colours what a VapourSynth script makes of a film; raw R'G'B', 16 bit, comes out on standard output.

python examples/vapoursynth_frames.py film.mkv still.png 0 |
    ffmpeg -f rawvideo -pix_fmt rgb48le -video_size 640x480 -framerate 24 -i - -c:v ffv1 colour.mkv

Needs VapourSynth (R58 or later) and its source filter BestSource. Run it with Python, not with vspipe: colours flow
from frame to frame, so frames are pulled in order here; a VapourSynth filter may be asked for any frame at any time.
The project's tests cannot run this one, for VapourSynth is no dependency; they only see that it is valid Python.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import vapoursynth

import kinochrome


def prepared(film: str) -> vapoursynth.VideoNode:
    """The film's luma as full-range 16 bit grey. Put your own filters here: dust, scratches, stabilising."""
    core = vapoursynth.core
    clip = core.bs.VideoSource(film)
    grey = core.std.ShufflePlanes(clip, planes=0, colorfamily=vapoursynth.GRAY)
    return core.resize.Point(grey, format=vapoursynth.GRAY16, range_in_s="limited", range_s="full")


def frames(clip: vapoursynth.VideoNode) -> Iterator[np.ndarray]:
    """(height, width) uint16; a copy, for VapourSynth takes its memory back."""
    for frame in clip.frames(close=True):
        yield np.array(frame[0])


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} FILM PICTURE FRAME")
    film, picture, frame = sys.argv[1:]
    for colour in kinochrome.stream(frames(prepared(film)), {int(frame): picture}):
        sys.stdout.buffer.write(colour.astype("<u2").tobytes())


if __name__ == "__main__":
    main()
