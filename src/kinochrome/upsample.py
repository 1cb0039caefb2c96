"""From a small painted frame to the film's own chroma planes, with edges where its luma has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from .color import Chroma, fitted_chroma, is_full_range, lightness_from_luma, to_depth, wanted_chroma
from .errors import VideoError
from .types import CHROMA_STEPS, Encoding, Frame, Painted, Subsampling, VideoInfo

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]

RADIUS = 1
"""Of the windows, at working size, in which chroma is taken to follow lightness along a line."""
EPSILON = 40.0
"""Variance of L* below which lightness says little of chroma; both were chosen by true PSNR on real clips."""

_PLACES: dict[str, tuple[str, str]] = {
    "left": ("middle", "first"),
    "unspecified": ("middle", "first"),  # what H.264 and MPEG-2 say of streams that do not tell
    "center": ("middle", "middle"),
    "topleft": ("first", "first"),
    "top": ("first", "middle"),
    "bottomleft": ("last", "first"),
    "bottom": ("last", "middle"),
}
"""Where a chroma sample lies among its luma samples: (down, across)."""


@dataclass(frozen=True)
class _Axis:
    """One direction of the luma plane and the chroma samples along it."""

    length: int
    factor: int
    place: str

    @property
    def count(self) -> int:
        """Chroma samples; the last may stand for fewer luma samples than the others."""
        return -(-self.length // self.factor)

    @property
    def starts(self) -> tuple[int, ...]:
        """Where, from a sample's first luma sample, the boxes begin whose mean is centred on the chroma sample."""
        if self.factor == 1 or self.place == "middle":
            return (0,)
        first = (0 if self.place == "first" else self.factor - 1) - self.factor // 2
        return (first, first + 1)

    @property
    def middle(self) -> float:
        """Where the first chroma sample lies; luma samples lie at 0.5, 1.5, …"""
        return {"first": 0.5, "middle": self.factor / 2, "last": self.factor - 0.5}[self.place]

    @property
    def aligned(self) -> bool:
        """The chroma samples divide the length into equal cells and lie in their middle."""
        return self.starts == (0,) and self.length % self.factor == 0

    def kernel(self, size: int) -> np.ndarray:
        """Moves a small picture of this size so that its cells span the chroma samples: five taps of Catmull-Rom.

        Exact where the factor divides the length; elsewhere in the middle, and half a luma sample off at the ends.
        """
        centre = (self.count - 1) / 2 * self.factor + self.middle
        away = np.abs(np.arange(-2, 3) - (centre * size / self.length - size / 2))
        near, far = (1.5 * away - 2.5) * away**2 + 1, ((2.5 - 0.5 * away) * away - 4) * away + 2
        return np.where(away < 1, near, np.where(away < 2, far, 0))


def _axes(info: VideoInfo, subsampling: Subsampling) -> tuple[_Axis, _Axis]:
    """(down, across) of a film's planes at a subsampling."""
    sizes, places = (info.height, info.width), _PLACES[info.chroma_location]
    down, across = (_Axis(*axis) for axis in zip(sizes, CHROMA_STEPS[subsampling], places, strict=True))
    return down, across


class Renderer:
    """Paints the frames of one film for one encoding."""

    def __init__(self, info: VideoInfo, encoding: Encoding, saturation: float = 1.0) -> None:
        if encoding.subsampling not in CHROMA_STEPS:
            raise VideoError(f"{encoding.target}: '{encoding.pixel_format}' holds no colour; choose another preset.")
        if info.chroma_location not in _PLACES:
            known = ", ".join(_PLACES)
            raise VideoError(f"{info.path}: chroma location '{info.chroma_location}' is unknown; known are {known}.")
        self.info, self.encoding, self.saturation = info, encoding, saturation
        self._down, self._across = _axes(info, encoding.subsampling)

    def paint(self, frame: Frame, painted: Painted, lightness: torch.Tensor) -> Planes:
        """(luma, Cb, Cr) at the encoding's depth and subsampling, as stored; luma is the frame's own.

        `lightness` (1, h, w) is what `painted` was made from: the whole upright frame, averaged down.
        """
        small = [self._sited(plane) for plane in self._stored(lightness, painted.ab)]
        ab = np.stack(small[1:]) * np.float32(self.saturation)
        colour = cv2.split(wanted_chroma(small[0], ab, self.info))
        luma = self._reduced(frame.luma)
        wanted = guided(small[0], colour, lightness_from_luma(luma, self.info))
        return self._luma(frame), *fitted_chroma(luma, wanted, self.info, self.encoding.depth)

    def paste(self, frame: Frame, ab: torch.Tensor, where: torch.Tensor, base: Planes) -> Planes:
        """`base` with a picture's own ab (2, H, W), saturation applied, laid over it as far as where (1, H, W) says.

        H, W is the film's upright size. Base is untouched where the weight, 0..1, is 0.
        """
        size = (self.info.width, self.info.height)
        full = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in self._stored(ab, where)]
        wanted = np.stack(full[:2]) * np.float32(self.saturation)
        colour = wanted_chroma(lightness_from_luma(frame.luma, self.info), wanted, self.info)
        luma, weight = self._reduced(frame.luma), self._reduced(full[2])
        blue, red = cv2.split(self._reduced(colour))
        pasted = fitted_chroma(luma, (blue, red), self.info, self.encoding.depth)
        cb, cr = (
            np.rint(under + weight * (over.astype(np.float32) - under)).astype(under.dtype)
            for under, over in zip(base[1:], pasted, strict=True)
        )
        return base[0], cb, cr

    def keep(self, frame: Frame) -> Planes:
        """(luma, Cb, Cr) of a frame as the film has them, at the encoding's depth and subsampling."""
        deep, depth = self.info.depth, self.encoding.depth
        luma = self._luma(frame)
        if frame.chroma is None:
            neutral = np.full((self._down.count, self._across.count), 1 << (depth - 1), luma.dtype)
            return luma, neutral, neutral
        own = frame.chroma
        if self.info.subsampling != self.encoding.subsampling:
            own = tuple(np.rint(self._reduced(self._spread(plane))).astype(plane.dtype) for plane in own)
        return luma, to_depth(own[0], deep, depth), to_depth(own[1], deep, depth)

    def grey(self, values: torch.Tensor, depth: int) -> np.ndarray:
        """A luma plane that shows values (1, h, w), 0..1, from black to white in the film's range."""
        (small,) = self._stored(values)
        full = cv2.resize(small, (self.info.width, self.info.height), interpolation=cv2.INTER_LINEAR)
        black, white = (0, (1 << depth) - 1) if is_full_range(self.info) else (16 << (depth - 8), 235 << (depth - 8))
        return np.rint(black + full * (white - black)).astype(np.uint8 if depth == 8 else np.uint16)

    def _luma(self, frame: Frame) -> np.ndarray:
        return to_depth(frame.luma, self.info.depth, self.encoding.depth, is_full_range(self.info))

    def _spread(self, plane: np.ndarray) -> np.ndarray:
        """The film's own chroma (h, w) interpolated to where the luma samples are, float32."""
        down, across = _axes(self.info, self.info.subsampling)
        rows, columns = (
            ((np.arange(axis.length) + 0.5 - axis.middle) / axis.factor).astype(np.float32) for axis in (down, across)
        )
        where = np.meshgrid(columns, rows)
        return cv2.remap(plane.astype(np.float32), *where, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _stored(self, *upright: torch.Tensor) -> list[np.ndarray]:
        """All planes (h, w) of tensors (c, h, w), turned as the film stores them."""
        turns = self.info.rotation // 90
        planes = [plane for tensor in upright for plane in tensor.detach().cpu().float().numpy()]
        return [np.ascontiguousarray(np.rot90(plane, turns)) for plane in planes]

    def _sited(self, small: np.ndarray) -> np.ndarray:
        """A small plane moved by the part of a pixel that makes it span the chroma planes.

        Shrunk before if it is much finer than they are: cubic interpolation may step over a sample, not over many.
        """
        (height, width), (rows, columns) = small.shape, (self._down.count, self._across.count)
        if height > 1.5 * rows or width > 1.5 * columns:
            small = cv2.resize(small, (min(width, columns), min(height, rows)), interpolation=cv2.INTER_AREA)
        if self._down.aligned and self._across.aligned:
            return small
        down, across = self._down.kernel(small.shape[0]), self._across.kernel(small.shape[1])
        return cv2.sepFilter2D(small, -1, across, down, borderType=cv2.BORDER_REPLICATE)

    def _reduced(self, plane: np.ndarray) -> np.ndarray:
        """A full-size plane (h, w) or (h, w, c), averaged around the places of the chroma samples."""
        down, across = self._down, self._across
        if down.factor == across.factor == 1:
            return plane
        size = (across.count, down.count)
        if down.aligned and across.aligned:
            return cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
        before = (down.factor // 2, across.factor // 2)
        high, wide = down.count * down.factor, across.count * across.factor
        after = (high - down.length + before[0], wide - across.length + before[1])
        plane = cv2.copyMakeBorder(plane, before[0], after[0], before[1], after[1], cv2.BORDER_REPLICATE)
        rows = [
            _mean([_box(plane, before[0] + top, before[1] + left, (high, wide), size) for left in across.starts])
            for top in down.starts
        ]
        return _mean(rows)


def guided(lightness: np.ndarray, colour: Sequence[np.ndarray], guide: np.ndarray) -> Chroma:
    """Two planes (h, w) of colour at the size of `guide` (H, W), led by its lightness; `lightness` (h, w) is theirs.

    A fast guided filter (He and Sun, 2015) that interpolates: the intercepts are those of the pixels, not of
    their windows' means, so that what is small is met. No result leaves the range of the pixels around it.
    """
    size, around = guide.shape[::-1], np.ones((3, 3), np.uint8)
    planes = []
    for plane, slope in zip(colour, _slopes(lightness, colour), strict=True):
        intercept = plane - slope * lightness
        value = cv2.resize(slope, size, interpolation=cv2.INTER_CUBIC)
        cv2.multiply(value, guide, dst=value)
        cv2.add(value, cv2.resize(intercept, size, interpolation=cv2.INTER_CUBIC), dst=value)
        cv2.max(value, cv2.resize(cv2.erode(plane, around), size), dst=value)
        cv2.min(value, cv2.resize(cv2.dilate(plane, around), size), dst=value)
        planes.append(value)
    return planes[0], planes[1]


def _box(plane: np.ndarray, top: int, left: int, extent: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Means of the boxes that divide the part of plane from (top, left)."""
    part = plane[top : top + extent[0], left : left + extent[1]]
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA)


def _mean(planes: list[np.ndarray]) -> np.ndarray:
    return planes[0] if len(planes) == 1 else cv2.addWeighted(planes[0], 0.5, planes[1], 0.5, 0)


def _slopes(lightness: np.ndarray, colour: Sequence[np.ndarray]) -> list[np.ndarray]:
    """How much each plane of normal chroma rises with L* around each pixel."""
    window = (2 * RADIUS + 1, 2 * RADIUS + 1)
    mean = cv2.blur(lightness, window)
    spread = cv2.blur(lightness * lightness, window) - mean * mean + np.float32(EPSILON)
    return [
        cv2.blur((cv2.blur(plane * lightness, window) - mean * cv2.blur(plane, window)) / spread, window)
        for plane in colour
    ]
