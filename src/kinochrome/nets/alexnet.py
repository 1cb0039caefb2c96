"""AlexNet in its one-GPU form (Krizhevsky 2014), tensors named as torchvision names them."""

from __future__ import annotations

import torch
from torch import nn

from .imagenet import normalized


class AlexNet(nn.Module):
    """Class scores (n, 1000) of pictures (n, 3, h, w) in R'G'B' 0..1, at least 63 x 63; 224 x 224 in training."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
            *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            *(nn.Dropout(), nn.Linear(256 * 6 * 6, 4096), nn.ReLU()),
            *(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()),
            nn.Linear(4096, 1000),
        )

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.avgpool(self.features(normalized(rgb))).flatten(1))
