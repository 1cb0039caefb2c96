"""The motion between two frames of a film, and where it can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import cv2
import numpy as np

from kinochrome.errors import MethodError

from .picture import Picture

FLOWS: dict[str, str] = {
    "dis": "dense inverse search on luma, down to half size",
    "dis_quick": "the same, down to a quarter: three times faster, coarser",
}
FINEST = {"dis": 1, "dis_quick": 2}
"""The last pyramid level searched."""
SMALLEST = 32
"""Smaller frames are padded to this many pixels a side: the search needs something to begin with."""

Estimate = Callable[[Picture, Picture], np.ndarray]
"""The flow (h, w, 2) from the first picture to the second, as `kinochrome.flow` has them."""


def estimate_by(name: str) -> Estimate:
    """How to estimate motion, by its name in FLOWS."""
    if name not in FLOWS:
        raise MethodError(f"There is no flow {name!r} to measure motion with. Choose one of: {', '.join(FLOWS)}.")
    # Not `flow.Motion`, which is tuned for colouring: a ruler must not change with what it measures.
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setFinestScale(FINEST[name])
    search.setVariationalRefinementIterations(2)  # the preset's 5 take longer and match no better

    def estimate(first: Picture, second: Picture) -> np.ndarray:
        height, width = first.luma.shape
        border = (0, max(0, SMALLEST - height), 0, max(0, SMALLEST - width), cv2.BORDER_REPLICATE)
        start, end = (cv2.copyMakeBorder(picture.luma, *border) for picture in (first, second))
        found = search.calc(start, end, None)  # type: ignore[call-overload]
        return np.ascontiguousarray(found[:height, :width])

    return estimate


class Motion:
    """Flows between two frames, and masks at the first one's grid; each is computed once, when first asked for.

    The masks are those of Ruder et al. 2016 (after Sundaram et al. 2010) in the form that Lai et al. 2018 compute.
    """

    def __init__(self, first: Picture, second: Picture, estimate: Estimate) -> None:
        self._first, self._second, self._estimate = first, second, estimate

    @cached_property
    def forward(self) -> np.ndarray:
        return self._estimate(self._first, self._second)

    @cached_property
    def backward(self) -> np.ndarray:
        return self._estimate(self._second, self._first)

    def along(self, image: np.ndarray) -> np.ndarray:
        """An image of the second frame, seen from where the motion starts, bilinear; at its edge it goes on."""
        return cv2.remap(image, *self._arrival, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    @cached_property
    def _arrival(self) -> tuple[np.ndarray, np.ndarray]:
        """x and y in the second frame where each pixel of the first one arrives."""
        height, width = self.forward.shape[:2]
        x, y = cv2.split(self.forward)
        x += np.arange(width, dtype=np.float32)
        y += np.arange(height, dtype=np.float32)[:, None]
        return x, y

    @cached_property
    def clear(self) -> np.ndarray:
        """(h, w) uint8, 1 where the first frame's pixel is seen in the second and lies on no motion boundary."""
        return agreeing(self.forward, self.along(self.backward)) & moving_as_one(self.forward)

    @cached_property
    def seen(self) -> np.ndarray:
        """(h, w) uint8: `clear` where, besides, the motion does not lead out of the picture."""
        height, width = self.forward.shape[:2]
        x, y = self._arrival
        return self.clear & cv2.inRange(x, 0, width - 1) & cv2.inRange(y, 0, height - 1)


def agreeing(there: np.ndarray, back: np.ndarray) -> np.ndarray:
    """(h, w) uint8: where `back` undoes `there`, but for 0.5 and a hundredth of their squared lengths."""
    x, y = cv2.split(there)
    back_x, back_y = cv2.split(back)
    lengths = x * x + y * y + (back_x * back_x + back_y * back_y)
    return _at_most(np.square(x + back_x) + np.square(y + back_y), lengths, 0.5)


def moving_as_one(motion: np.ndarray) -> np.ndarray:
    """(h, w) uint8: where the motion differs little from that to the right and below."""
    x, y = cv2.split(motion)
    change = np.zeros_like(x)
    for axis in (x, y):
        change[:, :-1] += np.square(axis[:, :-1] - axis[:, 1:])
        change[:-1] += np.square(axis[:-1] - axis[1:])
    return _at_most(change, x * x + y * y, 0.002)


def _at_most(left: np.ndarray, right: np.ndarray, slack: float) -> np.ndarray:
    return (left <= right * np.float32(0.01) + np.float32(slack)).view(np.uint8)
