"""Tiny data folders with known truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kinochrome import video
from tests.metrics.clips import panned


def write_clip(folder: Path, frames: Sequence[np.ndarray], suffix: str = ".png") -> Path:
    """`<folder>/00000.png` and so on."""
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        video.write_picture(folder / f"{index:05d}{suffix}", frame)
    return folder


def write_data(folder: Path, counts: Mapping[str, int]) -> Path:
    """A data folder of panning clips, 48 by 64 pixels."""
    for seed, (name, count) in enumerate(counts.items()):
        write_clip(folder / name, panned(count, seed=seed))
    return folder
