"""RAFT (Teed and Deng 2020): motion by comparing all pairs of pixels and refining again and again.

Tensors are named as in torchvision's `raft_small` and `raft_large`, whose public weights load strictly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

LEVELS = 4
"""Of the correlation pyramid, each half the size of the one before."""

SMALLEST = 128
"""Pixels a side below which the pyramid's last level would be a single pixel."""


@dataclass(frozen=True)
class Sizes:
    """The numbers in which the small and the large network differ."""

    bottleneck: bool
    encoder: tuple[int, int, int, int]
    features: int
    hidden: int
    context: int
    radius: int
    """Of the square of correlations looked up around a match, in pixels of its level."""
    correlation: tuple[int, ...]
    flow: tuple[int, int]
    motion: int
    head: int
    kernels: tuple[tuple[int, int], ...]
    """Of the recurrent units, one after the other."""


SIZES = {
    "small": Sizes(True, (32, 32, 64, 96), 128, 96, 64, 3, (96,), (64, 32), 82, 128, ((3, 3),)),
    "large": Sizes(False, (64, 64, 96, 128), 256, 128, 128, 4, (256, 192), (128, 64), 128, 256, ((1, 5), (5, 1))),
}


class Raft(nn.Module):
    """The motion between pictures. Memory grows with the square of their area: 0.3 GB at 854x480, 6 GB at 1920x1080."""

    def __init__(self, size: Literal["small", "large"]) -> None:
        super().__init__()
        sizes = SIZES[size]
        self.hidden, self.radius = sizes.hidden, sizes.radius
        self.feature_encoder = Encoder(sizes, sizes.features, nn.InstanceNorm2d)
        normalisation = None if sizes.bottleneck else nn.BatchNorm2d
        self.context_encoder = Encoder(sizes, sizes.hidden + sizes.context, normalisation)
        self.update_block = UpdateBlock(sizes)
        self.mask_predictor = None if sizes.bottleneck else MaskPredictor(sizes.hidden)

    def flow(
        self, first: torch.Tensor, second: torch.Tensor, iterations: int = 12, start: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Where in `second` the pixels of `first` lie: (n, 2, h, w), in pixels (x, y) from where they are.

        Pictures are (n, 3, h, w) in R'G'B' 0..1, of any size; `start` is a flow to begin from, else from rest.
        """
        height, width = first.shape[-2:]
        tall, wide = (max(SMALLEST, -(-side // 8) * 8) for side in (height, width))
        top, left = (tall - height) // 2, (wide - width) // 2
        border = (left, wide - width - left, top, tall - height - top)
        padded = [functional.pad(rgb * 2 - 1, border, mode="replicate") for rgb in (first, second)]
        start = None if start is None else functional.pad(start, border, mode="replicate")
        return self(*padded, iterations, start)[..., top : top + height, left : left + width]

    def forward(
        self, first: torch.Tensor, second: torch.Tensor, iterations: int, start: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The same of pictures -1..1 whose sides are multiples of 8."""
        features = self.feature_encoder(torch.cat([first, second]))
        pyramid = correlations(*features.chunk(2))
        hidden, context = self.context_encoder(first).tensor_split([self.hidden], dim=1)
        hidden, context = hidden.tanh(), context.relu()
        places = pixel_places(features.shape[-2], features.shape[-1], first.device)
        flow = torch.zeros_like(features[: len(first), :2]) if start is None else functional.avg_pool2d(start, 8) / 8
        for _ in range(iterations):
            # As in the paper, no gradient flows back through where an iteration began to look.
            flow = flow.detach()
            seen = look_up(pyramid, places + flow, self.radius)
            hidden, step = self.update_block(hidden, context, seen, flow)
            flow = flow + step
        if self.mask_predictor is None:
            return 8 * functional.interpolate(flow, scale_factor=8, mode="bilinear", align_corners=True)
        return upsampled(flow, self.mask_predictor(hidden))


def pixel_places(height: int, width: int, device: torch.device) -> torch.Tensor:
    """x and y of every pixel: (1, 2, h, w)."""
    axes = (torch.arange(side, dtype=torch.float32, device=device) for side in (height, width))
    y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, y])[None]


def correlations(first: torch.Tensor, second: torch.Tensor) -> list[torch.Tensor]:
    """How alike each pixel of `first` is to all of `second`, at four sizes of that: each (n * h * w, 1, h', w')."""
    channels, height, width = first.shape[1:]
    alike = torch.einsum("ncp,ncq->npq", first.flatten(2), second.flatten(2)) / channels**0.5
    pyramid = [alike.reshape(-1, 1, height, width)]
    for _ in range(LEVELS - 1):
        pyramid.append(functional.avg_pool2d(pyramid[-1], 2))
    return pyramid


def look_up(pyramid: list[torch.Tensor], places: torch.Tensor, radius: int) -> torch.Tensor:
    """The pyramid around each pixel's place (n, 2, h, w) in the second picture: (n, 4 * (2 * radius + 1)^2, h, w)."""
    count, _, height, width = places.shape
    steps = torch.arange(-radius, radius + 1, dtype=torch.float32, device=places.device)
    # Row by row x grows, within a row y: the order in which the public weights were trained.
    around = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)
    centres = places.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    found = []
    for level, values in enumerate(pyramid):
        last = values.new_tensor([values.shape[-1] - 1, values.shape[-2] - 1])
        where = (centres / 2**level + around) * 2 / last - 1
        found.append(functional.grid_sample(values, where, align_corners=True).view(count, height, width, -1))
    return torch.cat(found, dim=-1).permute(0, 3, 1, 2)


def upsampled(flow: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Flow (n, 2, h, w) at eight times the size, each pixel a weighted mean of the nine coarse ones around it."""
    count, _, height, width = flow.shape
    shares = weights.view(count, 1, 9, 8, 8, height, width).softmax(dim=2)
    nine = functional.unfold(8 * flow, 3, padding=1).view(count, 2, 9, 1, 1, height, width)
    fine = (shares * nine).sum(dim=2)
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(count, 2, 8 * height, 8 * width)


Normalisation = type[nn.InstanceNorm2d] | type[nn.BatchNorm2d] | None


def _unit(
    inputs: int, outputs: int, kernel: int, stride: int = 1, normalisation: Normalisation = None
) -> nn.Sequential:
    """Convolution, normalisation if any, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
    between = [normalisation(outputs)] if normalisation else []
    return nn.Sequential(convolution, *between, nn.ReLU())


class Block(nn.Module):
    """Two convolutions, or three with fewer channels in the middle, added to what came in."""

    def __init__(self, inputs: int, outputs: int, stride: int, bottleneck: bool, normalisation: Normalisation) -> None:
        super().__init__()
        if bottleneck:
            narrow = outputs // 4
            self.convnormrelu1 = _unit(inputs, narrow, 1, normalisation=normalisation)
            self.convnormrelu2 = _unit(narrow, narrow, 3, stride, normalisation)
            self.convnormrelu3 = _unit(narrow, outputs, 1, normalisation=normalisation)
        else:
            self.convnormrelu1 = _unit(inputs, outputs, 3, stride, normalisation)
            self.convnormrelu2 = _unit(outputs, outputs, 3, normalisation=normalisation)
            self.convnormrelu3 = nn.Sequential()
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            self.downsample = _unit(inputs, outputs, 1, stride, normalisation)[:-1]  # without the ReLU

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        change = self.convnormrelu3(self.convnormrelu2(self.convnormrelu1(seen)))
        return (self.downsample(seen) + change).relu()


class Encoder(nn.Module):
    """Pictures to features at an eighth of the size."""

    def __init__(self, sizes: Sizes, outputs: int, normalisation: Normalisation) -> None:
        super().__init__()
        stem, *widths = sizes.encoder
        self.convnormrelu = _unit(3, stem, 7, 2, normalisation)
        inputs = stem
        layers: list[nn.Module] = []
        for width in widths:
            first = Block(inputs, width, 2 if layers else 1, sizes.bottleneck, normalisation)
            layers.append(nn.Sequential(first, Block(width, width, 1, sizes.bottleneck, normalisation)))
            inputs = width
        self.layer1, self.layer2, self.layer3 = layers
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        seen = self.convnormrelu(seen)
        return self.conv(self.layer3(self.layer2(self.layer1(seen))))


class MotionEncoder(nn.Module):
    """The flow and the correlations found there, as features; the flow itself comes last among them."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        found = LEVELS * (2 * sizes.radius + 1) ** 2
        wide, *narrow = sizes.correlation
        self.convcorr1 = _unit(found, wide, 1)
        self.convcorr2 = _unit(wide, narrow[0], 3) if narrow else nn.Identity()
        self.convflow1 = _unit(2, sizes.flow[0], 7)
        self.convflow2 = _unit(sizes.flow[0], sizes.flow[1], 3)
        self.conv = _unit(sizes.correlation[-1] + sizes.flow[1], sizes.motion - 2, 3)

    def forward(self, flow: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        both = torch.cat([self.convcorr2(self.convcorr1(seen)), self.convflow2(self.convflow1(flow))], dim=1)
        return torch.cat([self.conv(both), flow], dim=1)


class GatedUnit(nn.Module):
    """A gated recurrent unit of convolutions."""

    def __init__(self, hidden: int, inputs: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.convz = nn.Conv2d(hidden + inputs, hidden, kernel, padding=padding)
        self.convr = nn.Conv2d(hidden + inputs, hidden, kernel, padding=padding)
        self.convq = nn.Conv2d(hidden + inputs, hidden, kernel, padding=padding)

    def forward(self, hidden: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        both = torch.cat([hidden, inputs], dim=1)
        update, reset = self.convz(both).sigmoid(), self.convr(both).sigmoid()
        candidate = self.convq(torch.cat([reset * hidden, inputs], dim=1)).tanh()
        return (1 - update) * hidden + update * candidate


class FlowHead(nn.Module):
    """The step that the flow takes."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.conv2(self.conv1(hidden).relu())


class UpdateBlock(nn.Module):
    """One refinement: the next hidden state and the step that the flow takes."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.motion_encoder = MotionEncoder(sizes)
        inputs = sizes.motion + sizes.context
        units = {f"convgru{n}": GatedUnit(sizes.hidden, inputs, kernel) for n, kernel in enumerate(sizes.kernels, 1)}
        self.recurrent_block = nn.ModuleDict(units)
        self.flow_head = FlowHead(sizes.hidden, sizes.head)

    def forward(
        self, hidden: torch.Tensor, context: torch.Tensor, seen: torch.Tensor, flow: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = torch.cat([context, self.motion_encoder(flow, seen)], dim=1)
        for unit in self.recurrent_block.values():
            hidden = unit(hidden, inputs)
        return hidden, self.flow_head(hidden)


class MaskPredictor(nn.Module):
    """Weights (n, 9 * 64, h, w) of the coarse pixels around each fine one, before their softmax."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.convrelu = _unit(inputs, 256, 3)
        self.conv = nn.Conv2d(256, 9 * 64, 1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        # A quarter, as in training, where it keeps the gradients of this branch small.
        return 0.25 * self.conv(self.convrelu(hidden))
