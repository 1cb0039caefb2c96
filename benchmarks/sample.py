"""The film that speed and memory are measured on: a drawn scene in motion, with grain, black and white, H.264."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from kinochrome import color, demo, scenery, video
from kinochrome.types import VideoInfo

RATE = 24
DRAWN = 96
"""Moments that are drawn at most; a film plays them there and back, so that it ends where it can begin again."""
DRAWN_HEIGHT = 540
"""A larger film is enlarged from this height, its grain is not: about what a scan of old film holds."""


@dataclass(frozen=True)
class Sample:
    """A film on disk and the coloured picture of its first frame."""

    film: Path
    reference: str
    """As the command line writes it."""


def make_sample(folder: Path, size: tuple[int, int], frames: int, seed: int = 7) -> Sample:
    """Draws one shot of so many frames at a size (height, width), as the `web` preset encodes it."""
    info = _info(size)
    film, reference = folder / "film.mp4", folder / "reference.png"
    neutral = np.full((-(-size[0] // 2), -(-size[1] // 2)), 128, np.uint8)
    with video.Writer(film, info, video.encoding_for(film, info, preset="web")) as writer:
        for number, rgb in enumerate(pictures(size, frames, seed)):
            luma, cb, cr = demo.planes(rgb)
            if not number:
                video.write_picture(reference, color.rgb_from_planes(luma, (cb, cr), info))
            writer.write(number, luma, neutral, neutral)
    return Sample(film, f"{reference}@0")


def _info(size: tuple[int, int]) -> VideoInfo:
    return VideoInfo(
        path=Path("drawn"), width=size[1], height=size[0], pixel_format="yuv420p", depth=8, subsampling="420",
        rgb=False, matrix="bt709", range="limited", primaries="bt709", transfer="bt709", chroma_location="left",
        rate=Fraction(RATE), time_base=Fraction(1, RATE),
    )  # fmt: skip


def pictures(size: tuple[int, int], frames: int, seed: int) -> Iterator[np.ndarray]:
    """(h, w, 3) uint16 R'G'B', frame after frame."""
    height = min(size[0], DRAWN_HEIGHT)
    scene = scenery.Harbour(height, max(2, size[1] * height // size[0]), seed)
    moments = range(min(frames // 2 + 1, DRAWN))
    drawn = [np.rint(scenery.develop(scene.picture(k / RATE)) * 65535).astype(np.uint16) for k in moments]
    source = np.random.default_rng(seed)
    there_and_back = [*range(len(drawn)), *range(len(drawn) - 2, 0, -1)]
    for number in range(frames):
        picture = drawn[there_and_back[number % len(there_and_back)]]
        picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float32)
        grain = cv2.GaussianBlur(source.standard_normal(size, np.float32), (0, 0), 0.6) * np.float32(0.022 * 65535)
        yield np.clip(picture + grain[..., None], 0, 65535).astype(np.uint16)
