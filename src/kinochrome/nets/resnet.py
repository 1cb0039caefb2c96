"""ResNet-50 and ResNet-101 (He and others 2016), tensors named as torchvision names them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import nn

from .imagenet import normalized

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Bottlenecks in each stage, by depth."""


class Bottleneck(nn.Module):
    """(n, inputs, h, w) to (n, 4 * width, h / stride, w / stride)."""

    def __init__(self, inputs: int, width: int, stride: int, dilation: int = 1) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        # The paper strides in the first convolution; the public weights were trained with the stride here.
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        change = self.bn1(self.conv1(seen)).relu()
        change = self.bn2(self.conv2(change)).relu()
        change = self.bn3(self.conv3(change))
        return (self.downsample(seen) + change).relu()


class ResNet(nn.Module):
    """Class scores (n, 1000), or the stages' features, of pictures (n, 3, h, w) in R'G'B' 0..1.

    `dilated` keeps the last two stages at 1/8 of the size: instead of striding they look twice, then four times as
    far, with the same tensors.
    """

    def __init__(self, depth: Literal[50, 101], dilated: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.ends = tuple(enumerate(BLOCKS[depth], 1))
        """The last block of each stage, as `activations` counts them."""
        stages, inputs, dilation = [], 64, 1
        for stage, count in enumerate(BLOCKS[depth]):
            width = 64 << stage
            stays = dilated and stage >= 2
            # A stage's first block still looks as far as the stage before, as torchvision's weights were trained.
            blocks = [Bottleneck(inputs, width, 1 if stays or not stage else 2, dilation)]
            dilation *= 2 if stays else 1
            blocks += [Bottleneck(4 * width, width, 1, dilation) for _ in range(count - 1)]
            stages.append(nn.Sequential(*blocks))
            inputs = 4 * width
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = nn.Linear(2048, 1000)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        return self.fc(self.stages(rgb)[-1].mean(dim=(2, 3)))

    def stages(self, rgb: torch.Tensor) -> list[torch.Tensor]:
        """Features with 256, 512, 1024 and 2048 channels at 1/4, 1/8, 1/16 and 1/32 of the size, rounded up."""
        return self.activations(rgb, self.ends)

    def activations(
        self, rgb: torch.Tensor, wanted: Sequence[tuple[int, int]], pooled: bool = True
    ) -> list[torch.Tensor]:
        """What these blocks put out, in the order of `wanted`; no block behind the last of them is run.

        (3, 19) is the nineteenth block of the third stage, which papers call relu3_19. Without its pooling the
        network sees everything twice as large.
        """
        seen = self.bn1(self.conv1(normalized(rgb))).relu()
        if pooled:
            seen = self.maxpool(seen)
        found = {}
        for place, block in self._blocks():
            seen = block(seen)
            if place in wanted:
                found[place] = seen
            if place == max(wanted):
                break
        return [found[place] for place in wanted]

    def _blocks(self) -> Iterator[tuple[tuple[int, int], nn.Module]]:
        """Each by stage and number, both from 1; a stage is looked up when its turn comes, so that some may be cut."""
        for stage, _ in self.ends:
            for number, block in enumerate(getattr(self, f"layer{stage}"), 1):
                yield (stage, number), block
