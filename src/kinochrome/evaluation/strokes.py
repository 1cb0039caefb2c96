"""Strokes as a person might draw them, in the true colours, the same in every run."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any, cast

import cv2
import numpy as np
import torch

from kinochrome.types import Clip, Method, Painted, Scribble

from .protocols import SEED

Size = tuple[int, int]


def drawn(name: str, count: int, frame: int, ab: torch.Tensor) -> list[Scribble]:
    """`count` strokes on a frame whose true colours are ab (2, h, w); the clip's name moves the seed.

    A stroke is a curve about a sixth of the height long and a fortieth wide, in the median colour of what it covers.
    """
    random = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    height, width = ab.shape[-2:]
    strokes = []
    for _ in range(count):
        where = _curve(random, height, width)
        colour = ab[:, where].median(dim=1).values
        strokes.append(Scribble(frame, colour[:, None, None].expand(2, height, width), where[None]))
    return strokes


def _curve(random: np.random.Generator, height: int, width: int) -> torch.Tensor:
    """(h, w) bool; the same curve at every size, as shares of the height."""
    place, angle, bend = random.random(2), random.random() * 2 * np.pi, random.uniform(-1.5, 1.5)
    along = np.linspace(-1, 1, 16)[:, None]
    turned = angle + bend * along
    steps = np.concatenate([np.cos(turned), np.sin(turned)], axis=1) * along / 12
    points = (0.1 + 0.8 * place) * [width, height] + steps * height
    canvas = np.zeros((height, width), np.uint8)
    cv2.polylines(canvas, [np.rint(points).astype(np.int32)], False, 1, max(1, round(height / 40)))
    if not canvas.any():  # a canvas of a few pixels
        canvas[height // 2, width // 2] = 1
    return torch.from_numpy(canvas.astype(bool))


class _Scribbled:
    """A method that is handed strokes with each clip that holds their frame."""

    def __init__(self, method: Method, strokes: Callable[[Size], Sequence[Scribble]]) -> None:
        self._method, self._strokes = method, strokes
        self.longest = method.longest

    def colorize(self, clip: Clip) -> Generator[Painted, None, Any]:
        height, width = clip.lightness.shape[-2:]
        inside = [one for one in self._strokes((height, width)) if clip.start <= one.frame < clip.start + len(clip)]
        return self._method.colorize(replace(clip, scribbles=(*clip.scribbles, *inside)))


def with_strokes(method: Method, strokes: Callable[[Size], Sequence[Scribble]]) -> Method:
    """The method, already made, that gets the strokes of a working size besides all else."""
    return cast(Method, _Scribbled(method, strokes))
