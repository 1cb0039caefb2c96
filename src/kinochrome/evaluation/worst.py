"""The frame of a clip that a row did worst on, kept as a picture."""

from __future__ import annotations

import cv2
import numpy as np

from kinochrome.metrics.picture import Picture

WIDTH = 360
"""Pixels across of each of the three pictures."""

FULL = 64
"""The error, in codes of 255, that is shown brightest."""


class Worst:
    """Sees frames go by and keeps the one of the lowest PSNR: truth, result and error side by side."""

    def __init__(self) -> None:
        self.index: int | None = None
        self._psnr = np.inf
        self._frames: tuple[np.ndarray, ...] = ()

    def see(self, index: int, psnr: float | None, true: Picture, result: Picture) -> None:
        """One frame; None is a perfect one, or one that is not compared."""
        if psnr is None or psnr >= self._psnr:
            return
        self.index, self._psnr = index, psnr
        self._frames = true.codes, result.codes

    def jpeg(self) -> bytes:
        """Of the frame that was kept; empty where there was none."""
        if self.index is None:
            return b""
        fine, data = cv2.imencode(".jpg", beside(*self._frames)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
        assert fine
        return data.tobytes()


def beside(true: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Truth, result and error map (h, 3w, 3) uint8; black is no error, brightest `FULL` codes or more."""
    width = min(WIDTH, true.shape[1])
    size = width, max(1, round(true.shape[0] * width / true.shape[1]))
    error = np.sqrt(np.square(true.astype(np.float32) - result).mean(axis=2))
    heat = np.clip(cv2.resize(error, size, interpolation=cv2.INTER_AREA) * (255 / FULL), 0, 255).astype(np.uint8)
    small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in (true, result)]
    return np.concatenate([*small, cv2.applyColorMap(heat, cv2.COLORMAP_INFERNO)[..., ::-1]], axis=1)
