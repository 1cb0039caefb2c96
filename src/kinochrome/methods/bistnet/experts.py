"""The eyes of the small variant: features to match by, and a mixed expert block (MEB) of its own.

Both experts see lightness alone and are taught from colour film: *edges*, holistically nested (Xie and Tu 2015: every
level draws the edges that it sees, and their weighted sum is the answer), by where groups of alike pixels meet;
*segments* by which of a few kinds each group is, the kinds being clusters that were found without any labels.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from kinochrome import weights
from kinochrome.nets.deeplab import DeepLab
from kinochrome.nets.evidence import enlarged
from kinochrome.nets.hed import Hed
from kinochrome.nets.imagenet import normalized, outputs_at
from kinochrome.nets.pyramid import Pyramid
from kinochrome.nets.vgg import Vgg

LEVELS = ("relu2_2", "relu3_2", "relu4_2", "relu5_2")
"""VGG-19's features at strides 2, 4, 8 and 16, as Deep Exemplar takes them."""


@dataclass(frozen=True)
class Look:
    """What is seen in frames of lightness (B, 1, H, W), before any colour."""

    lightness: Tensor
    levels: tuple[Tensor, ...]
    """Features at strides 2, 4, 8 and 16."""
    segments: Tensor
    """(B, classes, h, w): how sure each place is to be of each kind, at any one stride."""
    edges: Tensor
    """(B, 1, h, w): where things end, 0..1, at any one stride."""

    def each(self, change: Callable[[Tensor], Tensor]) -> Look:
        """The same look with every tensor changed alike."""
        levels = tuple(change(level) for level in self.levels)
        return Look(change(self.lightness), levels, change(self.segments), change(self.edges))


class Eyes(Pyramid):
    """Lightness (B, 1, H, W) to a `Look`: segments at stride 4, edges at stride 2."""

    def __init__(self, levels: tuple[int, int, int, int], classes: int) -> None:
        super().__init__(levels)
        at2, at4, at8, _ = levels
        self.classify = nn.Conv2d(at4, classes, 3, padding=1)
        self.sides = nn.ModuleList(nn.Conv2d(width, 1, 3, padding=1) for width in (at2, at4, at8))
        self.weigh = nn.Conv2d(3, 1, 1, bias=False)
        nn.init.constant_(self.weigh.weight, 1 / 3)
        self.kinds: Tensor
        # The kinds that segments tell apart: lightness, a, b, height in the frame, each over its spread.
        self.register_buffer("kinds", torch.zeros(classes, 4))

    def forward(self, lightness: Tensor) -> Look:  # type: ignore[override]  # eyes see more than their levels
        return self.drawn(lightness)[0]

    def drawn(self, lightness: Tensor) -> tuple[Look, Tensor, Tensor]:
        """The look, the logits of its segments, and those of the edges (B, 4, h, w): three sides, then their sum."""
        x2, x4, x8, x16 = super().forward(lightness)
        segments = self.classify(x4)
        drawn = [side(x) for side, x in zip(self.sides, (x2, x4, x8), strict=True)]
        sides = torch.cat([drawn[0], enlarged(drawn[1], 2), enlarged(drawn[2], 4)], 1)
        edges = torch.cat([sides, self.weigh(sides)], 1)
        look = Look(lightness, (x2, x4, x8, x16), segments.softmax(1), edges[:, 3:].sigmoid())
        return look, segments, edges


def frames_of(look: Look, count: int) -> list[Look]:
    """The looks of `count` frames, of one of (count * B) frames."""
    parts = look.each(lambda tensor: tensor.unflatten(0, (count, -1)))
    return [parts.each(operator.itemgetter(index)) for index in range(count)]


class PublicEyes:
    """Lightness (B, 1, H, W) to a `Look` by public networks, which stay as they are.

    Features of VGG-19 and edges of HED, as the paper has them; segments of DeepLab, since the paper's own segmentation
    network has no public file with a stated licence and checksum.
    """

    weights: ClassVar[tuple[str, ...]] = ("vgg19", "hed", "deeplabv3_resnet50")
    """Their names in the catalogue."""

    def __init__(self, device: str) -> None:
        vgg = weights.load(lambda: Vgg(19), "vgg19", device)
        # The classifier, nine tenths of the file, is not kept.
        self._features, self._places = vgg.features, {vgg.names.index(layer) for layer in LEVELS}
        self._edges = weights.load(Hed, "hed", device)
        self._segments = weights.load(DeepLab, "deeplabv3_resnet50", device)

    @torch.no_grad()
    def __call__(self, lightness: Tensor) -> Look:
        grey = (lightness / 100).expand(-1, 3, -1, -1)
        levels = outputs_at(self._features, normalized(grey), self._places)
        return Look(lightness, tuple(levels), self._segments(grey), self._edges(grey))
