"""The network of VCGAN (Zhao and others 2022): one generator that colours photographs and films, nobody telling it.

In the paper's words: the *mainstream* is a U-Net; at its bottom two feature extractors are joined to it. The *global
feature extractor* sees the grey frame; the *placeholder feature extractor* sees what was made of the frame before, or
the grey frame once more where there is none (Eq. 3 and 4). *Non-local blocks* stand after the first stages of the
decoder. Sizes are working sizes, multiples of `Shape.stride`.

The paper does not say where its decoder takes in what the encoder saw. The authors' program has a sixth halving below
the extractors, and a decoder that enlarges what the encoder saw together with what it drew itself; counted so, the
network costs what the paper's Table II says. So does the variant `paper` here; `small` is plainer.

The paper's network takes and gives R'G'B'. This one sees lightness and says ab, as every method here does.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinochrome import color
from kinochrome.nets.block import each_by_itself
from kinochrome.nets.evidence import agreement, enlarged
from kinochrome.nets.warp import warp
from kinochrome.sweeps import padded
from kinochrome.types import Count, Range

LEAST = 64
"""No side is smaller: normalisation needs more than one place where the extractors are joined …"""
BEFORE_HALVING = 4
"""… and below them: so many places a side, at least, are halved once more."""
COLOUR = 128.0
"""Scale of ab inside the network."""
CHOICE = 2
"""The level of the decoder, a quarter of the size, where a class of colour is chosen for each place."""
TEMPERATURE = 0.38
"""Between the most likely class (towards 0) and the mean of all (1): that of Zhang and others 2016."""
AT_ONCE = 1024
"""The most places that a non-local block asks, and lets ask at once: its memory is bounded whatever the size."""
KINDS = 6
"""Kinds of things that a taste tells apart …"""
PARTED = 4.0
"""… how sharply, …"""
SMOOTHED = 5
"""… and over how wide a square of places, so that no speck is a thing."""
WAVES = 12
"""How finely it tells colours apart."""
TASTE = 1.4
"""How strong it is: so much is added to the scores of what is liked."""
SLOPE = 0.2
"""Of LeakyReLU below 0, as the authors' code has it."""


@dataclass(frozen=True)
class Shape:
    """How the network is built; it travels in the weights' header. The defaults are those of the small variant."""

    variant: Literal["small", "paper"] = "small"
    """Whose network this is: that of `paper` halves once more below the extractors, as the authors' code does."""
    head: Literal["regression", "classes"] = "classes"
    """How colours are said: `regression` draws ab within a tanh, as the paper; `classes` chooses among quantised ab."""
    classes: Count = 261
    """Bins of ab that are chosen among: 261 of side 10 hold all of sRGB."""
    feedback: Literal["grey", "colour"] = "colour"
    """What the next frame is told of this one: its grey, as Eq. 4 says, or its colours, as the authors' code does."""
    global_extractor: bool = True
    """There is a global feature extractor."""
    placeholder_extractor: bool = True
    """There is a placeholder feature extractor; without, no frame hears of another."""
    drawing: tuple[Annotated[int, Range(2)], ...] = (16, 24, 48, 96, 192)
    """Channels of the mainstream, from the full size down by halves."""
    finest: Annotated[int, Range(0, CHOICE)] = 1
    """How many halvings below the full size the answer is drawn, 0 to 2; from there it is enlarged."""
    kernel: Literal[1, 3, 5, 7] = 3
    """Side of the first convolutions, which see the full size, and of the last."""
    stem: Count = 16
    """Channels of an extractor before its stages."""
    stages: tuple[Count, ...] = (16, 32, 64)
    """Channels inside the bottlenecks of each stage of an extractor, a quarter of what a stage puts out."""
    blocks: tuple[Count, ...] = (2, 3, 4)
    """Bottlenecks of each stage."""
    features: Count = 128
    """Channels that an extractor gives to the mainstream."""
    attending: Annotated[int, Range(0)] = 2
    """Stages of the decoder, from its bottom up, that end in a non-local block."""

    @property
    def stride(self) -> int:
        """Pixels of a place where the extractors are joined."""
        return 1 << len(self.drawing) - 1


@dataclass(frozen=True)
class Answer:
    """What the generator says of frames."""

    ab: Tensor
    """(B, 2, H, W)"""
    scores: Tensor | None
    """(B, Q, H / 4, W / 4): of each class before the softmax; None from a head that draws."""


@dataclass(frozen=True)
class Taste:
    """What a person likes: other colours for each of a few kinds of things.

    Things are told apart by what the network sees in them, so that a wall is of one colour and ends at its edge.
    """

    kinds: Tensor
    """(K, C): by which features a place belongs to a kind"""
    likes: Tensor
    """(Q, K): of each class of colour"""

    def of(self, seen: Tensor) -> Tensor:
        """(B, Q, h, w) of features (B, C, h, w)"""
        smooth = F.avg_pool2d(F.instance_norm(seen), SMOOTHED, 1, SMOOTHED // 2, count_include_pad=False)
        kinds = torch.einsum("kc,bcyx->bkyx", self.kinds.to(seen), smooth).softmax(1)
        return torch.einsum("qk,bkyx->bqyx", self.likes.to(seen), kinds)


def tasted(bins: Tensor, channels: int, seed: int) -> Taste:
    """The taste of the person of this number; colours near each other (waves over the plane of ab) are liked alike."""
    chance = torch.Generator().manual_seed(seed)
    kinds = torch.randn(KINDS, channels, generator=chance) * PARTED / math.sqrt(channels)
    waves = torch.randn(WAVES, 2, generator=chance) / 40
    phases = torch.rand(WAVES, generator=chance) * 2 * math.pi
    strengths = torch.randn(WAVES, KINDS, generator=chance) * TASTE * math.sqrt(2 / WAVES)
    return Taste(kinds, torch.cos(bins.cpu() @ waves.T + phases) @ strengths)


class Convolution(nn.Sequential):
    """A convolution, normalised in each picture by itself, then LeakyReLU."""

    def __init__(self, inputs: int, outputs: int, side: int, stride: int = 1) -> None:
        # Sides 3 and 7 keep the size at stride 1; side 4 halves it at stride 2.
        turned = nn.Conv2d(inputs, outputs, side, stride, (side - 1) // 2, bias=False)
        super().__init__(turned, each_by_itself(outputs), nn.LeakyReLU(SLOPE))


class Bottleneck(nn.Module):
    """ResNet's (He and others 2016), with the paper's norm and bend; tensors as in `nets.resnet`, but for the norms."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1, self.norm1 = nn.Conv2d(inputs, width, 1, bias=False), each_by_itself(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.norm2 = each_by_itself(width)
        self.conv3, self.norm3 = nn.Conv2d(width, outputs, 1, bias=False), each_by_itself(outputs)
        self.downsample: nn.Module = nn.Identity()
        if inputs != outputs or stride > 1:
            turned = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(turned, each_by_itself(outputs))

    def forward(self, seen: Tensor) -> Tensor:
        change = F.leaky_relu(self.norm1(self.conv1(seen)), SLOPE)
        change = F.leaky_relu(self.norm2(self.conv2(change)), SLOPE)
        return F.leaky_relu(self.downsample(seen) + self.norm3(self.conv3(change)), SLOPE)


class Extractor(nn.Module):
    """Lab (B, 3, H, W) to features at the bottom's size: fully convolutional, strides instead of pooling."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, shape.stem, shape.kernel, padding=shape.kernel // 2)
        self.down = nn.Sequential(*(Convolution(shape.stem, shape.stem, 4, 2) for _ in range(2)))
        stages, inputs = [], shape.stem
        for stage, (width, count) in enumerate(zip(shape.stages, shape.blocks, strict=True)):
            first = Bottleneck(inputs, width, 2 if stage else 1)
            stages.append(nn.Sequential(first, *(Bottleneck(4 * width, width, 1) for _ in range(count - 1))))
            inputs = 4 * width
        self.stages = nn.Sequential(*stages)
        self.leave = Convolution(inputs, shape.features, 3)

    def forward(self, lab: Tensor) -> Tensor:
        seen = torch.cat([lab[:, :1] / 50 - 1, lab[:, 1:] / COLOUR], 1)
        return self.leave(self.stages(self.down(F.leaky_relu(self.enter(seen), SLOPE))))


class NonLocal(nn.Module):
    """Every place asks all others (SAGAN, Zhang and others 2018); it begins as nothing.

    In large frames what is asked is a coarser grid.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key = (nn.Conv2d(width, max(4, width // 8), 1) for _ in range(2))
        self.value, self.leave = nn.Conv2d(width, width // 2, 1), nn.Conv2d(width // 2, width, 1)
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        asked = coarsened(x)
        query, key, value = (_rows(part) for part in (self.query(x), self.key(asked), self.value(asked)))
        # SAGAN's products are not divided by the root of their length.
        found = [F.scaled_dot_product_attention(part, key, value, scale=1.0) for part in query.split(AT_ONCE, 1)]
        return x + self.gain * self.leave(torch.cat(found, 1).mT.unflatten(2, x.shape[-2:]))


def coarsened(x: Tensor) -> Tensor:
    """Means of squares, as small as leave no more than `AT_ONCE` places."""
    height, width = x.shape[-2:]
    side = max(1, math.isqrt(height * width // AT_ONCE))
    while -(-height // side) * -(-width // side) > AT_ONCE:
        side += 1
    return F.avg_pool2d(x, side, ceil_mode=True) if side > 1 else x


class Network(nn.Module):
    """The generator; the same weights for photographs and films."""

    bins: Tensor

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or Shape()
        widths = shape.drawing
        self.enter = nn.Conv2d(1, widths[0], shape.kernel, padding=shape.kernel // 2)
        self.down = nn.ModuleList(Convolution(wide, narrow, 4, 2) for wide, narrow in itertools.pairwise(widths))
        self.extractors = nn.ModuleDict(
            {
                name: Extractor(shape)
                for name, there in (("global", shape.global_extractor), ("placeholder", shape.placeholder_extractor))
                if there
            }
        )
        joined = widths[-1] + shape.features * len(self.extractors)
        outputs = tuple(reversed(widths[shape.finest :]))
        self.fuse = Convolution(joined, widths[-1], 4, 2) if self.deeper else Convolution(joined, widths[-1], 3)
        self.up = nn.ModuleList(Convolution(wide, narrow, 3) for wide, narrow in self._stages(outputs))
        self.attend = nn.ModuleList(NonLocal(width) for width in outputs[: shape.attending])
        if shape.head == "classes":
            self.choose = nn.Conv2d(widths[CHOICE], shape.classes, 1)
            self.register_buffer("bins", torch.zeros(shape.classes, 2))
        shown, said = outputs[-1] * (1 + self.deeper), 9 if shape.head == "classes" else 2
        self.leave = nn.Conv2d(shown, said, shape.kernel, padding=shape.kernel // 2)
        self.temperature = TEMPERATURE
        _begin(self)

    def _stages(self, outputs: tuple[int, ...]) -> list[tuple[int, int]]:
        """Channels that each stage of the decoder takes and gives; `outputs`: at each size, from the bottom up."""
        if self.deeper:
            return list(zip((outputs[0], *(2 * below for below in outputs[:-1])), outputs, strict=True))
        return [(below + here, here) for below, here in itertools.pairwise(outputs)]

    @property
    def deeper(self) -> bool:
        """Whether its mainstream is that of the authors' program; see the module."""
        return self.shape.variant == "paper"

    @property
    def recurrent(self) -> bool:
        """Whether it can be told of the frame before."""
        return "placeholder" in self.extractors

    def forward(self, light: Tensor, placeholder: Tensor, taste: Taste | None = None) -> Answer:
        """Eq. 3: frames (B, 1, H, W), and the Lab (B, 3, H, W) that the placeholder feature extractor sees.

        `taste` is whose likes are added to the scores of classes.
        """
        passed = [F.leaky_relu(self.enter(light / 50 - 1), SLOPE)]
        for stage in self.down:
            passed.append(stage(passed[-1]))
        told = {"global": still(light), "placeholder": placeholder}
        joined = torch.cat([passed[-1], *(look(told[name]) for name, look in self.extractors.items())], 1)
        drawn, x = (self._drawn_below if self.deeper else self._drawn)(joined, passed)
        if self.shape.head == "regression":
            return Answer(COLOUR * enlarged(torch.tanh(self.leave(x)), 1 << self.shape.finest), None)
        return self._chosen(drawn[len(passed) - 1 - CHOICE], x, taste)

    def feed(self, light: Tensor, before: Tensor, motion: Tensor) -> Tensor:
        """Eq. 4: what the placeholder feature extractor sees of the frame before, Lab (B, 3, H, W) as it was answered.

        `motion` leads from this frame to that one.
        """
        if self.shape.feedback == "grey":
            return warp(grey_of(before), motion)
        moved = warp(before, motion)
        # Not in the paper: what comes into view has no colour yet, as nothing has in a first frame.
        return torch.cat([moved[:, :1], moved[:, 1:] * agreement(light, moved[:, :1], motion).explained], 1)

    def _drawn(self, joined: Tensor, passed: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """What the decoder draws at each size, from the bottom up, and what the last convolution sees."""
        drawn = [self._attended(0, self.fuse(joined))]
        for stage, skipped in zip(self.up, reversed(passed[self.shape.finest : -1]), strict=True):
            drawn.append(self._attended(len(drawn), stage(torch.cat([enlarged(drawn[-1], 2), skipped], 1))))
        return drawn, drawn[-1]

    def _drawn_below(self, joined: Tensor, passed: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """The same with the sixth halving: each stage enlarges what was drawn and what the encoder saw, together.

        What cannot be halved is padded, and what that adds is cut off again.
        """
        x = self.fuse(padded(joined, 2, BEFORE_HALVING))
        drawn: list[Tensor] = []
        for stage, skipped in zip(self.up, reversed(passed[self.shape.finest :]), strict=True):
            large = enlarged(x, 2)[..., : skipped.shape[-2], : skipped.shape[-1]]
            drawn.append(self._attended(len(drawn), stage(large)))
            x = torch.cat([drawn[-1], skipped], 1)
        return drawn, x

    def _attended(self, number: int, x: Tensor) -> Tensor:
        return self.attend[number](x) if number < len(self.attend) else x

    def _chosen(self, coarse: Tensor, fine: Tensor, taste: Taste | None) -> Answer:
        """The annealed mean of the classes, spread from a quarter of the size to where the finer picture wants it.

        Each pixel takes shares of the nine places around it (as RAFT enlarges its flow), so that what was chosen is
        sharpened, and not mixed with a second opinion.
        """
        scores = self.choose(coarse)
        if taste is not None:
            scores = scores + taste.of(coarse)
        likely = (scores.movedim(1, 3) / self.temperature).softmax(3)
        ab = (likely @ self.bins.to(likely)).movedim(3, 1).contiguous()
        shares = self.leave(fine).softmax(1)
        around = F.pad(ab, (1, 1, 1, 1), mode="replicate")
        height, width = ab.shape[-2:]
        nine = [around[..., y : y + height, x : x + width] for y in range(3) for x in range(3)]
        factor = fine.shape[-1] // width
        spread = sum(
            F.interpolate(one, scale_factor=factor, mode="nearest") * shares[:, n : n + 1] for n, one in enumerate(nine)
        )
        return Answer(enlarged(spread, 1 << self.shape.finest), scores)


def still(light: Tensor) -> Tensor:
    """Lab (B, 3, H, W) of a frame that stands for itself where none is before it: the grey copy of Eq. 3."""
    return F.pad(light, (0, 0, 0, 0, 0, 2))


def grey_of(lab: Tensor) -> Tensor:
    """Lab of a coloured picture's grey: the linear transformation of R'G'B' that Eq. 4 calls for, as JPEG has it."""
    shares = torch.from_numpy(color.luma_weights("smpte170m")).to(lab)
    grey = (color.rgb_from_lab(lab) * shares[:, None, None]).sum(1, keepdim=True)
    return still(color.lab_from_rgb(grey.expand(-1, 3, -1, -1))[:, :1])


def _begin(network: Network) -> None:
    """Xavier's numbers (Glorot and Bengio 2010), as in the paper; what is drawn begins grey, what is chosen soft."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    nn.init.zeros_(network.leave.weight)


def _rows(x: Tensor) -> Tensor:
    """(B, n, c) of (B, c, h, w)"""
    return x.flatten(2).mT
