"""The network of LSTVC (Chen and others 2023): blocks of frames, matched by two heads, linked to earlier blocks.

In the paper's words: the *correspondence subnet* warps the reference's colours onto a block of frames by a double-head
non-local operation (Eq. 1 to 4); the *colorization subnet* corrects them (Eq. 5); both hold parallel *CNN-Transformer
blocks*; the *linkage subnet* asks what earlier blocks of frames left, and adds to it (Eq. 6 and 7). Sizes are working
sizes, multiples of `STRIDE`; a block is (B, N, …), its frames (B * N, …).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kinochrome.nets import matching
from kinochrome.nets.block import Residual, Width, each_by_itself
from kinochrome.nets.evidence import added, to_size
from kinochrome.nets.matching import Place, Places, Said
from kinochrome.nets.pyramid import Pyramid
from kinochrome.nets.resnet import ResNet
from kinochrome.types import Count, Range

STRIDE = 16
LEAST = 64
"""No side is smaller: normalisation needs more than one place at the coarsest level."""
COLOUR = 128.0
"""Scale of ab inside the network."""
TEMPERATURE = 0.01
"""Of Eq. 2, whose own is unsaid; the paper's unexplained gamma has this value, as has Deep Exemplar's temperature."""
DARKER = 3.0
"""A place so much darker or lighter than a pixel is e times less likely to have its colour, till better is learned."""
SURER = 10.0
"""A head surer by a tenth is e times likelier to be right, till better is learned."""
SEEN = ((1, 2), (2, 3), (3, 3), (3, 19))
"""ResNet-101's activations: relu1_2 and relu2_3 are the low-level feature, relu3_3 and relu3_19 the high-level one."""


@dataclass(frozen=True)
class Shape:
    """How the network is built; it travels in the weights' header. The defaults are those of the small variant."""

    variant: Literal["small", "paper"] = "small"
    """What sees: `small` has a narrow encoder of its own, `paper` ResNet-101 without its first max-pool."""
    transformer: bool = True
    """CNN-Transformer blocks have their Transformer branch; without, there is no linkage either."""
    linkage: bool = True
    """Blocks of frames are told of earlier ones."""
    double: bool = True
    """Both matching heads; without, the vanilla one alone."""
    levels: tuple[Width, Width, Width, Width] = (16, 32, 64, 96)
    """Channels of the small variant's features at strides 2, 4, 8 and 16."""
    high: Count = 96
    """Channels of the CNN branch in the correspondence subnet, at stride 8."""
    token: Annotated[int, Range(12, multiple=12)] = 96
    """Channels of the Transformer branches, a multiple of 12; VisTR's are 384."""
    feed: Count = 192
    """Channels inside a Transformer's two linear layers."""
    grain: Place = 16
    """A token stands for so many pixels a side."""
    joined: Count = 64
    """Channels of the representation that both heads see."""
    head: Count = 48
    """Channels of each head's keys."""
    place: Place = 8
    """Matching compares places of so many pixels a side."""
    blocks: Count = 3
    """CNN-Transformer blocks of each subnet, and residual blocks."""
    drawing: tuple[Count, Count, Count] = (16, 32, 64)
    """Channels of the colorization subnet at strides 2, 4 and 8."""
    correct: bool = True
    """The colorization subnet corrects the warped colours; without, it draws them anew, as the paper has it."""


@dataclass(frozen=True)
class Seen:
    """What the correspondence subnet makes of a block's lightness."""

    keys: tuple[Tensor, ...]
    """One (B * N, k, h, w) a head: what is compared."""
    tokens: Tensor | None
    """ho (B, N, d, h, w): what the colorization subnet and the linkage are told."""


# --- Parallel CNN-Transformer blocks ---


class Transformer(nn.Module):
    """A layer as VisTR has them, its tensors named alike: attention among a block's tokens, then two linear layers."""

    def __init__(self, width: int, heads: int, feed: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, feed), nn.Linear(feed, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, tokens: Tensor, where: Tensor) -> Tensor:
        """(B, n, d); `where` marks places and moments, and is not carried on."""
        marked = tokens + where
        tokens = self.norm1(tokens + self.self_attn(marked, marked, tokens, need_weights=False)[0])
        return self.norm2(tokens + self.linear2(F.relu(self.linear1(tokens))))


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)  # what is kept serves training, too
def sine_positions(frames: int, height: int, width: int, depth: int) -> Tensor:
    """(frames * height * width, depth): a third of the channels each for moment, row, column, as VisTR has them.

    Along an axis positions run up to 2 pi, however long it is; sines and cosines of ever slower waves take turns.
    """
    each = depth // 3
    rate = 10000 ** -(torch.arange(each) // 2 * 2 / each)
    parts = []
    for axis, size in enumerate((frames, height, width)):
        waves = (torch.arange(size) + 1)[:, None] / size * 2 * math.pi * rate
        waves = torch.stack([waves[:, ::2].sin(), waves[:, 1::2].cos()], 2).flatten(1)
        shape = [1, 1, 1, each]
        shape[axis] = size
        parts.append(waves.view(shape).expand(frames, height, width, each))
    return torch.cat(parts, 3).flatten(0, 2)


class CnnTransformer(nn.Module):
    """A convolutional branch and a Transformer branch that tell each other what they see (after Conformer)."""

    def __init__(self, width: int, heads: int, shape: Shape) -> None:
        super().__init__()
        self.convolve = nn.Sequential(
            *(nn.Conv2d(width, width, 3, padding=1), each_by_itself(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1), each_by_itself(width)),
        )
        if shape.transformer:
            self.tell = nn.Conv2d(width, shape.token, 1)
            self.layer = Transformer(shape.token, heads, shape.feed)
            self.hear = nn.Conv2d(shape.token, width, 1)

    def forward(self, x: Tensor, tokens: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Features (B * N, c, h, w) and tokens (B, N, d, h', w') of a block."""
        if tokens is None:
            return F.relu(x + self.convolve(x)), None
        _, count, depth, height, width = tokens.shape
        tokens = tokens + to_size(self.tell(x), (height, width)).view_as(tokens)
        where = sine_positions(count, height, width, depth).to(tokens)
        tokens = _grid(self.layer(_rows(tokens), where), count, height, width)
        x = x + to_size(self.hear(tokens.flatten(0, 1)), x.shape[-2:])
        return F.relu(x + self.convolve(x)), tokens


# --- The three subnets ---


class Linkage(nn.Module):
    """What earlier blocks of frames left, (B, n, d), of one size however long the film."""

    heads = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        self.after_query, self.after_storage = nn.Linear(width, width), nn.Linear(width, width)
        for parameter in (*self.after_query.parameters(), *self.after_storage.parameters()):
            nn.init.zeros_(parameter)
        # Not in the paper: without it, what is kept grows with every block.
        self.norm = nn.LayerNorm(width)

    def query(self, high: Tensor, kept: Tensor | None) -> Tensor:
        """Eq. 6: hi of a block's tokens (B, n, d)."""
        if kept is None:
            return high
        found = high + attended(high, kept, self.heads)
        return found + self.after_query(found)

    def store(self, kept: Tensor | None, out: Tensor) -> Tensor:
        """Eq. 7: what is kept after a block whose ho is `out`."""
        if kept is None:
            return out
        found = kept + attended(kept, out, self.heads)
        return self.norm(found + self.after_storage(found))


def attended(asking: Tensor, told: Tensor, heads: int) -> Tensor:
    """softmax(asking told^T / sqrt(d)) told, the channels shared out among the heads."""
    query, memory = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (asking, told))
    return F.scaled_dot_product_attention(query, memory, memory).transpose(1, 2).flatten(2)


class Trunk(nn.Module):
    """ResNet-101 up to the last activation that is used, its normalisation as it was trained."""

    widths = (256, 512, 1024, 1024)

    def __init__(self) -> None:
        super().__init__()
        self.resnet = ResNet(101)
        del self.resnet.layer4, self.resnet.fc, self.resnet.layer3[SEEN[-1][1] :]

    def train(self, mode: bool = True) -> Trunk:
        """Batches of a few frames tell little of means and spreads: those of ImageNet stay."""
        return super().train(False)

    def forward(self, lightness: Tensor) -> list[Tensor]:
        rgb = (lightness / 100).expand(-1, 3, -1, -1)
        if not torch.is_grad_enabled():
            return self.resnet.activations(rgb, SEEN, pooled=False)
        # Without the pooling its layers are large: on the way back they are made anew, not kept.
        return checkpoint(self.resnet.activations, rgb, SEEN, False, use_reentrant=False)


class Correspondence(nn.Module):
    """A block's lightness to what its two heads compare, and to tokens."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.trunk: nn.Module = Pyramid(shape.levels) if shape.variant == "small" else Trunk()
        widths = shape.levels if shape.variant == "small" else Trunk.widths
        self.enter_high = nn.Conv2d(widths[2] + widths[3], shape.high, 1)
        self.augment = nn.ModuleList(CnnTransformer(shape.high, 6, shape) for _ in range(shape.blocks))
        if shape.transformer:
            self.enter_token = nn.Conv2d(shape.high, shape.token, 1)
        self.fuse = nn.Conv2d(widths[0] + widths[1] + shape.high, shape.joined, 1)
        self.residual = nn.Sequential(*(Residual(shape.joined) for _ in range(shape.blocks)))
        self.vanilla = nn.Conv2d(shape.joined, shape.head, 1)
        if shape.double:
            self.augmented, self.more = nn.Conv2d(shape.joined, shape.head, 1), nn.Conv2d(shape.high, shape.head, 1)

    def forward(self, light: Tensor, linkage: Linkage | None, kept: Tensor | None) -> Seen:
        """`light` (B, N, 1, H, W); `kept` by the linkage, None at the beginning."""
        frames = light.flatten(0, 1)
        size = [side // self.shape.place for side in frames.shape[-2:]]
        one, two, three, four = self.trunk(frames)
        high = self.enter_high(torch.cat([three, to_size(four, three.shape[-2:])], 1))
        tokens = self._tokens(high, light.shape, linkage, kept) if self.shape.transformer else None
        for block in self.augment:
            high, tokens = block(high, tokens)
        high = to_size(high, size)
        joined = self.residual(self.fuse(torch.cat([to_size(one, size), to_size(two, size), high], 1)))
        keys = [self.vanilla(joined)]
        if self.shape.double:
            keys.append(self.augmented(joined) + self.more(high))
        return Seen(tuple(map(matching.unit, keys)), tokens)

    def _tokens(self, high: Tensor, shape: Sequence[int], linkage: Linkage | None, kept: Tensor | None) -> Tensor:
        """hi_t (B, N, d, h, w): the block's own high-level feature, and what earlier blocks left of the like."""
        size = [side // self.shape.grain for side in shape[-2:]]
        tokens = to_size(self.enter_token(high), size).unflatten(0, tuple(shape[:2]))
        if linkage is None:
            return tokens
        told = linkage.query(_rows(tokens), kept)
        return _grid(told, shape[1], *size)


class Colorization(nn.Module):
    """An encoder and decoder with skips, CNN-Transformer blocks between them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        inputs = 10 if shape.double else 7
        at2, at4, at8 = shape.drawing
        pairs = itertools.pairwise((inputs, *shape.drawing))
        self.down = nn.ModuleList(_stage(entering, leaving, 2) for entering, leaving in pairs)
        self.think = nn.ModuleList(CnnTransformer(at8, 4, shape) for _ in range(shape.blocks))
        self.up = nn.ModuleList(
            [_stage(at8 + at4, at4, 1), _stage(at4 + at2, at2, 1), nn.Conv2d(at2 + inputs, at2, 3, padding=1)]
        )
        self.leave = nn.Conv2d(at2, 2 + 9 * (1 + shape.double) * shape.correct, 3, padding=1)
        if shape.correct:
            # What is set by hand counts until something better is learned.
            for parameter in self.leave.parameters():
                nn.init.zeros_(parameter)

    def forward(self, told: Tensor, tokens: Tensor | None) -> Tensor:
        """(B * N, n, H, W): ab before it is bounded, and, where it corrects, what to choose of what the heads found."""
        passed = [told]
        for stage in self.down:
            passed.append(stage(passed[-1]))
        x = passed.pop()
        for block in self.think:
            x, tokens = block(x, tokens)
        for stage in self.up:
            skipped = passed.pop()
            x = stage(torch.cat([to_size(x, skipped.shape[-2:]), skipped], 1))
        return self.leave(F.relu(x))


class Network(nn.Module):
    """All that is trained."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape = shape or Shape()
        self.correspondence = Correspondence(shape)
        self.colorization = Colorization(shape)
        self.linkage = Linkage(shape.token) if shape.transformer and shape.linkage else None
        self.temperature = TEMPERATURE

    def see(self, light: Tensor, kept: Tensor | None = None) -> Seen:
        """A block (B, N, 1, H, W), told what earlier ones left."""
        return self.correspondence(light, self.linkage, kept)

    def keep(self, kept: Tensor | None, seen: Seen) -> Tensor | None:
        """What this block leaves with what earlier ones did."""
        if self.linkage is None or seen.tokens is None:
            return None
        return self.linkage.store(kept, _rows(seen.tokens))

    def reference(self, lightness: Tensor, said: Said) -> tuple[Places, ...]:
        """A picture (B, 1, H, W) that is known, ready for each head: seen as the grey frames are."""
        keys = self.see(lightness[:, None]).keys
        return tuple(matching.places(one, said, self.shape.place) for one in keys)

    def match(self, seen: Seen, reference: Sequence[Places]) -> tuple[Said, ...]:
        """What each head finds for each frame of a block (Eq. 1 to 3); confidence is its similarity map.

        The reference of each clip, or of each frame: (B, …) or (B * N, …).
        """
        found = []
        for keys, places in zip(seen.keys, reference, strict=True):
            count = len(keys) // len(places.keys)
            each = (
                x.repeat_interleave(count, 0) if count > 1 else x for x in (places.keys, places.values, places.prior)
            )
            found.append(matching.match(keys, Places(*each), self.shape.place, self.temperature))
        return tuple(found)

    def colour(self, light: Tensor, heads: Sequence[Said], lab: Tensor, seen: Seen) -> Said:
        """Eq. 5: a block's frames (B * N, …), coloured; `lab` (B, 3, H, W) is the reference."""
        frames = light.flatten(0, 1)
        picture = torch.cat([lab[:, :1] / 50 - 1, lab[:, 1:] / COLOUR], 1).repeat_interleave(light.shape[1], 0)
        warped = [part for one in heads for part in (one.ab / COLOUR, one.confidence)]
        drawn = self.colorization(torch.cat([*warped, frames / 50 - 1, picture], 1), seen.tokens)
        ab, confidence = torch.tanh(drawn[:, :2]), torch.stack([one.confidence for one in heads]).amax(0)
        if self.shape.correct:
            # One by one: eighteen choices for every pixel of many frames would fill the memory.
            each = [[Said(one.ab[n : n + 1], one.confidence[n : n + 1]) for one in heads] for n in range(len(frames))]
            told = zip(each, frames.split(1), drawn[:, 2:].split(1), strict=True)
            ab = ab + torch.cat([_chosen(*one, self.shape.place) for one in told]) / COLOUR
        return Said(ab * COLOUR, confidence)


def _chosen(heads: Sequence[Said], light: Tensor, learned: Tensor, reach: int) -> Tensor:
    """Each pixel's colour, chosen among what both heads say of it and of places around it.

    What is matched is as coarse as places are; colours end where the lightness does. Until something better is learned
    a pixel trusts the surer head, and of the places around it those that are as light as it is.
    """
    size = light.shape[-2:]
    around = to_size(F.avg_pool2d(light, reach), size)
    doubt = torch.cat([(light - part).abs() / DARKER + (far > 0) for far, part in _shifted(around, reach)], 1)
    logits, colours = [], []
    for head in heads:
        near = list(_shifted(torch.cat([head.ab, head.confidence], 1), reach))
        logits.append(torch.cat([SURER * part[:, 2:] for _, part in near], 1) - doubt)
        colours += [part[:, :2] for _, part in near]
    shares = torch.softmax(torch.cat(logits, 1) + learned, 1)
    return added(part * shares[:, n : n + 1] for n, part in enumerate(colours))


def _shifted(image: Tensor, reach: int) -> Iterator[tuple[int, Tensor]]:
    """How far, and the image as it is so many pixels further on, in nine directions; beyond it its edge goes on."""
    height, width = image.shape[-2:]
    wide = F.pad(image, (reach,) * 4, mode="replicate")
    for y, x in itertools.product((-1, 0, 1), repeat=2):
        top, left = reach * (1 + y), reach * (1 + x)
        yield abs(y) + abs(x), wide[..., top : top + height, left : left + width]


def _stage(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(inputs, outputs, 3, stride, padding=1), each_by_itself(outputs), nn.ReLU()),
        *(nn.Conv2d(outputs, outputs, 3, padding=1), each_by_itself(outputs), nn.ReLU()),
    )


def _rows(tokens: Tensor) -> Tensor:
    """(B, n, d) of (B, N, d, h, w)"""
    return tokens.permute(0, 1, 3, 4, 2).flatten(1, 3)


def _grid(rows: Tensor, count: int, height: int, width: int) -> Tensor:
    """(B, N, d, h, w) of (B, n, d)"""
    return rows.unflatten(1, (count, height, width)).permute(0, 1, 4, 2, 3)
