"""How unlike two pictures look to a network: its features compared place by place, by content, or by style.

Features are lists of tensors (B, C, h, w), a layer each; `shares` says how much each layer counts, all 1 by default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch.nn import functional

from kinochrome import color, weights
from kinochrome.nets.imagenet import normalized, outputs_at
from kinochrome.nets.vgg import Vgg

Layers = Sequence[torch.Tensor]


class Features:
    """What a network says of pictures part-way, by any callable from R'G'B' 0..1 (B, 3, H, W) to a list of tensors."""

    def __init__(self, name: str, look: Callable[[torch.Tensor], list[torch.Tensor]]) -> None:
        self.name = name
        """Which network and layers: belongs into the header of what is trained with it."""
        self._look = look

    def __call__(self, lightness: torch.Tensor, ab: torch.Tensor) -> list[torch.Tensor]:
        """Features of pictures given in CIELAB, (B, 1, H, W) and (B, 2, H, W)."""
        return self._look(color.rgb_from_lab(torch.cat([lightness, ab], dim=1)))


def vgg_features(depth: Literal[16, 19] = 19, layers: Sequence[str] = ("relu5_2",), device: str = "cpu") -> Features:
    """Features of a public VGG, named as the papers name them; an error says how to get weights that are missing."""
    network = weights.load(lambda: Vgg(depth), f"vgg{depth}", device)
    places, convolutions = {network.names.index(layer) for layer in layers}, network.features
    # The classifier, nine tenths of the file, is not kept.
    return Features(f"vgg{depth} {','.join(layers)}", lambda rgb: outputs_at(convolutions, normalized(rgb), places))


def perceptual(
    ours: Layers,
    truth: Layers,
    shares: Sequence[float] | None = None,
    distance: Literal["squared", "absolute"] = "squared",
) -> torch.Tensor:
    """The mean difference of features: squared as Zhang et al. 2019 at relu5_2, absolute as VCGAN at conv4_3."""
    differs = functional.mse_loss if distance == "squared" else functional.l1_loss
    return _summed([differs(first, second) for first, second in zip(ours, truth, strict=True)], shares)


def style(ours: Layers, truth: Layers, shares: Sequence[float] | None = None) -> torch.Tensor:
    """The mean absolute difference of Gram matrices (Gatys et al. 2016, with the survey's L1)."""
    pairs = zip(ours, truth, strict=True)
    return _summed([(gram(first) - gram(second)).abs().mean() for first, second in pairs], shares)


def gram(features: torch.Tensor) -> torch.Tensor:
    """(B, C, C): how channels go together, whatever the place; divided by C H W."""
    flat = features.flatten(2)
    return flat @ flat.mT / (flat.shape[1] * flat.shape[2])


def contextual(
    ours: Layers, reference: Layers, shares: Sequence[float] | None = None, width: float = 0.1
) -> torch.Tensor:
    """How badly the places of `ours` find themselves anywhere in the reference (Mechrez et al. 2018).

    Both may differ in size. Every place meets every other: for layers of some thousand places at most. The direction,
    each of ours towards the reference, and h = 0.1 are those of Zhang et al. 2019, who let relu5, 4, 3 count 8, 4, 2.
    """
    losses = []
    for first, second in zip(ours, reference, strict=True):
        alike = contextual_similarity(first, second, width)
        losses.append(-alike.amax(dim=2).mean(dim=1).log().mean())
    return _summed(losses, shares)


def contextual_similarity(ours: torch.Tensor, reference: torch.Tensor, width: float) -> torch.Tensor:
    """(B, places of ours, places of the reference): how much each prefers each, sum 1 for each of ours."""
    # Never in half precision: next to 1, its cosines are all alike.
    with torch.autocast(ours.device.type, enabled=False):
        ours, reference = (one.float() if one.element_size() < 4 else one for one in (ours, reference))
        centre = reference.mean(dim=(2, 3), keepdim=True)
        first, second = (functional.normalize((layer - centre).flatten(2), dim=1) for layer in (ours, reference))
        distance = 1 - first.mT @ second
        # 1e-5: where one place fits perfectly, its distance cannot be the measure of the others.
        relative = distance / (distance.amin(dim=2, keepdim=True) + 1e-5)
        return ((1 - relative) / width).softmax(dim=2)


def _summed(losses: Sequence[torch.Tensor], shares: Sequence[float] | None) -> torch.Tensor:
    return torch.stack([loss * share for loss, share in zip(losses, shares or [1.0] * len(losses), strict=True)]).sum()
