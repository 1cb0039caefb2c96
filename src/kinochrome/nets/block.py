"""Residual blocks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


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


def each_by_itself(width: int) -> nn.GroupNorm:
    """Instance normalisation: each picture's channels by themselves.

    As groups of one channel it is the same arithmetic, and on a processor several times faster.
    """
    return nn.GroupNorm(width, width)
