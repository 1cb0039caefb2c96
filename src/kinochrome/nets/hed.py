"""Holistically-nested edge detection (Xie and Tu 2015) as ControlNet retrained it, tensors named as in its file."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of VGG-16's stages; a side output leaves at the end of each."""

SMALLEST = 16
"""Height and width that four halvings leave one pixel of."""


class Stage(nn.Module):
    """(n, inputs, h, w) to features (n, outputs, h, w); `projection` makes the side output of them."""

    def __init__(self, inputs: int, outputs: int, count: int) -> None:
        super().__init__()
        sizes = [inputs] + [outputs] * count
        self.convs = nn.ModuleList(nn.Conv2d(sizes[k], sizes[k + 1], 3, padding=1) for k in range(count))
        self.projection = nn.Conv2d(outputs, 1, 1)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        for layer in self.convs:
            seen = layer(seen).relu()
        return seen


class Hed(nn.Module):
    """How surely each pixel lies on an edge, (n, 1, h, w) in 0..1, of pictures (n, 3, h, w) in R'G'B' 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.Parameter(torch.zeros(1, 3, 1, 1))
        """What is taken from R', G', B' in 0..255, learned."""
        inputs = [3] + [outputs for outputs, _ in STAGES]
        stages = [Stage(inputs[k], *STAGES[k]) for k in range(len(STAGES))]
        self.block1, self.block2, self.block3, self.block4, self.block5 = stages

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        # The paper fuses by a learned 1x1 convolution that begins as the mean; the public file was trained with the
        # mean itself and holds no such convolution.
        return torch.stack(self.sides(rgb)).mean(0).sigmoid()

    def sides(self, rgb: torch.Tensor) -> list[torch.Tensor]:
        """The five side outputs before the sigmoid, fine to coarse, each (n, 1, h, w)."""
        height, width = rgb.shape[-2:]
        missing = (0, max(0, SMALLEST - width), 0, max(0, SMALLEST - height))
        seen = functional.pad(rgb, missing, mode="replicate") if any(missing) else rgb
        size = seen.shape[-2:]
        seen = 255 * seen - self.norm
        outputs: list[torch.Tensor] = []
        for stage in (self.block1, self.block2, self.block3, self.block4, self.block5):
            seen = stage(functional.max_pool2d(seen, 2) if outputs else seen)
            side = functional.interpolate(stage.projection(seen), size, mode="bilinear")
            outputs.append(side[..., :height, :width])
        return outputs
