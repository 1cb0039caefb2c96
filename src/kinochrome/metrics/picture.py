"""One colour frame, and what metrics derive from it."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np

from kinochrome import color
from kinochrome.errors import VideoError


class Picture:
    """A frame whose derived images are computed once, when first asked for, and shared by all metrics."""

    def __init__(self, rgb: np.ndarray, name: str = "picture") -> None:
        """R'G'B' (h, w, 3), float32 0..1 or uint8; `name` is what errors call it."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype not in (np.uint8, np.float32):
            raise VideoError(f"The {name} is {rgb.dtype} {rgb.shape}; give uint8 or float32 of (height, width, 3).")
        if rgb.dtype == np.float32 and not _within(rgb):
            raise VideoError(f"The {name} has values that are not within 0..1; look at the program that made it.")
        codes = _codes_behind(rgb) if rgb.dtype == np.float32 else rgb
        self.given = rgb if codes is None else codes
        """As it came, or, of floats that are nothing but 8-bit codes divided by 255, those codes."""
        self.eight_bit = codes is not None

    @cached_property
    def rgb(self) -> np.ndarray:
        """(h, w, 3), float32, 0..1."""
        return _normal(self.given) if self.eight_bit else self.given

    @cached_property
    def codes(self) -> np.ndarray:
        """(h, w, 3), uint8, rounded to nearest."""
        return self.given if self.eight_bit else (self.given * np.float32(255) + np.float32(0.5)).astype(np.uint8)

    @cached_property
    def truncated(self) -> np.ndarray:
        """(h, w, 3), uint8, rounded down, as `(255 * rgb).astype(uint8)` in many scripts."""
        # Codes that were divided by 255 in float32 come back as k - 1e-5: they are k.
        return self.given if self.eight_bit else (self.given * np.float32(255) + np.float32(1e-3)).astype(np.uint8)

    @cached_property
    def quantised(self) -> np.ndarray:
        """(h, w, 3), float32, 0..1, as read back from an 8-bit file."""
        return self.rgb if self.eight_bit else _normal(self.codes)

    @cached_property
    def lab(self) -> np.ndarray:
        """CIELAB planes (3, h, w), float32."""
        return color.lab_of_picture(self.given)

    @cached_property
    def light_edges(self) -> np.ndarray:
        """(h, w), float32: `step_squares` of L*."""
        return step_squares(self.lab[:1])

    @cached_property
    def luma(self) -> np.ndarray:
        """(h, w), uint8: what motion is estimated on."""
        return color.luma_from_rgb(self.codes)

    @cached_property
    def opponents(self) -> np.ndarray:
        """(h, w, 2), float32, 0..255: red against green, and yellow against blue."""
        red, green, blue = cv2.split(self.given)
        warm = cv2.addWeighted(red, 0.5, green, 0.5, 0, dtype=cv2.CV_32F)
        planes = cv2.merge([cv2.subtract(red, green, dtype=cv2.CV_32F), cv2.subtract(warm, blue, dtype=cv2.CV_32F)])
        return planes if self.eight_bit else planes * np.float32(255)


def picture_of(frame: np.ndarray | Picture, name: str) -> Picture:
    """The frame itself where it is a picture already."""
    return frame if isinstance(frame, Picture) else Picture(frame, name)


def step_squares(planes: np.ndarray) -> np.ndarray:
    """(h, w): the squared change a pixel across and down, summed over planes (n, h, w)."""
    total = np.zeros(planes.shape[1:], np.float32)
    for plane in planes:
        smooth = cv2.GaussianBlur(plane, (5, 5), 1)
        for across, down in ((1, 0), (0, 1)):
            step = cv2.Sobel(smooth, cv2.CV_32F, across, down, scale=1 / 8)
            step *= step
            total += step
    return total


def _within(rgb: np.ndarray) -> bool:
    """No value is below 0, above 1 or none at all."""
    # Both are NaN where a value is; much quicker than OpenCV's own check.
    return rgb.size == 0 or (float(rgb.min()) >= 0 and float(rgb.max()) < 1 + 1e-6)


def _normal(codes: np.ndarray) -> np.ndarray:
    return np.multiply(codes, np.float32(1 / 255), dtype=np.float32)


def _codes_behind(rgb: np.ndarray) -> np.ndarray | None:
    """The 8-bit codes that float values were made from; None where there are none. Codes are quicker to work with."""
    for some in (rgb[::64], rgb):  # a few rows tell most pictures
        codes = cv2.convertScaleAbs(some, alpha=255)
        if cv2.norm(_normal(codes), some, cv2.NORM_INF) > 1e-6:
            return None
    return codes
