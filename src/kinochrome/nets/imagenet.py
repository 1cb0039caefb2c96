"""What classifiers trained on ImageNet expect of a picture, and what they say part-way."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
"""Of R', G', B' 0..1 over ImageNet, as torchvision's weights were trained with."""


def normalized(rgb: torch.Tensor) -> torch.Tensor:
    """Pictures (…, 3, h, w) of R'G'B' 0..1 as the classifiers were trained to see them."""
    mean, deviation = (rgb.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return (rgb - mean) / deviation


def outputs_at(layers: nn.Sequential, seen: torch.Tensor, at: Collection[int]) -> list[torch.Tensor]:
    """What the layers with these indices put out, in the order of the layers; none later is run."""
    outputs = []
    for index in range(max(at) + 1):
        seen = layers[index](seen)
        if index in at:
            outputs.append(seen)
    return outputs
