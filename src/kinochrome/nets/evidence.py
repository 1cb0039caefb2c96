"""What speaks for or against colours that were carried along a motion: how the lightness there agrees.

Written for processors without a GPU: sums of slices, which are many times faster there than pooling at stride 1.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Agreement:
    """A frame compared with another one that was moved onto it, each (B, 1, H, W)."""

    difference: Tensor
    """Of lightness, signed; a change of exposure is taken out."""
    around: Tensor
    """Its size in the neighbourhood."""
    beyond: Tensor
    """What of it a shift by one pixel cannot explain, in the neighbourhood (after Birchfield and Tomasi 1998)."""
    explained: Tensor
    """0..1: 1 where nothing speaks against it."""


def agreement(lightness: Tensor, moved: Tensor, motion: Tensor) -> Agreement:
    """How `lightness` agrees with what `motion` moved onto it."""
    difference = lightness - moved
    # A change of exposure is not a change of things.
    difference = difference - difference[..., ::4, ::4].flatten(1).median(1).values[:, None, None, None]
    around = mean_around(difference.abs(), 3)
    shifted = lightness - difference
    beyond = mean_around(F.relu(torch.maximum(-lightness - highest(-shifted), lightness - highest(shifted))), 2)
    return Agreement(difference, around, beyond, torch.exp(-0.4 * beyond) * inside(motion))


def inside(motion: Tensor) -> Tensor:
    """(B, 1, H, W): 1 where the motion arrives within the frame."""
    height, width = motion.shape[-2:]
    x = torch.arange(width, device=motion.device) + motion[:, :1]
    y = torch.arange(height, device=motion.device)[:, None] + motion[:, 1:]
    return ((x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)).float()


def halved(x: Tensor) -> Tensor:
    """Means of two by two pixels."""
    rows = x[..., ::2, :] + x[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) / 4


def enlarged(x: Tensor, factor: int) -> Tensor:
    """So many times as large each way, bilinear."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def to_size(x: Tensor, size: Sequence[int]) -> Tensor:
    """Averaged down, or enlarged, to (h, w), which the sides are whole multiples or parts of."""
    if list(x.shape[-2:]) == list(size):
        return x
    if x.shape[-1] > size[-1]:
        return F.avg_pool2d(x, x.shape[-1] // size[-1])
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def mean_around(x: Tensor, radius: int) -> Tensor:
    """Over the square around each pixel; beyond the image its edge goes on."""
    size = 2 * radius + 1
    x = F.pad(x, (radius,) * 4, mode="replicate")
    rows = added([x[..., k : x.shape[-1] - size + 1 + k] for k in range(size)])
    return added([rows[..., k : rows.shape[-2] - size + 1 + k, :] for k in range(size)]) / size**2


def highest(x: Tensor) -> Tensor:
    """Of each pixel and its eight neighbours."""
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    x = torch.maximum(torch.maximum(x[..., :-2], x[..., 1:-1]), x[..., 2:])
    return torch.maximum(torch.maximum(x[..., :-2, :], x[..., 1:-1, :]), x[..., 2:, :])


def added(parts: Iterable[Tensor]) -> Tensor:
    """The sum of tensors of one shape."""
    first, *rest = parts
    # One new tensor for all, since filling new ones takes longer than the arithmetic.
    return functools.reduce(Tensor.add_, rest[1:], first + rest[0]) if rest else first
