"""Whether a classifier still sees in the result what it sees in the true frame."""

from __future__ import annotations

import functools
from typing import ClassVar

import torch
from torch.nn import functional

from kinochrome import weights
from kinochrome.nets.vgg import Vgg

from .metric import Metric
from .picture import Picture
from .score import Pair

SIDE = 224
"""Frames are squeezed to a square of this size, as VCGAN's script does."""


class Top(Metric):
    """1 where the class that VGG-16 finds likeliest in the true frame is among the result's `within` likeliest, else 0.

    The clip's figure is the share of such frames. Films bear no labels; VCGAN's figures are of labelled photographs.
    """

    within: ClassVar[int]
    better = "higher"
    needs = frozenset({"weights:vgg16"})

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.classifier = classifier(device)

    def of(self, pair: Pair) -> float | None:
        true, found = (ranked(self.classifier, picture) for picture in (pair.truth, pair.result))
        return float(true[0] in found[: self.within])


class Top1(Top):
    """The likeliest class is the same."""

    within = 1


class Top5(Top):
    """It is among the five likeliest."""

    within = 5


@functools.lru_cache(maxsize=1)
def classifier(device: str) -> Vgg:
    """VGG-16 with the public weights; an error where they are missing."""
    return weights.load(lambda: Vgg(16), "vgg16", device)


@functools.lru_cache(maxsize=2)
def ranked(network: torch.nn.Module, picture: Picture) -> list[int]:
    """The numbers of the classes, likeliest first."""
    device = next(network.parameters()).device
    rgb = torch.from_numpy(picture.quantised).permute(2, 0, 1)[None].to(device)
    small = functional.interpolate(rgb, size=(SIDE, SIDE), mode="bilinear", antialias=True)
    with torch.inference_mode():
        return network(small)[0].argsort(descending=True, stable=True).tolist()
