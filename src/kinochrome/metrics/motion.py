"""The motion between two frames of a film, and where it can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import cv2
import numpy as np
import torch

from kinochrome.errors import MethodError
from kinochrome.flow import published
from kinochrome.nets.raft import Raft

from .picture import Picture

FLOWS: dict[str, str] = {
    "dis": "dense inverse search on luma, down to half size",
    "dis_quick": "the same, down to a quarter: three times faster, coarser",
    "raft_small": "RAFT's small network with torchvision's public weights, on R'G'B', 12 iterations",
    "raft_large": "RAFT's large network with torchvision's public weights, on R'G'B', 12 iterations",
}
FINEST = {"dis": 1, "dis_quick": 2}
"""The last pyramid level searched."""
SMALLEST = 32
"""Smaller frames are padded to this many pixels a side: the search needs something to begin with."""

Estimate = Callable[[Picture, Picture], np.ndarray]
"""The flow (h, w, 2) from the first picture to the second, as `kinochrome.flow` has them."""

Planes = Sequence[np.ndarray]
"""A flow's x and y, each (h, w)."""


def estimate_by(name: str, device: str = "cpu") -> Estimate:
    """How to estimate motion, by its name in FLOWS; networks work on `device`, and their weights must be there."""
    if name not in FLOWS:
        raise MethodError(f"There is no flow {name!r} to measure motion with. Choose one of: {', '.join(FLOWS)}.")
    return _search(FINEST[name]) if name in FINEST else _comparison(published(name, device), device)


def _search(finest: int) -> Estimate:
    """By dense inverse search."""
    # Not `flow.Motion`, which is tuned for colouring: a ruler must not change with what it measures.
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    search.setFinestScale(finest)
    search.setVariationalRefinementIterations(2)  # the preset's 5 take longer and match no better

    def estimate(first: Picture, second: Picture) -> np.ndarray:
        height, width = first.luma.shape
        border = (0, max(0, SMALLEST - height), 0, max(0, SMALLEST - width), cv2.BORDER_REPLICATE)
        start, end = (cv2.copyMakeBorder(picture.luma, *border) for picture in (first, second))
        found = search.calc(start, end, None)  # type: ignore[call-overload]
        return np.ascontiguousarray(found[:height, :width])

    return estimate


def _comparison(raft: Raft, device: str) -> Estimate:
    """By a network that compares all with all."""

    def estimate(first: Picture, second: Picture) -> np.ndarray:
        here, there = (torch.from_numpy(picture.rgb).to(device).permute(2, 0, 1)[None] for picture in (first, second))
        with torch.inference_mode():
            found = raft.flow(here, there)[0]
        return np.ascontiguousarray(found.permute(1, 2, 0).cpu().numpy())

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
        """(h, w, 3) of the second frame, seen from where the motion starts, bilinear; at its edge it goes on."""
        # A fourth channel more than halves the time that three take.
        return cv2.cvtColor(self._moved(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)), cv2.COLOR_RGBA2RGB)

    def planes_along(self, planes: Planes) -> Planes:
        """The same of two planes (h, w)."""
        # As four: OpenCV moves two channels in steps of a thirty-second of a pixel only.
        return cv2.split(self._moved(cv2.merge([*planes, *planes])))[:2]

    def _moved(self, image: np.ndarray) -> np.ndarray:
        return cv2.remap(image, *self._arrival, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    @cached_property
    def there(self) -> Planes:
        """`forward` as x and y."""
        return cv2.split(self.forward)

    @cached_property
    def back(self) -> Planes:
        """`backward` as x and y."""
        return cv2.split(self.backward)

    @cached_property
    def _arrival(self) -> tuple[np.ndarray, np.ndarray]:
        """x and y in the second frame where each pixel of the first one arrives."""
        x, y = self.there
        height, width = x.shape
        return x + np.arange(width, dtype=np.float32), y + np.arange(height, dtype=np.float32)[:, None]

    @cached_property
    def clear(self) -> np.ndarray:
        """(h, w) uint8, 1 where the first frame's pixel is seen in the second and lies on no motion boundary."""
        return agreeing(self.there, self.planes_along(self.back)) & moving_as_one(self.there)

    @cached_property
    def seen(self) -> np.ndarray:
        """(h, w) uint8: `clear` where, besides, the motion does not lead out of the picture."""
        x, y = self._arrival
        height, width = x.shape
        return self.clear & cv2.inRange(x, 0, width - 1) & cv2.inRange(y, 0, height - 1)


# What follows works in place: new arrays take as long as the arithmetic.


def agreeing(there: Planes, back: Planes) -> np.ndarray:
    """(h, w) uint8: where `back` undoes `there`, but for 0.5 and a hundredth of their squared lengths."""
    (x, y), (back_x, back_y) = there, back
    lengths, along, across = _square_length(x, y), back_x * back_x, back_y * back_y
    along += across
    lengths += along
    np.add(x, back_x, out=along)
    np.add(y, back_y, out=across)
    along *= along
    across *= across
    along += across
    return _at_most(along, lengths, 0.5)


def moving_as_one(motion: Planes) -> np.ndarray:
    """(h, w) uint8: where the motion differs little from that to the right and below."""
    height, width = motion[0].shape
    change = np.zeros((height, width), np.float32)
    for axis in motion:
        # From each pixel to the next in memory, which is quicker; the last of a row has none to the right.
        pixels = axis.ravel()
        step = np.empty_like(pixels)
        np.subtract(pixels[:-1], pixels[1:], out=step[:-1])
        step[width - 1 :: width] = 0
        step *= step
        change += step.reshape(height, width)
        step = axis[:-1] - axis[1:]
        step *= step
        change[:-1] += step
    return _at_most(change, _square_length(*motion), 0.002)


def _square_length(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    length = x * x
    length += y * y
    return length


def _at_most(left: np.ndarray, right: np.ndarray, slack: float) -> np.ndarray:
    """`right` is used up."""
    right *= np.float32(0.01)
    right += np.float32(slack)
    return (left <= right).view(np.uint8)
