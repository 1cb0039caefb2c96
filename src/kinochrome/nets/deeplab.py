"""DeepLab v3 on ResNet-50 or ResNet-101 (Chen and others 2017), tensors named as torchvision names them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from .resnet import ResNet

CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""Of Pascal VOC, in the order of torchvision's weights."""

RATES = (12, 24, 36)
"""Of the three dilated convolutions that look around a place, in steps of eight pixels; the paper's for stride 8."""

WIDTH = 256
"""Channels in the heads."""


def _normed(inputs: int, outputs: int, size: int, dilation: int = 1) -> list[nn.Module]:
    """A convolution that keeps height and width, batch normalisation, ReLU."""
    around = dilation * (size // 2)
    layer = nn.Conv2d(inputs, outputs, size, padding=around, dilation=dilation, bias=False)
    return [layer, nn.BatchNorm2d(outputs), nn.ReLU()]


class Pyramid(nn.Module):
    """(n, inputs, h, w) to (n, WIDTH, h, w): each place, its surroundings at three rates, and the whole picture."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        views = [nn.Sequential(*_normed(inputs, WIDTH, 1))]
        views += [nn.Sequential(*_normed(inputs, WIDTH, 3, rate)) for rate in RATES]
        views.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), *_normed(inputs, WIDTH, 1)))
        self.convs = nn.ModuleList(views)
        self.project = nn.Sequential(*_normed(len(views) * WIDTH, WIDTH, 1), nn.Dropout(0.5))

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        views = [view(seen) for view in self.convs]
        views[-1] = views[-1].expand_as(views[0])
        return self.project(torch.cat(views, 1))


class DeepLab(nn.Module):
    """Probabilities of the CLASSES, (n, 21, h, w), of pictures (n, 3, h, w) in R'G'B' 0..1; 520 high in training."""

    def __init__(self, depth: Literal[50, 101] = 50) -> None:
        super().__init__()
        self.backbone = ResNet(depth, dilated=True)
        del self.backbone.fc  # the file has none: it scores places, not pictures
        self.classifier = nn.Sequential(Pyramid(2048), *_normed(WIDTH, WIDTH, 3), nn.Conv2d(WIDTH, len(CLASSES), 1))
        # Only training uses the second opinion, from the third stage; it is here because the file holds it.
        self.aux_classifier = nn.Sequential(
            *(*_normed(1024, WIDTH, 3), nn.Dropout(0.1)),
            nn.Conv2d(WIDTH, len(CLASSES), 1),
        )

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(self.scores(rgb), rgb.shape[-2:], mode="bilinear").softmax(1)

    def scores(self, rgb: torch.Tensor) -> torch.Tensor:
        """What the probabilities are made from, (n, 21, h / 8, w / 8), rounded up."""
        return self.classifier(self.backbone.stages(rgb)[-1])
