"""A tiny film with known colours: a texture that pans, its chroma moving with it; grey copies and coloured stills."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kinochrome import color, video
from kinochrome.types import VideoInfo
from tests.film import make_film

SIZE = (64, 96)


@dataclass(frozen=True)
class Scene:
    """A film on disk and the truth about it."""

    film: Path
    luma: list[np.ndarray]
    chroma: list[tuple[np.ndarray, np.ndarray]]
    """At 4:2:0."""
    info: VideoInfo

    def still(self, folder: Path, frame: int) -> Path:
        """The coloured picture of a frame."""
        full = tuple(plane.repeat(2, 0).repeat(2, 1) for plane in self.chroma[frame])
        rgb = color.rgb_from_planes(self.luma[frame], (full[0], full[1]), self.info)
        path = folder / f"still_{frame:06d}.png"
        video.write_picture(path, rgb)
        return path


def make_scene(
    path: Path,
    shots: tuple[int, ...] = (24,),
    *,
    codec: str = "ffv1",
    colour: tuple[int, ...] = (),
    options: dict[str, str] | None = None,
    audio: bool = False,
) -> Scene:
    """A 4:2:0 film with neutral chroma, one panning texture a shot; the shots named in `colour` keep their colours."""
    luma, chroma, written = [], [], []
    for number, count in enumerate(shots):
        canvas = _canvas(seed=number)
        for k in range(count):
            y, cb, cr = (plane[:, k : k + SIZE[1]] for plane in canvas)
            luma.append(np.ascontiguousarray(y))
            chroma.append(tuple(cv2.resize(plane, (48, 32), interpolation=cv2.INTER_AREA) for plane in (cb, cr)))
            neutral = np.full((32, 48), 128, np.uint8)
            written.append((luma[-1], *(chroma[-1] if number in colour else (neutral, neutral))))
    make_film(path, written, "yuv420p", codec, rate=24, options=options, audio=audio)
    return Scene(path, luma, chroma, video.probe(path))


def _canvas(seed: int) -> list[np.ndarray]:
    """Y', Cb and Cr of a wide picture: fine light and dark, broad colours."""
    random = np.random.default_rng(seed)
    size = (SIZE[1] + 64, SIZE[0])

    def blobs(coarse: int) -> np.ndarray:
        grid = random.random((max(2, size[1] // coarse), max(2, size[0] // coarse))).astype(np.float32)
        return cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)

    light = 60 + 110 * blobs(24) + 30 * (blobs(6) - 0.5) + 12 * (blobs(2) - 0.5) + 40 * (seed % 2)
    blue, red = (128 + 50 * (blobs(20) - 0.5) for _ in range(2))
    return [np.clip(plane, 20, 230).astype(np.uint8) for plane in (light, blue, red)]


def chroma_error(scene: Scene, film: Path, frames: range | None = None) -> float:
    """Mean absolute error of a coloured film's chroma, in codes."""
    info = video.probe(film)
    table = video.scan(info)
    errors = []
    for frame in video.frames(info, table):
        if frames is None or frame.index in frames:
            assert frame.chroma is not None
            for said, true in zip(frame.chroma, scene.chroma[frame.index], strict=True):
                errors.append(np.abs(said.astype(float) - true).mean())
    return float(np.mean(errors))
