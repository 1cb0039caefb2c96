"""Colours raw grey video on standard input; raw R'G'B' video comes out on standard output.

ffmpeg -loglevel error -i film.mp4 -f rawvideo -pix_fmt gray - |
    python examples/ffmpeg_pipe.py 640 480 still.png 0 |
    ffmpeg -f rawvideo -pix_fmt rgb24 -video_size 640x480 -framerate 24 -i - colour.mp4

Where a file is wanted at the end, `kinochrome colorize - colour.mp4` reads y4m from a pipe and keeps exact luma.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

import kinochrome


def frames(stream: BinaryIO, width: int, height: int) -> Iterator[np.ndarray]:
    """(height, width) uint8 pictures until the pipe ends."""
    while len(data := stream.read(width * height)) == width * height:
        yield np.frombuffer(data, np.uint8).reshape(height, width)
    if data:
        sys.exit(f"the pipe ended within a frame: {len(data)} of {width * height} bytes; is it {width}x{height} grey?")


def main() -> None:
    if len(sys.argv) != 5:
        sys.exit(f"usage: {sys.argv[0]} WIDTH HEIGHT PICTURE FRAME")
    width, height, picture, frame = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    for colour in kinochrome.stream(frames(sys.stdin.buffer, width, height), {frame: picture}):
        sys.stdout.buffer.write(colour.tobytes())
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
