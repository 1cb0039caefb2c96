"""The network of `kino`: what it sees in a frame, what it remembers, and how it chooses among candidate colours.

A *candidate* is one way to colour a frame: the frame before, carried along the motion; a reference, or a like frame
of long ago, carried; what the other sweep says; a draft; scribbles spread; what the memory recalls of things that look
alike; and a guess from lightness alone. Each comes with a confidence and with evidence for or against it. The network
scores them and mixes them pixel by pixel. All sizes are working sizes, multiples of `STRIDE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinochrome.nets.block import Block, Width, product, to_few
from kinochrome.nets.evidence import added, agreement, enlarged, halved
from kinochrome.nets.matching import AT_ONCE, UNKNOWN, of_length_1, prior_of, values_of
from kinochrome.nets.warp import warp
from kinochrome.types import Count

STRIDE = 16
PLACE, QUARTER = 8, 4
"""Pixels a side of the places that the memory tells apart, and of their quarters."""
ALIKE = 4
"""Recalling, a place looks closer at so many of those that are most like it."""
GROUP = 8
"""Places whose likeness is compared at once, to pass over most of them."""
SURE = -2
"""Where a place's key tells how sure its value is."""
START = {
    "chain": 0.0,
    "direct": 0.0,
    "other": 0.0,
    "draft": -1.0,
    "scribble": 0.0,
    "recall": -3.0,
    "prior": -5.0,
    "view": 1.5,
}
"""What each kind's score starts from, before anything is learned."""
KINDS = tuple(START)
"""What a candidate is, in the order of the weights."""
COLOUR = 50.0
"""Scale of ab inside the network."""
EVEN = 10.0
"""Where lightness varies less than this (its square), colours do not follow it."""
NUDGE, GRAIN = 0.5, 15.0
"""How far colours move on by what lightness disagrees about along a motion, and the square of a gradient of lightness
that is as likely grain: all the way they would follow it."""
COST = 0.75
"""How much confidence the motion costs where lightness disagrees along it: the next frame often agrees again."""
FIRMNESS = 1.5
"""How much more decided the choice is than the scores by themselves: a little of every candidate, mixed in frame after
frame, makes colours pale."""
FINEST = 0
"""Motion that it is given is searched at the full working size: half a dB better than at half of it."""


@dataclass(frozen=True)
class Shape:
    """How large the network is; it travels in the weights' header."""

    widths: tuple[Count, Width, Width, Width] = (24, 48, 96, 160)
    """Channels at strides 2, 4, 8 and 16."""
    key: Count = 64
    """Length of a place's key in the memory."""


@dataclass(frozen=True)
class Sight:
    """What the network sees in frames of lightness (B, 1, H, W), before any colour."""

    lightness: Tensor
    context: Tensor
    """(B, c, H/2, W/2)"""
    keys: Tensor
    """(B, k, H/8, W/8), of length 1"""
    prior: Tensor
    """(B, 3, H/4, W/4): ab / COLOUR and the logit of confidence"""

    def each(self, change: Callable[[Tensor], Tensor]) -> Sight:
        """The same sight with every tensor changed alike."""
        return Sight(*(change(getattr(self, one.name)) for one in fields(self)))


@dataclass(frozen=True)
class Memory:
    """Places whose colours are known: N of them, of 8 by 8 pixels, each with its four quarters."""

    keys: Tensor
    """(B, N, k + 8)"""
    fine: Tensor
    """(B, N, 4, k + 8): keys of the quarters."""
    values: Tensor
    """(B, N, 4, 5): their ab / COLOUR at lightness 50, confidence, and how much ab / COLOUR changes with lightness"""

    def each(self, change: Callable[[Tensor], Tensor]) -> Memory:
        """The same memory with every tensor changed alike."""
        return Memory(*(change(getattr(self, one.name)) for one in fields(self)))


@dataclass(frozen=True)
class Candidate:
    """One way to colour a frame (H, W)."""

    kind: str
    ab: Tensor
    """(B, 2, H, W)"""
    confidence: Tensor
    """(B, 1, H, W)"""
    evidence: Tensor
    """(B, 4, H, W): difference of lightness, around the pixel, beyond one pixel's shift, of what the other sweep says
    those of what it chose; likeness of what is recalled, or how much older the other sweep is."""


class Glance(nn.Module):
    """Every place looks at every other, where places are few."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, width)
        self.split = nn.Conv2d(width, 3 * width, 1)
        self.join = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.join.weight)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        parts = self.split(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w).transpose(-1, -2)
        seen = F.scaled_dot_product_attention(parts[:, 0], parts[:, 1], parts[:, 2])
        return x + self.join(seen.transpose(-1, -2).reshape(b, c, h, w))


class Encoder(nn.Module):
    """Lightness to context, keys and a guess of the colours."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        fine, middle, coarse, coarsest = shape.widths
        self.at2 = nn.Sequential(nn.Conv2d(1, fine, 3, 2, 1), nn.ReLU())
        self.at4 = nn.Sequential(nn.Conv2d(fine, middle, 3, 2, 1), Block(middle))
        self.at8 = nn.Sequential(nn.Conv2d(middle, coarse, 3, 2, 1), Block(coarse), Block(coarse))
        self.at16 = nn.Sequential(
            nn.Conv2d(coarse, coarsest, 3, 2, 1), Block(coarsest), Glance(coarsest), Block(coarsest)
        )
        self.down16, self.back8 = nn.Conv2d(coarsest, coarse, 1), Block(coarse)
        self.down8, self.back4 = nn.Conv2d(coarse, middle, 1), Block(middle)
        self.down4, self.own2 = nn.Conv2d(middle, fine, 1), nn.Conv2d(fine, fine, 1)
        self.key = nn.Conv2d(coarse, shape.key, 1)
        self.prior = nn.Sequential(nn.Conv2d(middle, middle, 3, padding=1), nn.ReLU(), nn.Conv2d(middle, 3, 1))

    def forward(self, lightness: Tensor) -> Sight:
        x2 = self.at2((lightness / 50 - 1).to(self.key.weight.dtype))
        x4 = self.at4(x2)
        x8 = self.at8(x4)
        x8 = self.back8(x8 + enlarged(self.down16(self.at16(x8)), 2))
        x4 = self.back4(x4 + enlarged(self.down8(x8), 2))
        context = self.own2(x2) + enlarged(self.down4(x4), 2)
        # In one order, as they come back from a file: enlarging rounds each order another way.
        key, prior = (x.float().contiguous() for x in (self.key(x8), self.prior(x4)))
        return Sight(lightness, context, of_length_1(key), prior)


class Fusion(nn.Module):
    """Scores candidates and mixes them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.ModuleDict({kind: nn.Conv2d(7, width, 3, padding=1) for kind in KINDS})
        self.own = nn.Conv2d(width, width, 1)
        self.others = nn.Conv2d(width, width, 1)
        self.score = nn.Conv2d(width, 1, 3, padding=1)
        self.start = nn.Parameter(torch.tensor(list(START.values())))
        self.doubt = nn.Parameter(torch.full((len(KINDS),), 2.0))
        # Where two sweeps meet, each counts as much as it is near in time.
        self.old = nn.Parameter(torch.tensor([4.0 if kind == "other" else 0.0 for kind in KINDS]))
        # What was set by hand counts until something better is learned.
        for parameter in self.score.parameters():
            nn.init.zeros_(parameter)

    def forward(self, sight: Sight, candidates: Sequence[Candidate]) -> tuple[Tensor, Tensor, Tensor]:
        """ab (B, 2, H, W), confidence (B, 1, H, W) and the evidence (B, 3, H, W) for what was chosen."""
        # One candidate after the other: tensors of all of them would cost more to fill than the arithmetic.
        read = [self._read(sight, candidate) for candidate in candidates]
        assert self.own.bias is not None and self.others.bias is not None
        both = self.own.bias + self.others.bias  # once for all candidates
        others = F.conv2d(added(read) / len(read), self.others.weight, both)
        thought = [F.relu_(product(self.own, one).add_(others)) for one in read]
        scores = [
            enlarged(to_few(self.score, one), 2) + self._given(c) for one, c in zip(thought, candidates, strict=True)
        ]
        shares = torch.softmax(FIRMNESS * torch.stack(scores), 0)
        said = [torch.cat([one.ab, one.confidence, one.evidence[:, :3]], 1) for one in candidates]
        mixed = added(share * one for share, one in zip(shares, said, strict=True))
        return mixed[:, :2], mixed[:, 2:3], mixed[:, 3:]

    def _read(self, sight: Sight, candidate: Candidate) -> Tensor:
        # Halved first: what is joined then is a quarter.
        said = [halved(candidate.ab) / COLOUR, halved(candidate.confidence), halved(candidate.evidence)]
        return F.relu_(self.read[candidate.kind](self._lined(torch.cat(said, 1))).add_(sight.context))

    def _lined(self, x: Tensor) -> Tensor:
        """As the convolutions have their weights: mixed with others, each would rearrange it anew."""
        return x.to(self.own.weight.dtype, memory_format=torch.channels_last)

    def _given(self, candidate: Candidate) -> Tensor:
        """(B, 1, H, W): its score before anything is learned."""
        kind = KINDS.index(candidate.kind)
        around, old = candidate.evidence[:, 1:2], candidate.evidence[:, 3:]
        return (
            torch.log(candidate.confidence + 1e-3) - self.doubt[kind] * around - self.old[kind] * old + self.start[kind]
        )


class Network(nn.Module):
    """All of it; `see` frames, `remember` what is known of them, gather candidates, `fuse`."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape or Shape()
        self.see = Encoder(self.shape)
        self.fuse = Fusion(self.shape.widths[0])
        self.sharpness = nn.Parameter(torch.tensor(15.0))
        self.reach = nn.Parameter(torch.tensor(math.log(0.25)))
        """Logarithm of how far things move, in heights of the frame."""
        self.tones = nn.Parameter(torch.tensor([math.log(span) for span in (3.0, 6.0, 3.0, 10.0)]))
        """Logarithms of how much lightness varies within one thing: in the middle of a place, over it, its texture,
        around it."""
        self.trust = nn.Parameter(torch.tensor([2.7, -1.1]))
        """What likeness counts for in the confidence of what is recalled, and what it starts from."""

    def quickened(self) -> Network:
        """This network, its convolutions in bfloat16 from now on: half the time on processors that compute in it."""
        for part in (self.see, *(getattr(self.fuse, name) for name in ("read", "own", "others", "score"))):
            part.bfloat16()
        return self

    def remember(self, sight: Sight, ab: Tensor, confidence: Tensor, placed: bool = True) -> Memory:
        """The places of a frame with known colours; not `placed`: where they are in it says nothing."""
        values = values_of(ab / COLOUR, confidence, QUARTER)
        known = values[:, 2:]
        keys = self._held(sight, PLACE, halved(known), placed)
        light, slope = slopes(sight.lightness, ab / COLOUR, confidence, QUARTER)
        values = torch.cat([values[:, :2] - slope * (light - 50), known, slope], 1)
        return Memory(keys.flatten(2).mT, quarters(self._held(sight, QUARTER, known, placed)), quarters(values))

    def scribbled(self, sight: Sight, ab: Tensor, where: Tensor) -> Memory | None:
        """The scribbled places of one frame (B = 1), each with its colour."""
        found = (F.avg_pool2d(where.float(), PLACE) > 0).flatten()
        if not found.any():
            return None
        memory = self.remember(sight, ab, where.float()).each(lambda tensor: tensor[:, found])
        values = memory.values.clone()
        values[..., 2] = 1
        return replace(memory, values=values)

    def recall(self, sight: Sight, memory: Memory, kind: str = "recall") -> Candidate:
        """Colours of the places that look most alike: first of large ones, then of the quarters of those."""
        precision = self.see.key.weight.dtype
        nearest = alike(self._asked(sight, PLACE).flatten(2).mT.to(precision), memory.keys.to(precision))
        keys, values = (_picked(x, nearest) for x in (memory.fine, memory.values))
        asked = quarters(self._asked(sight, QUARTER))
        scores = asked @ keys.mT
        shares = torch.softmax(scores, -1)
        tone = asked[..., self.shape.key : self.shape.key + len(self.tones)]
        own = tone.square().sum(-1, keepdim=True) / 2
        # The key that was found, compared with what was asked, tells how alike they are.
        likeness = (((shares * scores).sum(-1, keepdim=True) - own) / self.sharpness.detach()).clamp(-2, 2)
        small = whole(torch.cat([shares @ values, likeness], -1), sight.keys.shape[-2:])
        full = enlarged(small, QUARTER)
        ab, known, slope, like = full.split([2, 1, 2, 1], 1)
        # Finer than quarters: within one thing, colours change with lightness.
        ab = ab.addcmul(slope, sight.lightness - 50) * COLOUR
        # A reference is sure of its colours; that this is what they are of, is less so.
        confidence = known.clamp(0, 1) * torch.sigmoid(self.trust[0] * like + self.trust[1])
        return Candidate(kind, ab, confidence, torch.cat([torch.zeros_like(full[:, :3]), like], 1))

    def guess(self, sight: Sight) -> Candidate:
        """What lightness alone suggests."""
        full = enlarged(sight.prior, 4)
        return Candidate(
            "prior", full[:, :2] * COLOUR, full[:, 2:].sigmoid(), torch.zeros_like(full[:, :1]).repeat(1, 4, 1, 1)
        )

    def _asked(self, sight: Sight, side: int) -> Tensor:
        """(B, k + 8, h, w): what is asked of the memory for each place of so many pixels a side."""
        keys, tone, where = self._addresses(sight, side)
        square = where.square().sum(1, keepdim=True)
        # What depends on the query alone drops out of the softmax, and is left out.
        return torch.cat([keys * self.sharpness, tone, where, torch.ones_like(square), -square / 2], 1)

    def _held(self, sight: Sight, side: int, known: Tensor, placed: bool) -> Tensor:
        """(B, k + 8, h, w): what a place is, where, and how sure its value, so that one product weighs all of it."""
        keys, tone, where = self._addresses(sight, side)
        where = where * float(placed)
        square = where.square().sum(1, keepdim=True)
        sure = prior_of(known) - (square + tone.square().sum(1, keepdim=True)) / 2
        return torch.cat([keys, tone, where, sure, torch.full_like(square, float(placed))], 1)

    def _addresses(self, sight: Sight, side: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of the places of a frame: keys; lightness in the middle, over, within and around each, in units of `tones`;
        where it is, in units of `reach`."""
        light = sight.lightness - 50
        mean = F.avg_pool2d(light, side)
        texture = (F.avg_pool2d(light.square(), side) - mean.square()).clamp(min=0).add(1e-2).sqrt()
        edge = side // 4
        middle = F.avg_pool2d(light[..., edge:-edge, edge:-edge], side // 2, side)
        around = F.avg_pool2d(mean, 3, 1, 1, count_include_pad=False)
        tone = torch.cat([middle, mean, texture, around], 1) / self.tones.exp()[:, None, None]
        height, width = mean.shape[-2:]
        down, across = (torch.arange(n, device=light.device, dtype=light.dtype) / height for n in (height, width))
        grid = torch.stack(torch.meshgrid(down, across, indexing="ij")) / self.reach.exp()
        # Keys of quarters lie between those of places: their lightness tells quarters apart, and where they are.
        keys = of_length_1(enlarged(sight.keys, PLACE // side)) if side < PLACE else sight.keys
        return keys, tone, grid.expand(len(light), -1, -1, -1)


def carried(kind: str, sight: Sight, other: Tensor, said: tuple[Tensor, Tensor], motion: Tensor) -> Candidate:
    """What was `said` (ab, confidence) of a frame with lightness `other`, seen along the motion to it.

    How long ago that was is no evidence: confidence tells what the way here has cost.
    """
    moved = warp(torch.cat([other, *said], 1), motion)
    agrees = agreement(sight.lightness, moved[:, :1].detach(), motion)
    parts = [agrees.difference.abs(), agrees.around, agrees.beyond, torch.zeros_like(agrees.around)]
    evidence = (torch.cat(parts, 1) / 10).clamp(max=4)
    return Candidate(kind, nudged(moved[:, :3], agrees.difference), moved[:, 3:] * agrees.explained**COST, evidence)


def nudged(lab: Tensor, difference: Tensor) -> Tensor:
    """The ab of colours moved here, moved on by the part of a pixel that the `difference` to their lightness tells.

    That is the normal flow (Horn and Schunck 1981): edges that interpolation has blurred become sharp again by it.
    """
    around = F.pad(lab, (1, 1, 1, 1), mode="replicate")
    # Differences of both neighbours, which are twice the gradients.
    across = around[..., 1:-1, 2:] - around[..., 1:-1, :-2]
    down = around[..., 2:, 1:-1] - around[..., :-2, 1:-1]
    steep = across[:, :1].square() + down[:, :1].square() + 4 * GRAIN
    change = across[:, 1:] * across[:, :1] + down[:, 1:] * down[:, :1]
    return lab[:, 1:] + change * (NUDGE * difference.clamp(-10, 10) / steep)


def followed(sight: Sight, lightness: Tensor, motion: Tensor) -> Sight:
    """What is seen in a frame of that lightness, judged by the sight of another one and the motion to that."""

    def moved(x: Tensor) -> Tensor:
        side = motion.shape[-1] // x.shape[-1]
        # Not in bfloat16, which cannot tell one pixel's place from the next.
        return warp(x.float().contiguous(), F.avg_pool2d(motion, side) / side).to(x.dtype)

    context = moved(sight.context).contiguous(memory_format=torch.channels_last)
    return Sight(lightness, context, of_length_1(moved(sight.keys)), moved(sight.prior))


def told(kind: str, ab: Tensor, confidence: Tensor, older: Tensor, evidence: Tensor | None = None) -> Candidate:
    """Colours that were said of this very frame, by the `evidence` (B, 3, H, W) for them; `older` (B): see `older`."""
    nothing = torch.zeros_like(confidence)
    known = [nothing] * 3 if evidence is None else [evidence]
    return Candidate(kind, ab, confidence, torch.cat([*known, nothing + older[:, None, None, None]], 1))


def slopes(light: Tensor, ab: Tensor, confidence: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Of each place of so many pixels a side: its mean lightness, and how much ab changes with lightness around it.

    As a guided filter finds it, from what is known in twice the place's width.
    """

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(x, (side // 2,) * 4, mode="replicate"), 2 * side, side)

    known = mean(confidence).clamp(min=1e-3)
    weighed = torch.cat([light, ab, light * light, light * ab], 1) * confidence
    lights, colours, squares, products = (mean(weighed) / known).split([1, 2, 1, 2], 1)
    slope = (products - lights * colours) / (squares - lights.square() + EVEN)
    return F.avg_pool2d(light, side), slope


def older(until: Tensor, since: Tensor) -> Tensor:
    """How much older than what one sweep says is what the other says, given the frames to both sources."""
    return (torch.log1p(until) - torch.log1p(since)) / 4


def thinned(memory: Memory) -> Memory:
    """One place in four: what the network said itself is worth less time than what a source says."""
    return memory.each(lambda tensor: tensor[:, ::4].contiguous())


def join(memories: Sequence[Memory]) -> Memory:
    return Memory(*(torch.cat([getattr(m, one.name) for m in memories], 1) for one in fields(Memory)))


def quarters(x: Tensor) -> Tensor:
    """(B, h * w, 4, c) of (B, c, 2 * h, 2 * w)"""
    x = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)


def whole(x: Tensor, size: Sequence[int]) -> Tensor:
    """(B, c, 2 * h, 2 * w) of quarters (B, h * w, 4, c); `size`: h and w."""
    x = x.unflatten(2, (2, 2)).unflatten(1, tuple(size))
    return x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


@torch.no_grad()
def alike(asked: Tensor, held: Tensor) -> Tensor:
    """(B, Q, k): the numbers of the places held (B, N, c) that are most like each of those asked for (B, Q, c)."""
    count = min(ALIKE, held.shape[1])
    # Whole groups of groups, filled up with places that nothing is like; products are quicker so, too.
    full = F.pad(held, (0, 0, 0, -held.shape[1] % GROUP**2))
    full[:, held.shape[1] :, SURE] = 10 * UNKNOWN
    # In parts, so that memory is bounded however many are held.
    parts = asked.split(max(1, AT_ONCE // (len(full) * full.shape[1])), 1)
    found = torch.cat([_greatest(part @ full.mT, count) for part in parts], 1)
    # Where the likeness is no number, what was filled up may come first, and is no place.
    return found.clamp_(max=held.shape[1] - 1)


def _greatest(scores: Tensor, count: int) -> Tensor:
    """(B, Q, k): the numbers of the k greatest of N for each Q of (B, Q, N).

    They all lie in the k groups with the greatest maxima, and those in the k groups of groups with the greatest: found
    so in half of the time.
    """
    rows, rest = divmod(scores.shape[2], GROUP)
    if rest or rows <= count:
        return scores.topk(count, sorted=False).indices
    groups = _greatest(scores.unflatten(2, (GROUP, rows)).amax(2), count)
    numbers = (groups[..., None, :] + rows * torch.arange(GROUP, device=scores.device)[:, None]).flatten(2)
    return numbers.gather(2, scores.gather(2, numbers).topk(count, sorted=False).indices)


def _picked(x: Tensor, which: Tensor) -> Tensor:
    """(B, Q, k * 4, c): of x (B, N, 4, c) what `which` (B, Q, k) names."""
    batch, count = x.shape[:2]
    first = torch.arange(batch, device=x.device)[:, None, None] * count
    found = x.flatten(0, 1).index_select(0, (which + first).flatten())
    return found.unflatten(0, which.shape).flatten(2, 3)
