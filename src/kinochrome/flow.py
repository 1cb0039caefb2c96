"""Dense motion between lightness images at working size.

A flow is float32 (h, w, 2): where in the second image a pixel of the first lies, in pixels (x, y) from where it is.
Images are numpy float32, (h, w) or (h, w, channels).
"""

from __future__ import annotations

import functools

import cv2
import numpy as np


class Motion:
    """Estimates flows by dense inverse search (Kroeger et al. 2016, as OpenCV has it)."""

    def __init__(self, finest: int) -> None:
        """`finest`: the last pyramid level searched; 1 is half size, 2 a quarter and about three times faster."""
        # One search that starts from rest and one from a given flow: OpenCV's, once given a flow, starts every later
        # search from it, so a shared one would answer by what it was asked before.
        self._from_rest, self._from_flow = (
            cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST) for _ in range(2)
        )
        for search in (self._from_rest, self._from_flow):
            search.setFinestScale(finest)

    def between(self, first: np.ndarray, second: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        """The flow from `first` to `second` (uint8, see `visible`); `start` is a flow to search near as well."""
        if start is None:
            return self._from_rest.calc(first, second, None)
        return self._from_flow.calc(first, second, start.copy())


def visible(lightness: np.ndarray) -> np.ndarray:
    """Lightness 0..100 as the uint8 that `Motion` compares."""
    return np.clip(lightness * 2.55 + 0.5, 0, 255).astype(np.uint8)


def warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """`image` seen from where `flow` starts, bilinear; outside the image its border is repeated."""
    where = _grid(*flow.shape[:2]) + flow
    return cv2.remap(image, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The flow that follows `first`, then `second` from where it arrives."""
    return first + warp(second, first)


@functools.lru_cache(maxsize=4)
def _grid(height: int, width: int) -> np.ndarray:
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([x, y], axis=-1)
