"""What methods that sweep over a clip, forward and backward, have in common."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import flow
from .errors import MethodError
from .threads import half_of_pytorch
from .types import Clip, Reference

Walked = TypeVar("Walked", bound="Film")
Made = TypeVar("Made")
END: Any = object()
"""What stands behind the last of the things that are made ahead."""
AHEAD = 3
"""So many things wait to be used at most: some take longer to make than to use, others longer to use."""


def working_size(height: int, width: int, short: int = 240) -> tuple[int, int]:
    """The short side so many pixels, never larger than the film."""
    scale = min(1.0, short / min(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def padded(image: Tensor, stride: int, least: int = 1) -> Tensor:
    """(N, c, h, w) of that or (c, h, w), with sides that are multiples and no smaller, its edges repeated."""
    image = image if image.dim() == 4 else image[None]
    down, right = (max(-side % stride, least - side) for side in image.shape[-2:])
    return F.pad(image, (0, right, 0, down), mode="replicate")


def check_one_a_frame(method: str, references: Iterable[Reference]) -> None:
    """MethodError where two references are the same frame of the film."""
    frames = [one.frame for one in references if one.frame is not None]
    if doubled := {frame for frame in frames if frames.count(frame) > 1}:
        raise MethodError(f"Method {method} takes one reference a frame; frame {min(doubled)} has several. Keep one.")


def brings_back(clip: Clip, told_after: bool, told_at: Iterable[int]) -> bool:
    """Whether a run over this clip only brings later colours back to its head, for the piece before.

    That piece has not been coloured, so nothing else is owed to it. `told_at`: frames here whose colours are known.
    """
    head = max(clip.overlap - 1, 0)
    return bool(clip.overlap and clip.previous is None and (told_after or any(frame > head for frame in told_at)))


def ahead(things: Iterator[Made]) -> Generator[Made, None, None]:
    """The same things, made in a thread of its own while those before are used."""
    with half_of_pytorch.held(), ThreadPoolExecutor(1, "kinochrome-ahead") as thread:
        coming = deque(thread.submit(next, things, END) for _ in range(AHEAD))
        try:
            while (made := coming.popleft().result()) is not END:
                coming.append(thread.submit(next, things, END))
                yield made
        finally:
            for one in coming:
                one.cancel()


@dataclass(frozen=True)
class Film:
    """A clip as a sweep walks it; `step` is -1 where it walks backward."""

    frames: Tensor
    """(T, 1, h, w)"""
    start: int
    """Index in the film of the first frame."""
    step: int = 1
    seen: dict[int, Any] = field(default_factory=dict, repr=False)
    """What the first of two sweeps saw, by the frame's number in the film: the second need not look again."""

    def __len__(self) -> int:
        return len(self.frames)

    def light(self, index: int) -> Tensor:
        """(1, 1, h, w)"""
        return self.frames[index : index + 1]

    def number(self, index: int) -> int:
        """Index in the film of a frame here."""
        return self.start + self.step * index

    def index(self, number: int) -> int:
        """Where here a frame of the film lies; maybe outside."""
        return (number - self.start) * self.step

    def reversed(self: Walked) -> Walked:
        """The same clip, walked from its end."""
        return replace(self, frames=self.frames.flip(0), start=self.number(len(self) - 1), step=-self.step)


class Ways:
    """Motion between frames as networks hold them, (1, 1, h, w) each."""

    def __init__(self, finest: int, device: str, name: flow.FlowName = "dis") -> None:
        self.search, self.device = flow.search_by(name, finest, device), device

    def between(self, first: Tensor, second: Tensor) -> np.ndarray:
        """The flow from the first to the second."""
        return self.search.between(flow.visible(plane(first)), flow.visible(plane(second)))

    def followed(self, here: Tensor, source: Tensor, way: np.ndarray, anew: bool) -> np.ndarray:
        """See `flow.followed`."""
        return flow.followed(self.search, plane(here), plane(source), way, anew)

    def tensor(self, image: np.ndarray) -> Tensor:
        """(1, c, h, w) of (h, w, c)"""
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].to(self.device)


def plane(light: Tensor) -> np.ndarray:
    """(h, w) of (1, 1, h, w)"""
    return np.ascontiguousarray(light[0, 0].cpu().numpy())
