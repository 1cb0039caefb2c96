"""A small encoder of grey frames, whose fine features know of the coarse ones (after Lin and others 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from .block import Block
from .evidence import enlarged


class Pyramid(nn.Module):
    """Lightness (B, 1, H, W) to features at strides 2, 4, 8 and 16; `levels` are their channels, multiples of 8.

    H and W are multiples of 16. What is seen at stride 8 is told by stride 16, and then stride 4 by stride 8.
    """

    def __init__(self, levels: tuple[int, int, int, int]) -> None:
        super().__init__()
        at2, at4, at8, at16 = levels
        self.at2 = nn.Sequential(nn.Conv2d(1, at2, 3, 2, 1), nn.ReLU())
        self.at4 = nn.Sequential(nn.Conv2d(at2, at4, 3, 2, 1), Block(at4))
        self.at8 = nn.Sequential(nn.Conv2d(at4, at8, 3, 2, 1), Block(at8), Block(at8))
        self.at16 = nn.Sequential(nn.Conv2d(at8, at16, 3, 2, 1), Block(at16), Block(at16))
        self.down16, self.back8 = nn.Conv2d(at16, at8, 1), Block(at8)
        self.down8, self.back4 = nn.Conv2d(at8, at4, 1), Block(at4)

    def forward(self, lightness: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x2 = self.at2(lightness / 50 - 1)
        x4 = self.at4(x2)
        x8 = self.at8(x4)
        x16 = self.at16(x8)
        x8 = self.back8(x8 + enlarged(self.down16(x16), 2))
        x4 = self.back4(x4 + enlarged(self.down8(x8), 2))
        return x2, x4, x8, x16
