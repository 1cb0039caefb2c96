"""Colours frames as OpenCV reads them, one by one, and writes them with OpenCV.

python examples/opencv_frames.py film.mp4 colour.mp4 still.png 0

OpenCV keeps neither sound nor exact time nor more than 8 bits; `kinochrome colorize` does. This is for programs that
hold frames already: a camera, a player, another filter.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import cv2
import numpy as np

import kinochrome


def frames(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    """Every frame, grey."""
    while True:
        there, picture = capture.read()
        if not there:
            return
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)


def main() -> None:
    if len(sys.argv) != 5:
        sys.exit(f"usage: {sys.argv[0]} SOURCE TARGET PICTURE FRAME")
    source, target, picture, frame = sys.argv[1:]
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        sys.exit(f"OpenCV cannot open {source}")
    size = tuple(int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(target, cv2.VideoWriter_fourcc(*"mp4v"), capture.get(cv2.CAP_PROP_FPS), size)
    # Colours come out red first; OpenCV wants blue first.
    try:
        for colour in kinochrome.stream(frames(capture), {int(frame): picture}, ahead=24):
            writer.write(cv2.cvtColor(colour, cv2.COLOR_RGB2BGR))
    except kinochrome.KinochromeError as error:
        sys.exit(str(error))
    finally:
        capture.release()
        writer.release()


if __name__ == "__main__":
    main()
