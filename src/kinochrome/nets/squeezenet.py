"""SqueezeNet 1.1 (Iandola and others 2016), tensors named as torchvision names them."""

from __future__ import annotations

import torch
from torch import nn

from .imagenet import normalized


class Fire(nn.Module):
    """Few channels between two layers of many: (n, inputs, h, w) to (n, 2 * expanded, h, w)."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        squeezed = self.squeeze(seen).relu()
        return torch.cat([self.expand1x1(squeezed), self.expand3x3(squeezed)], dim=1).relu()


class SqueezeNet(nn.Module):
    """Class scores (n, 1000) of pictures (n, 3, h, w) in R'G'B' 0..1, at least 17 x 17; 224 x 224 in training."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)),
            *(Fire(64, 16, 64), Fire(128, 16, 64), nn.MaxPool2d(3, 2, ceil_mode=True)),
            *(Fire(128, 32, 128), Fire(256, 32, 128), nn.MaxPool2d(3, 2, ceil_mode=True)),
            *(Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
        )
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(normalized(rgb))).flatten(1)
