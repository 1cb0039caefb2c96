"""How far an answer lies from the truth, pixel by pixel."""

from __future__ import annotations

import torch
from torch.nn import functional


def weighted_mean(values: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """The mean of `values` (B, C, H, W), each pixel counting by its weight (B, 1, H, W); 0 where nothing counts."""
    if weight is None:
        return values.mean()
    counts = weight.expand(len(values), 1, *values.shape[-2:])
    total = counts.sum() * values.shape[1]
    return (values * counts).sum() / total.clamp(min=torch.finfo(values.dtype).tiny)


def l1(ours: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """The mean absolute difference; with a weight, of the pixels that count."""
    return weighted_mean((ours - truth).abs(), weight)


def l2(ours: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """The mean squared difference."""
    return weighted_mean((ours - truth).square(), weight)


def smooth_l1(
    ours: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor | None = None, bend: float = 1.0
) -> torch.Tensor:
    """The mean absolute difference less bend / 2, but d² / (2 bend) for differences d below `bend` (Girshick 2015)."""
    return weighted_mean(functional.smooth_l1_loss(ours, truth, reduction="none", beta=bend), weight)


def hard_examples(
    ours: torch.Tensor,
    truth: torch.Tensor,
    weight: torch.Tensor | None = None,
    share: float = 0.5,
    extra: float = 2.0,
) -> torch.Tensor:
    """L1, plus `extra` times the L1 of the worst `share` of each image's pixels that count.

    The share of a half counted twice more is that of Xu et al. 2019 (flow-guided inpainting), whose loss BiSTNet takes.
    """
    error = (ours - truth).abs()
    counts = torch.ones_like(error[:, :1]) if weight is None else weight
    ranked = error.detach().mean(dim=1, keepdim=True).masked_fill(counts <= 0, -1.0)
    hard = torch.zeros_like(counts)
    for image in range(len(error)):
        number = int((counts[image] > 0).sum() * share + 0.5)
        hard[image].view(-1)[ranked[image].flatten().topk(number).indices] = 1
    return weighted_mean(error, counts) + extra * weighted_mean(error, counts * hard)
