"""How the colours of a frame should follow from those of another along the motion.

The papers sum over pairs of frames; these are means over them, so that a longer clip weighs no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from kinochrome.errors import MethodError
from kinochrome.nets.warp import warp

from .reconstruction import l1, weighted_mean


@dataclass(frozen=True)
class Link:
    """What joins two frames of a clip."""

    later: int
    earlier: int
    motion: torch.Tensor
    """From the later frame to the earlier."""
    weight: torch.Tensor | None = None
    """How far each pixel of the later frame was in sight in the earlier, 0..1; see `visibility` and `in_sight`."""


# --- Which frames to join: (later, earlier) ---


def short_pairs(count: int) -> list[tuple[int, int]]:
    """Each frame of a clip and the one before."""
    return [(later, later - 1) for later in range(1, count)]


def long_pairs(count: int, interval: int | None = None) -> list[tuple[int, int]]:
    """Each frame and the one `interval` before it; with None each and the first, as Lai et al. 2018."""
    if interval is None:
        return [(later, 0) for later in range(1, count)]
    return [(later, later - interval) for later in range(interval, count)]


def dense_pairs(count: int) -> list[tuple[int, int]]:
    """Each frame and every one at least two before (VCGAN)."""
    return [(later, earlier) for later in range(2, count) for earlier in range(later - 1)]


# --- Losses of clips: frames are (B, C, H, W), one a time ---


def short_term(frames: Sequence[torch.Tensor], links: Sequence[Link]) -> torch.Tensor:
    """The mean absolute change from each frame to the next along the motion (Lai et al. 2018)."""
    return _change(frames, links, short_pairs(len(frames)))


def long_term(frames: Sequence[torch.Tensor], links: Sequence[Link], interval: int | None = None) -> torch.Tensor:
    """The mean absolute change over `interval` frames; with None since the first frame, as Lai et al. 2018."""
    return _change(frames, links, long_pairs(len(frames), interval))


def dense_long_term(frames: Sequence[torch.Tensor], links: Sequence[Link]) -> torch.Tensor:
    """The mean absolute change between all frames that are not next to each other (VCGAN)."""
    return _change(frames, links, dense_pairs(len(frames)))


def _change(frames: Sequence[torch.Tensor], links: Sequence[Link], pairs: Sequence[tuple[int, int]]) -> torch.Tensor:
    """The mean over the pairs, each of which must have its link; 0 where the clip is too short for any."""
    by_pair = {(link.later, link.earlier): link for link in links}
    if not pairs:
        return frames[0].sum() * 0
    changes = []
    for later, earlier in pairs:
        link = by_pair.get((later, earlier))
        if link is None:
            raise MethodError(f"The loss needs the motion from frame {later} to frame {earlier}: give a Link of these.")
        changes.append(l1(frames[later], warp(frames[earlier], link.motion), link.weight))
    return torch.stack(changes).mean()


# --- Losses of two frames ---


def temporal_consistency(
    ours: torch.Tensor, before: torch.Tensor, motion: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """The mean squared change since the frame before, to which `motion` leads (Zhang et al. 2019)."""
    return weighted_mean((warp(before, motion) - ours).square(), weight)


def self_regularisation(
    ours: torch.Tensor, other: torch.Tensor, motion: torch.Tensor, sharpness: float = 50.0, scale: float = 100.0
) -> torch.Tensor:
    """The mean length of the change to another frame's answer; the greater a change, the less it counts.

    A pixel's weight is exp(-sharpness |change / scale|²): what changes that much is taken to be something else. As
    the survey has TCVC's (Liu et al. 2021), which sees no true colour; 50 is for colours of length about 1, hence the
    scale of ab. No gradient goes through the weight: to change more is no way to a lower loss.
    """
    change = ours - warp(other, motion)
    squared = change.square().sum(dim=1, keepdim=True)
    weight = (-sharpness * squared.detach() / scale**2).exp()
    # 1e-12: a root has no gradient at 0.
    return (weight * (squared + 1e-12).sqrt()).mean()


# --- What is in sight: weights (B, 1, H, W) ---


def visibility(
    lightness: torch.Tensor, other: torch.Tensor, motion: torch.Tensor, sharpness: float = 50.0
) -> torch.Tensor:
    """exp(-sharpness d²), d the change of lightness along the motion, 1 being all of it (Lai et al. 2018)."""
    return (-sharpness * ((lightness - warp(other, motion)) / 100).square()).exp()


def in_sight(motion: torch.Tensor, counter: torch.Tensor) -> torch.Tensor:
    """1 where the motion stays in the picture and the counter-motion there undoes it, else 0.

    But for 0.5 and a hundredth of their squared lengths, as Ruder et al. 2016 after Sundaram et al. 2010.
    """
    height, width = motion.shape[-2:]
    back = warp(counter, motion)
    undone = _squared(motion + back) <= 0.01 * (_squared(motion) + _squared(back)) + 0.5
    x = torch.arange(width, device=motion.device) + motion[:, :1]
    y = torch.arange(height, device=motion.device)[:, None] + motion[:, 1:]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return (undone & inside).to(motion.dtype)


def _squared(motion: torch.Tensor) -> torch.Tensor:
    return motion.square().sum(dim=1, keepdim=True)
