"""Sound of our own making into a file, from which `join` can copy it beside a film."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

_BLOCK = 4096
"""FLAC takes frames of at most this many samples."""


def write_sound(path: Path, samples: np.ndarray, rate: int) -> None:
    """Writes stereo sound (samples, 2), -1..1, losslessly (FLAC, 16 bit); it starts and ends at exact samples."""
    codes = np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    with av.open(f"file:{path}", "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate, layout="stereo", format="s16")
        for start in range(0, len(codes), _BLOCK):
            block = np.ascontiguousarray(codes[start : start + _BLOCK]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="stereo")
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
