"""Residual blocks, and convolutions that processors are quick at."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from torch import Tensor, nn

from kinochrome.types import Range

from .evidence import added

Width = Annotated[int, Range(8, multiple=8)]
"""Channels of a `Block`, which normalises them in eight groups."""


class Block(nn.Module):
    """Two convolutions around a residual, as in the small encoders; it begins as nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(self.norm(x))))


class Residual(nn.Module):
    """Two convolutions around a residual, each picture normalised by itself (Deep Exemplar, Zhang and others 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect") for _ in range(2))
        self.norm = each_by_itself(width)
        self.norm2 = each_by_itself(width)
        self.bend = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm2(self.second(self.bend(self.norm(self.first(x)))))


def to_few(convolution: nn.Module, x: Tensor) -> Tensor:
    """What a 3x3 convolution to one channel, or to few, says of x, in float32.

    Processors are slow at these; a product for each place in the window, then a sum of shifted planes, is not.
    """
    assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
    assert (convolution.kernel_size, convolution.stride, convolution.padding) == ((3, 3), (1, 1), (1, 1))
    batch, _, height, width = x.shape
    weight = convolution.weight.permute(2, 3, 0, 1).flatten(0, 2)
    # Planes come first, so that each is one piece of memory.
    planes = (weight @ x.movedim(1, -1).flatten(0, 2).mT).float().unflatten(1, (batch, height, width))
    parts = F.pad(planes, (1, 1, 1, 1)).chunk(9)
    shifted = added(part[..., k // 3 : k // 3 + height, k % 3 : k % 3 + width] for k, part in enumerate(parts))
    return convolution.bias.float()[:, None, None] + shifted.movedim(0, 1)


def product(convolution: nn.Module, x: Tensor) -> Tensor:
    """What a 1x1 convolution says but for its bias, where channels are last: a product takes less time."""
    assert isinstance(convolution, nn.Conv2d)
    return F.linear(x.movedim(1, -1), convolution.weight[:, :, 0, 0]).movedim(-1, 1)


def each_by_itself(width: int) -> nn.GroupNorm:
    """Instance normalisation: each picture's channels by themselves.

    As groups of one channel it is the same arithmetic, and on a processor several times faster.
    """
    return nn.GroupNorm(width, width)
