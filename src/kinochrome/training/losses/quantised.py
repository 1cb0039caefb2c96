"""Colour as a choice among bins of the ab plane (Zhang et al. 2016): its encoding, its loss, and back to ab.

Bins are their centres, (Q, 2). Every pixel meets every bin: for small images.
"""

from __future__ import annotations

import torch

from kinochrome import color

from .reconstruction import weighted_mean

STEP = 10.0
"""Side of a bin, of Zhang et al. 2016."""


def gamut_bins(step: float = STEP) -> torch.Tensor:
    """The bins, on a grid through grey, that hold colours of sRGB: 261 of side 10; Zhang's published list has 313."""
    side = torch.linspace(0, 1, 65)
    rgb = torch.stack(torch.meshgrid(side, side, side, indexing="ij")).flatten(2)
    ab = color.lab_from_rgb(rgb)[1:].flatten(1).mT
    # As one number each, ab being within 256: rows take long to sort.
    numbers = ((ab / step).round() @ torch.tensor([1024.0, 1.0])).unique()
    a = (numbers / 1024).round()
    return torch.stack([a, numbers - 1024 * a], dim=1) * step


def nearest(ab: torch.Tensor, bins: torch.Tensor, count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances and indices (B, count, H, W) of the bins nearest to ab, nearest first."""
    distance = torch.cdist(ab.movedim(1, -1).flatten(1, 2), bins.to(ab).expand(len(ab), -1, -1))
    found = distance.topk(count, dim=2, largest=False)
    height, width = ab.shape[-2:]
    distances, indices = (part.mT.unflatten(2, (height, width)) for part in (found.values, found.indices))
    return distances, indices


def soft_encoding(ab: torch.Tensor, bins: torch.Tensor, count: int = 5, spread: float = 5.0) -> torch.Tensor:
    """(B, Q, H, W), sum 1: each pixel's shares in its nearest bins, by a Gaussian of their distance.

    Five bins and a spread of 5 are those of Zhang et al. 2016.
    """
    distances, indices = nearest(ab, bins, count)
    # A softmax, so that a colour far from all bins has shares still.
    shares = (-distances.square() / (2 * spread**2)).softmax(dim=1)
    return ab.new_zeros(len(ab), len(bins), *ab.shape[-2:]).scatter(1, indices, shares)


def bin_counts(ab: torch.Tensor, bins: torch.Tensor) -> torch.Tensor:
    """(Q,): how many pixels lie in each bin; add them up over many pictures for `rarity`."""
    return nearest(ab, bins)[1].flatten().bincount(minlength=len(bins)).to(ab.dtype)


def rarity(counts: torch.Tensor, bins: torch.Tensor, mix: float = 0.5, spread: float = 5.0) -> torch.Tensor:
    """(Q,): how much each bin should count, more the rarer it is; 1 on average over the pixels counted.

    Frequencies are smoothed by a Gaussian of `spread` in ab and mixed half with an even distribution, as Zhang et al.
    2016 have it.
    """
    near = (-torch.cdist(bins, bins).square() / (2 * spread**2)).exp().to(counts)
    frequency = (near / near.sum(dim=0)) @ (counts / counts.sum())
    weights = 1 / ((1 - mix) * frequency + mix / len(bins))
    return weights / (weights * frequency).sum()


def cross_entropy(
    scores: torch.Tensor,
    truth: torch.Tensor,
    rarities: torch.Tensor | None = None,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """The mean cross-entropy of the scores' softmax against shares in bins, both (B, Q, H, W).

    With rarities (Q,), a pixel counts by that of the bin it has the greatest share in.
    """
    loss = -(truth * scores.log_softmax(dim=1)).sum(dim=1, keepdim=True)
    if rarities is not None:
        loss = loss * rarities.to(loss)[truth.argmax(dim=1, keepdim=True)]
    return weighted_mean(loss, weight)


def annealed_mean(scores: torch.Tensor, bins: torch.Tensor, temperature: float = 0.38) -> torch.Tensor:
    """The ab (B, 2, H, W) of scores: their mean, after low ones are lowered; towards 0 it is the best bin's.

    0.38 is what Zhang et al. 2016 chose between vivid (0) and steady (1).
    """
    return torch.einsum("bqhw,qc->bchw", (scores / temperature).softmax(dim=1), bins.to(scores))
