"""Dense motion between lightness images at working size, and what two images have in common along it.

A flow is float32 (h, w, 2): where in the second image a pixel of the first lies, in pixels (x, y) from where it is.
Images are numpy float32, (h, w) or (h, w, channels).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, Protocol

import cv2
import numpy as np

if TYPE_CHECKING:
    from .nets.raft import Raft

MINIMUM = 32
"""Smaller images are padded to this many pixels a side before motion is searched."""
APART = 6
"""Pixels between the patches that are searched for. Four take twice the time: where motion is `sharpened` they find
nothing better, and from frame to frame what gains a little at first drifts more in the end."""
BESIDE = 6
"""Pixels to the places whose motion a pixel may have as well, …"""
BETTER = 1
"""… if that explains its lightness better by so much, of 255: in what is all alike it would choose by the grain, and
wander."""


FlowName = Literal["dis", "raft_small", "raft_large"]
"""Ways to find motion: `Motion`, or RAFT's networks with their public weights, which take a hundred times as long."""


class Search(Protocol):
    """What finds motion."""

    def between(self, first: np.ndarray, second: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        """The flow from `first` to `second` (uint8, see `visible`); `start` is a flow to search near as well."""
        ...


def search_by(name: FlowName, finest: int = 0, device: str = "cpu") -> Search:
    """What finds motion, by its name; a network works on `device`, and its weights must be there."""
    if name == "dis":
        return Motion(finest)
    return Comparison(name, device)


class Motion:
    """Estimates flows by dense inverse search (Kroeger et al. 2016, as OpenCV has it).

    Those that begin at a known flow it sharpens, too: they lead far. From one frame to the next that gains next to
    nothing, and where a film goes back and forth, small errors grow by it.
    """

    def __init__(self, finest: int) -> None:
        """`finest`: the last pyramid level searched; 1 is half size, 2 a quarter and about three times faster."""
        # One search that starts from rest and one from a given flow: OpenCV's, once given a flow, starts every later
        # search from it, so a shared one would answer by what it was asked before.
        self._from_rest, self._from_flow = (
            cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST) for _ in range(2)
        )
        for search in (self._from_rest, self._from_flow):
            search.setFinestScale(finest)
            search.setPatchStride(APART)
            # No smoothing afterwards: sharper at moving edges, and half the time.
            search.setVariationalRefinementIterations(0)

    def between(self, first: np.ndarray, second: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        """See `Search`."""
        height, width = first.shape
        down, right = max(0, MINIMUM - height), max(0, MINIMUM - width)
        if down or right:
            first, second = (np.pad(image, ((0, down), (0, right)), "edge") for image in (first, second))
            start = None if start is None else np.pad(start, ((0, down), (0, right), (0, 0)), "edge")
        if start is None:
            found = self._from_rest.calc(first, second, None)  # type: ignore[call-overload]  # the stub forgets None
        else:
            found = sharpened(first, second, self._from_flow.calc(first, second, start.copy()))
        return np.ascontiguousarray(found[:height, :width])


class Comparison:
    """Estimates flows by RAFT, which is shown lightness as grey pictures."""

    def __init__(self, name: str, device: str) -> None:
        self._raft, self._device = published(name, device), device

    def between(self, first: np.ndarray, second: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        """See `Search`."""
        import torch

        shown = (torch.from_numpy(one).to(self._device).float() / 255 for one in (first, second))
        here, there = (one.expand(1, 3, -1, -1) for one in shown)
        begin = None if start is None else torch.from_numpy(start).to(self._device).permute(2, 0, 1)[None]
        with torch.inference_mode():
            found = self._raft.flow(here, there, start=begin)[0]
        return np.ascontiguousarray(found.permute(1, 2, 0).cpu().numpy())


@functools.lru_cache(maxsize=1)
def published(name: str, device: str) -> Raft:
    """RAFT with its public weights, by their name; an error where they are missing."""
    from . import weights
    from .nets.raft import Raft

    return weights.load(lambda: Raft("small" if name == "raft_small" else "large"), name, device)


def followed(search: Search, here: np.ndarray, source: np.ndarray, way: np.ndarray, anew: bool) -> np.ndarray:
    """The flow from `here` to `source` (lightness), searched near `way`; `anew`: from rest, too, the better a pixel."""
    pictures = visible(here), visible(source)
    motion = search.between(*pictures, way)
    if not anew:
        return motion
    bold = search.between(*pictures)
    better = difference(here, warp(source, bold)) < difference(here, warp(source, motion))
    return np.where(better[..., None], bold, motion)


def sharpened(first: np.ndarray, second: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The flow from `first` to `second` (uint8), each pixel choosing among its own motion and that of four beside it.

    Patches blur motion where one thing moves before another; which of the two a pixel belongs to, its lightness tells.
    """
    height, width = first.shape

    def cost(tried: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(cv2.absdiff(first, warp(second, tried)), cv2.CV_16U, (5, 5), normalize=False)

    found = motion.copy()
    least = cv2.subtract(cost(motion), np.full(first.shape, 25 * BETTER, np.uint16))
    for x, y in ((BESIDE, 0), (-BESIDE, 0), (0, BESIDE), (0, -BESIDE)):
        shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
        tried = cv2.warpAffine(motion, shift, (width, height), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        costs = cost(tried)
        cv2.copyTo(tried, cv2.compare(costs, least, cv2.CMP_LT), found)
        cv2.min(costs, least, dst=least)
    return found


def visible(lightness: np.ndarray) -> np.ndarray:
    """Lightness 0..100 as the uint8 that `Motion` compares."""
    return np.clip(lightness * 2.55 + 0.5, 0, 255).astype(np.uint8)


def warp(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """`image` seen from where `motion` starts, bilinear; beyond its edge the edge goes on."""
    x, y = cv2.split(_grid(*motion.shape[:2]) + motion)
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The flow that follows `first`, then `second` from where that arrives."""
    return first + warp(second, first)


def inside(motion: np.ndarray) -> np.ndarray:
    """(h, w) bool: the flow arrives within the image."""
    height, width = motion.shape[:2]
    x, y = cv2.split(_grid(height, width) + motion)
    return (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean absolute difference of lightness around each pixel."""
    return cv2.blur(cv2.absdiff(first, second), (7, 7))


def mismatch(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Like `difference`, but a pixel off in a fine texture costs nothing (after Birchfield and Tomasi 1998)."""
    square = np.ones((3, 3), np.uint8)
    beyond = np.maximum(first - cv2.dilate(second, square), cv2.erode(second, square) - first)
    return cv2.blur(np.maximum(beyond, 0), (5, 5))


def align(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """The flow from `first` to `second` (uint8) if both show one scene from different places; None if they do not."""
    search, pairs = cv2.SIFT.create(800), []
    (here, ours), (there, theirs) = (search.detectAndCompute(image, None) for image in (first, second))
    if ours is not None and theirs is not None and len(theirs) > 1:
        for best, other in cv2.BFMatcher().knnMatch(ours, theirs, k=2):
            if best.distance < 0.75 * other.distance:
                pairs.append((here[best.queryIdx].pt, there[best.trainIdx].pt))
    if len(pairs) < 12:
        return None
    points = np.array(pairs, np.float32)
    matrix, good = cv2.findHomography(points[:, 0], points[:, 1], cv2.RANSAC, 4.0)
    if matrix is None or good.sum() < max(12, 0.3 * len(pairs)):
        return None
    grid = _grid(*first.shape)
    return cv2.perspectiveTransform(grid, matrix).astype(np.float32) - grid


@functools.lru_cache(maxsize=4)
def _grid(height: int, width: int) -> np.ndarray:
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.stack([x, y], axis=-1)
