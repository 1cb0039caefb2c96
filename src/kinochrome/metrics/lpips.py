"""LPIPS 0.1 (Zhang et al. 2018): how unlike two frames look to a classifier, weighted as people judged."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from kinochrome import weights
from kinochrome.errors import VideoError
from kinochrome.nets.alexnet import AlexNet
from kinochrome.nets.imagenet import normalized, outputs_at
from kinochrome.nets.squeezenet import SqueezeNet
from kinochrome.nets.vgg import Vgg

from .metric import Metric
from .picture import Picture
from .score import Pair

SMALLEST = 32
"""Pixels a side below which the networks' layers have nothing left to see."""


@dataclass(frozen=True)
class Trunk:
    """The classifier that looks, and the layers whose answers are compared."""

    weights: str
    build: Callable[[], AlexNet | SqueezeNet | Vgg]
    layers: tuple[int, ...]
    channels: tuple[int, ...]


TRUNKS = {
    "alex": Trunk("alexnet", AlexNet, (1, 4, 7, 9, 11), (64, 192, 384, 256, 256)),
    "squeeze": Trunk("squeezenet1_1", SqueezeNet, (1, 4, 7, 9, 10, 11, 12), (64, 128, 256, 384, 384, 512, 512)),
    "vgg": Trunk("vgg16", lambda: Vgg(16), (3, 8, 15, 22, 29), (64, 128, 256, 512, 512)),
}


class Shares(nn.Module):
    """How much each channel of each layer counts: public files call them lin0, lin1, …"""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        for number, count in enumerate(channels):
            # In training a dropout stood before each; it left its place in the names.
            layer = nn.Sequential(nn.Identity(), nn.Conv2d(count, 1, 1, bias=False))
            self.add_module(f"lin{number}", nn.ModuleDict({"model": layer}))

    def of_layers(self) -> list[torch.Tensor]:
        """(1, channels, 1, 1) a layer."""
        return list(self.parameters())


class Judge:
    """A classifier's features, and how much each counts."""

    def __init__(self, features: nn.Sequential, layers: tuple[int, ...], shares: list[torch.Tensor]) -> None:
        self.features, self.layers, self.shares = features, layers, shares

    def look(self, rgb: np.ndarray) -> list[torch.Tensor]:
        """Features of a picture (h, w, 3) in R'G'B' 0..1, each pixel's brought to length 1."""
        if min(rgb.shape[:2]) < SMALLEST:
            raise VideoError(
                f"A frame of {rgb.shape[1]}x{rgb.shape[0]} is too small for LPIPS, which needs {SMALLEST} pixels a "
                "side: leave LPIPS out."
            )
        seen = torch.from_numpy(rgb).permute(2, 0, 1)[None].to(self.shares[0].device)
        with torch.inference_mode():
            outputs = outputs_at(self.features, normalized(seen), self.layers)
            return [output / (output.norm(dim=1, keepdim=True) + 1e-10) for output in outputs]

    def distance(self, first: list[torch.Tensor], second: list[torch.Tensor]) -> float:
        """Between the features of two pictures of one size."""
        with torch.inference_mode():
            layers = zip(first, second, self.shares, strict=True)
            return float(sum(((a - b).square() * share).sum(dim=1).mean() for a, b, share in layers))


@functools.lru_cache(maxsize=3)
def judge(name: str, device: str) -> Judge:
    """The judge with the public weights; an error where they are missing."""
    trunk = TRUNKS[name]
    shares = weights.load(lambda: Shares(trunk.channels), f"lpips_{name}", device)
    return Judge(weights.load(trunk.build, trunk.weights, device).features, trunk.layers, shares.of_layers())


class Lpips(Metric):
    """What they share: the true frame is looked at once for all results."""

    trunk: ClassVar[str]

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.judge = judge(self.trunk, device)

    def of(self, pair: Pair) -> float | None:
        return self.judge.distance(_look_at_truth(self.judge, pair.truth), self.judge.look(pair.result.rgb))


class LpipsAlex(Lpips):
    """With AlexNet, the usual choice: frames scaled to -1..1 as its authors ask."""

    trunk = "alex"
    needs = frozenset({"weights:alexnet", "weights:lpips_alex"})


class LpipsSqueeze(Lpips):
    """With SqueezeNet, as Lai et al. 2018."""

    trunk = "squeeze"
    needs = frozenset({"weights:squeezenet1_1", "weights:lpips_squeeze"})


class LpipsVgg(Lpips):
    """With VGG-16."""

    trunk = "vgg"
    needs = frozenset({"weights:vgg16", "weights:lpips_vgg"})


class LpipsU8Raw(LpipsAlex):
    """What a known script prints: codes 0..255 handed over where -1..1 is expected."""

    def of(self, pair: Pair) -> float | None:
        first, second = (self.judge.look(as_if_scaled(picture.truncated)) for picture in (pair.truth, pair.result))
        return self.judge.distance(first, second)


def as_if_scaled(codes: np.ndarray) -> np.ndarray:
    """The R'G'B' "0..1" (float32) that codes are taken for by who expects -1..1: 0.5 to 128."""
    return (codes.astype(np.float32) + 1) / 2


@functools.lru_cache(maxsize=1)
def _look_at_truth(with_judge: Judge, truth: Picture) -> list[torch.Tensor]:
    return with_judge.look(truth.rgb)
