"""A critic of patches (Isola and others 2017), its convolutions kept tame by spectral normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Critic(nn.Module):
    """Pictures (B, inputs, H, W) to unbounded scores of overlapping patches, greater for what is taken to be real."""

    def __init__(self, inputs: int, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level in range(depth):
            outputs = width << min(level, 3)
            layers += [spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1)), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(inputs, 1, 3, 1, 1)))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.layers(pictures)


def seen(lightness: Tensor, ab: Tensor) -> Tensor:
    """Colours as a critic sees them, (B, 3, H, W) of about unit size."""
    return torch.cat([lightness / 50 - 1, ab / 50], 1)


def paired(frames: Tensor, count: int) -> Tensor:
    """(n, 6, H, W): each frame beside the next; a clip of one frame beside itself."""
    clips = frames.unflatten(0, (count, -1))
    return torch.cat([clips[:-1] if count > 1 else clips, clips[1:] if count > 1 else clips], 2).flatten(0, 1)
