"""Colours found by likeness: the non-local operation of exemplar-based networks (after Zhang and others 2019).

No matrix of all pairs is ever held: memory is bounded, however large the frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .evidence import enlarged

AT_ONCE = 1 << 23
"""Pairs of places that are compared at once."""
UNKNOWN = -1e4
"""What speaks against a place whose colour nobody knows: more than any likeness can outweigh."""
Place = Literal[1, 2, 4, 8, 16]
"""Pixels a side of what is compared."""


@dataclass(frozen=True)
class Said:
    """Colours of frames and how sure they are."""

    ab: Tensor
    """(B, 2, H, W)"""
    confidence: Tensor
    """(B, 1, H, W)"""


@dataclass(frozen=True)
class Places:
    """A reference as matching sees it."""

    keys: Tensor
    """(B, n, k): one vector of length 1 for each of n places."""
    values: Tensor
    """(B, n, 3): mean colour and share of known pixels."""
    prior: Tensor
    """(B, n): the logarithm of how much each place counts before any likeness."""


def unit(keys: Tensor) -> Tensor:
    """Vectors (B, k, h, w) centred over the picture and of length 1, so that their products are Eq. 1's cosines."""
    return of_length_1(keys - keys.mean((2, 3), keepdim=True))


def of_length_1(x: Tensor) -> Tensor:
    """Vectors (B, k, h, w) by their length, as `F.normalize`, in a tenth of its time."""
    return x * x.square().sum(1, keepdim=True).clamp(min=1e-24).rsqrt()


def places(keys: Tensor, said: Said, side: int) -> Places:
    """A reference, ready to be matched: keys (B, k, H / side, W / side) and colours at full size."""
    values = flat(values_of(said.ab, said.confidence, side))
    return Places(flat(keys), values, prior_of(values[..., 2]))


def values_of(ab: Tensor, confidence: Tensor, side: int) -> Tensor:
    """(B, 3, H / side, W / side): the mean colour of what is known in each place, and how much of it is."""
    mean = F.avg_pool2d(torch.cat([ab * confidence, confidence], 1), side)
    known = mean[:, 2:]
    return torch.cat([mean[:, :2] / known.clamp(min=1e-3), known], 1)


def prior_of(known: Tensor) -> Tensor:
    """The logarithm of how much places count that are known so far, before any likeness."""
    return torch.where(known > 1e-3, known.clamp(min=1e-3).log(), UNKNOWN)


def joined(several: Sequence[Places], shares: Tensor | None = None) -> Places:
    """Several references as one: what is looked for is looked for in all of them.

    `shares` (B, number of them): how much each counts; where they are equally like, colours mix in these shares. One B
    of references serves every B of shares.
    """
    keys, values, prior = (
        torch.cat(parts, 1) for parts in zip(*((p.keys, p.values, p.prior) for p in several), strict=True)
    )
    if shares is None:
        return Places(keys, values, prior)
    weights = torch.cat([shares[:, n : n + 1].expand(-1, one.keys.shape[1]) for n, one in enumerate(several)], 1)
    # Views of the same keys, not copies.
    spread = [x.expand(len(shares), -1, -1) for x in (keys, values)]
    return Places(spread[0], spread[1], prior + torch.where(weights > 1e-6, weights.clamp(min=1e-6).log(), UNKNOWN))


def match(keys: Tensor, reference: Places, side: int, temperature: float) -> Said:
    """What the reference says of frames by likeness alone, at full size: each place takes shares of all colours.

    Confidence is the greatest cosine of each place, times how much is known of what it found.
    """
    rows = max(1, AT_ONCE // reference.prior.numel())
    told = (reference.keys, reference.values, reference.prior, temperature)
    # What a part was compared with is compared anew on the way back, not kept.
    found = [
        checkpoint(_compared, part, *told, use_reentrant=False) if torch.is_grad_enabled() else _compared(part, *told)
        for part in flat(keys).split(rows, 1)
    ]
    full = enlarged(torch.cat(found, 1).mT.unflatten(2, keys.shape[-2:]), side)
    return Said(full[:, :2], (full[:, 2:3] * full[:, 3:]).clamp(0, 1))


def _compared(asked: Tensor, keys: Tensor, values: Tensor, prior: Tensor, temperature: float) -> Tensor:
    """(B, n, 4) of keys (B, n, k): ab, how much is known of it, the greatest cosine among what is known."""
    alike = asked @ keys.mT
    shares = torch.softmax(alike / temperature + prior[:, None], -1)
    best = torch.where(prior[:, None] > UNKNOWN / 2, alike, -1).amax(-1, keepdim=True)
    return torch.cat([shares @ values, best], -1)


def flat(x: Tensor) -> Tensor:
    """(B, n, c) of (B, c, h, w)"""
    return x.flatten(2).mT
