"""VGG-16 and VGG-19 (Simonyan and Zisserman 2015), no batch normalisation, tensors named as torchvision names them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from .imagenet import normalized

STAGES = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions in each stage, by depth."""

CHANNELS = (64, 128, 256, 512, 512)


class Vgg(nn.Module):
    """Class scores (n, 1000), or features by name, of pictures (n, 3, h, w) in R'G'B' 0..1; 224 x 224 in training."""

    def __init__(self, depth: Literal[16, 19]) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {}
        inputs = 3
        for stage, (count, outputs) in enumerate(zip(STAGES[depth], CHANNELS, strict=True), 1):
            for number in range(1, count + 1):
                layers[f"conv{stage}_{number}"] = nn.Conv2d(inputs, outputs, 3, padding=1)
                layers[f"relu{stage}_{number}"] = nn.ReLU()
                inputs = outputs
            layers[f"pool{stage}"] = nn.MaxPool2d(2)
        self.names = tuple(layers)
        """Of the features' layers, as the papers call them: `relu4_3` is the third of the fourth stage."""
        self.features = nn.Sequential(*layers.values())
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            *(nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()),
            nn.Linear(4096, 1000),
        )

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.avgpool(self.features(normalized(rgb))).flatten(1))
