"""The network of BiSTNet (Yang and others 2022): matched colours of two references, fused in both directions of time.

Four parts, in the paper's words: the *correspondence subnet* finds each place of a frame again in a reference by deep
features; the *bidirectional temporal fusion block* (BTFB) turns what two references say into one colour map; the *mixed
expert block* (MEB, see `experts`) tells where things and their edges are; the *multi-scale recurrent block* (MSRB)
colours the frame from all of that, from coarse to fine. Sizes are working sizes, multiples of `STRIDE`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinochrome.nets import matching
from kinochrome.nets.block import Residual, Width, each_by_itself
from kinochrome.nets.evidence import added, agreement, enlarged, halved, to_size
from kinochrome.nets.matching import Place, Places, Said
from kinochrome.nets.warp import warp
from kinochrome.types import Count, Range

from .experts import Eyes, Look

STRIDE = 16
LEAST = 64
"""No side is smaller: normalisation needs more than one place at the coarsest level."""
COLOUR = 128.0
"""Scale of ab inside the network, as in Deep Exemplar, whose matching and losses the paper inherits."""

Fusion = Literal["gates", "eq3-corrected", "eq3-printed", "average"]
Experts = Literal["both", "segments", "edges", "none"]


@dataclass(frozen=True)
class Shape:
    """How the network is built; it travels in the weights' header. The defaults are those of the small variant."""

    variant: Literal["small", "paper"] = "small"
    """Whose features, segments and edges: `small` learns its own, `paper` takes those of public networks."""
    fusion: Fusion = "gates"
    """How two references become one colour map: learned gates along the motion, Eq. 3 or a plain average."""
    experts: Experts = "both"
    """What of the mixed expert block the colours are drawn with."""
    scales: Annotated[int, Range(1, 5)] = 3
    """Levels of the multi-scale recurrent block: 3, or 1 to do without."""
    levels: tuple[Width, Width, Width, Width] = (16, 32, 64, 96)
    """Channels of the features at strides 2, 4, 8 and 16."""
    match: Count = 24
    """Channels that each of those levels gives to matching."""
    place: Place = 8
    """Matching compares places of so many pixels a side."""
    gate: Count = 16
    """Channels of the gates."""
    drawing: tuple[Count, ...] = (12, 24, 48)
    """Channels of each U-Net, from its own size down by halves."""
    classes: Count = 8
    """Kinds of things that segments tell apart."""
    correct: bool = True
    """The U-Nets correct the fused colours; without, they draw them anew, within the gamut by a tanh."""


@dataclass(frozen=True)
class Known:
    """A frame with colours."""

    lightness: Tensor
    """(B, 1, H, W)"""
    said: Said


@dataclass(frozen=True)
class Side:
    """What one reference says of a frame: by likeness, and by what was carried on from frame to frame."""

    matched: Said
    carried: Said


class Correspondence(nn.Module):
    """Features to vectors that can be compared, one a place: Eq. 1's F, centred and of length 1."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.place = shape.place
        self.branches = nn.ModuleList(_branch(inputs, shape.match) for inputs in shape.levels)
        width = 4 * shape.match
        self.joined = nn.Sequential(*(Residual(width) for _ in range(3 if shape.variant == "paper" else 1)))
        self.key = nn.Conv2d(width, width, 1)

    def forward(self, look: Look) -> Tensor:
        """(B, k, H / place, W / place)"""
        size = [side // self.place for side in look.lightness.shape[-2:]]
        parts = [to_size(branch(level), size) for branch, level in zip(self.branches, look.levels, strict=True)]
        return matching.unit(self.key(self.joined(torch.cat(parts, 1))))


class Gate(nn.Module):
    """How much of each of several colour maps is taken: shares (B, n, H, W) that sum to 1."""

    def __init__(self, inputs: int, width: int, maps: int) -> None:
        super().__init__()
        last = silent(nn.Conv2d(width, maps, 3, padding=1))
        self.think = nn.Sequential(
            *(nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), last),
        )

    def forward(self, evidence: Sequence[Tensor], first: Sequence[Tensor]) -> Tensor:
        """`first`: the maps' logits before anything is learned."""
        learned = enlarged(self.think(halved(torch.cat([*evidence], 1))), 2)
        return torch.softmax(torch.cat([*first], 1) + learned, 1)


class UNet(nn.Module):
    """An encoder and decoder with skips, `drawing` its channels from the full size down by halves."""

    def __init__(self, inputs: int, drawing: tuple[int, ...]) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, drawing[0], 3, padding=1)
        pairs = list(itertools.pairwise(drawing))
        self.down = nn.ModuleList(_stage(wide, narrow, 2) for wide, narrow in pairs)
        self.up = nn.ModuleList(_stage(narrow + wide, wide, 1) for wide, narrow in reversed(pairs))
        self.leave = silent(nn.Conv2d(drawing[0], 2, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2, H, W), in units of `COLOUR`."""
        passed = [F.relu(self.enter(x))]
        for stage in self.down:
            passed.append(stage(passed[-1]))
        x = passed.pop()
        for stage in self.up:
            skipped = passed.pop()
            x = stage(torch.cat([to_size(x, skipped.shape[-2:]), skipped], 1))
        return self.leave(x)


class Network(nn.Module):
    """All that is trained; what `paper` borrows from public networks comes with each `Look`."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or Shape()
        self.eyes: Eyes | None = None
        """The small variant's own."""
        if shape.variant == "small":
            self.eyes = Eyes(shape.levels, shape.classes)
        self.correspondence = Correspondence(shape)
        self.temperature = 0.01
        if shape.fusion == "gates":
            self.gate, self.meeting = Gate(15, shape.gate, 3), Gate(8, shape.gate, 2)
        seen = 1 + shape.classes * (shape.experts in ("both", "segments")) + (shape.experts in ("both", "edges"))
        # As the paper prints it the fused map alone; with gates all five maps and the surer match, as its code does.
        told = 12 if shape.fusion == "gates" else 2
        drawn = [UNet(seen + told + 2 * (level > 0), shape.drawing) for level in range(shape.scales)]
        self.draw = nn.ModuleList(drawn)
        """From the coarsest to the finest; all but the first see the colours of the one before."""

    # --- Correspondence ---

    def places(self, look: Look, said: Said) -> Places:
        """A reference, ready to be matched."""
        return matching.places(self.correspondence(look), said, self.shape.place)

    def match(self, keys: Tensor, reference: Places) -> Said:
        """What the reference says of a frame by likeness alone (Eq. 1 and 2), at full size."""
        return matching.match(keys, reference, self.shape.place, self.temperature)

    # --- Bidirectional temporal fusion ---

    def carry(self, look: Look, before: Known, step: Tensor, source: Known, way: Tensor, matched: Said) -> Said:
        """One step of a sweep: gates choose among what was said of the frame before, moved by `step`; the source's own
        colours, moved by `way`, which no repeated interpolation has blurred; and what matches."""
        if self.shape.fusion != "gates":
            return matched
        chain, direct = _moved(look, before, step, 0.99), _moved(look, source, way, 0.9)
        evidence = [*chain.evidence, *direct.evidence, matched.ab / COLOUR, matched.confidence]
        doubt = -2 + (0.5 * matched.confidence + 1e-4).log()
        shares = self.gate(evidence, [chain.first, direct.first, doubt])
        maps = (chain.said, direct.said, Said(matched.ab, 0.5 * matched.confidence))
        return _mixed(maps, shares)

    def fuse(self, forward: Side, backward: Side, time: Tensor) -> tuple[Said, Tensor]:
        """One colour map from both sides, and what the U-Nets are told of them (B, n, H, W).

        `time` (B): 0 at the forward reference, 1 at the backward one.
        """
        near, far = forward.matched, backward.matched
        time = time[:, None, None, None]
        if self.shape.fusion != "gates":
            # Eq. 3 as printed gives the far reference the greater weight, against its own text.
            weights = {"eq3-printed": time, "eq3-corrected": 1 - time, "average": 0 * time + 0.5}
            share = weights[self.shape.fusion].expand_as(near.confidence)
            fused = _mixed((near, far), torch.cat([share, 1 - share], 1))
            return fused, fused.ab / COLOUR
        ahead, back = forward.carried, backward.carried
        evidence = [ahead.ab / COLOUR, ahead.confidence, back.ab / COLOUR, back.confidence]
        evidence += [time.expand_as(ahead.confidence), (ahead.ab - back.ab).norm(dim=1, keepdim=True) / COLOUR]
        # The nearer and the surer, until something better is learned.
        first = [2 * (c * t + 1e-2).log() for c, t in ((ahead.confidence, 1 - time), (back.confidence, time))]
        fused = _mixed((ahead, back), self.meeting(evidence, first))
        surer = torch.where(near.confidence >= far.confidence, near.ab, far.ab)
        told = torch.cat([near.ab, far.ab, ahead.ab, back.ab, fused.ab, surer], 1) / COLOUR
        return fused, told

    # --- Colours ---

    def colour(self, look: Look, fused: Said, told: Tensor) -> list[Tensor]:
        """ab of frames, (B, 2, h, w) from the coarsest level to the full size."""
        size = look.lightness.shape[-2:]
        seen = [look.lightness / 50 - 1]
        if self.shape.experts in ("both", "segments"):
            seen.append(to_size(look.segments, size))
        if self.shape.experts in ("both", "edges"):
            seen.append(to_size(look.edges, size))
        pyramid = [(torch.cat([*seen, told], 1), fused.ab / COLOUR)]
        for _ in range(self.shape.scales - 1):
            pyramid.append((halved(pyramid[-1][0]), halved(pyramid[-1][1])))
        answers: list[Tensor] = []
        changed: Tensor | None = None
        for draw, (image, start) in zip(self.draw, reversed(pyramid), strict=True):
            drawn = draw(torch.cat([image, enlarged(answers[-1], 2)], 1) if answers else image)
            if self.shape.correct:
                # What the coarser level changed is changed here, too; what it could not hold of the fused map stays.
                changed = drawn if changed is None else drawn + enlarged(changed, 2)
                answers.append(start + changed)
            else:
                answers.append(torch.tanh(drawn))
        return [answer * COLOUR for answer in answers]


@dataclass(frozen=True)
class _Moved:
    """Colours moved here from another frame, and what speaks for them."""

    said: Said
    evidence: list[Tensor]
    first: Tensor
    """Their logit before anything is learned."""


def _moved(look: Look, known: Known, motion: Tensor, kept: float) -> _Moved:
    """`kept`: the confidence that the way leaves."""
    moved = warp(torch.cat([known.lightness, known.said.ab, known.said.confidence], 1), motion)
    agrees = agreement(look.lightness, moved[:, :1].detach(), motion)
    said = Said(moved[:, 1:3], kept * moved[:, 3:] * agrees.explained)
    seen = torch.cat([agrees.difference.abs(), agrees.around, agrees.beyond], 1).clamp(max=40)
    first = -0.5 * seen[:, 1:2] + (said.confidence + 1e-4).log()
    return _Moved(said, [said.ab / COLOUR, said.confidence, seen / 10], first)


def _mixed(maps: Sequence[Said], shares: Tensor) -> Said:
    """Colour maps by their shares (B, n, H, W)."""
    parts = [torch.cat([one.ab, one.confidence], 1) * shares[:, n : n + 1] for n, one in enumerate(maps)]
    whole = added(parts)
    return Said(whole[:, :2], whole[:, 2:])


def silent(layer: nn.Conv2d) -> nn.Conv2d:
    """A layer that says nothing yet: what is set by hand counts until something better is learned."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _branch(inputs: int, outputs: int) -> nn.Module:
    def convolution(entering: int) -> list[nn.Module]:
        turned = nn.Conv2d(entering, outputs, 3, padding=1, padding_mode="reflect")
        return [turned, each_by_itself(outputs), nn.PReLU()]

    return nn.Sequential(*convolution(inputs), *convolution(outputs))


def _stage(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(inputs, outputs, 3, stride, padding=1), each_by_itself(outputs), nn.ReLU()),
        *(nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()),
    )
