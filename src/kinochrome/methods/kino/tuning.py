"""Weights that a shot's own references have taught a little more, before they colour it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kinochrome import flow
from kinochrome.types import Reference

from . import lesson
from .network import FINEST, STRIDE, Network, carried

SIDE = 192
"""Pixels of the squares it is taught on."""
RATE = 1e-4
"""Of the steps in the middle: they begin and end smaller."""
WEIGHTS = {"colour": 1.0, "square": 1.0, "recall": 0.3, "prior": 0.2, "confidence": 0.05}


def tuned(
    network: Network, references: Sequence[Reference], steps: int, tell: Callable[[int], None] = lambda step: None
) -> Network:
    """A copy of the network after so many steps on the references; the same input gives the same weights.

    Each step shows one of them twice, as a moving camera would: the one view is told, the other is to be coloured.
    Two references that lie far apart make no lesson: their motion is lost, and to learn from that is to learn distrust.
    """
    network = copy.deepcopy(network).train().requires_grad_(True)
    device = next(network.parameters()).device
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    random, search = np.random.default_rng(0), flow.Motion(FINEST)
    pictures = [torch.cat([one.lightness, one.ab, one.confidence]) for one in references]
    for step in range(steps):
        picture = pictures[int(random.integers(len(pictures)))]
        known, asked = (view.to(device) for view in _two_views(picture, random))
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 10, 2 * (steps - step) / steps)
        optimizer.zero_grad()
        _loss(network, known, asked, search).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        tell(step + 1)
    return network.eval().requires_grad_(False)


def _two_views(picture: Tensor, random: np.random.Generator) -> list[Tensor]:
    """Two views of it, (1, 4, s, s) each: lightness, ab and where it is known."""
    place, mirrored = _place(random), random.random() < 0.5
    return [_seen(picture, one, mirrored) for one in (place, place + _place(random) / 4)]


def _place(random: np.random.Generator) -> np.ndarray:
    """Logarithm of zoom, angle, and where to look (-1 to 1 across and down)."""
    return random.uniform(-1, 1, 4) * [0.2, 0.05, 1, 1]


def _seen(picture: Tensor, place: np.ndarray, mirrored: bool) -> Tensor:
    """The square of the picture that lies at a place."""
    height, width = picture.shape[-2:]
    side = max(STRIDE, min(SIDE, height, width) // STRIDE * STRIDE)
    zoom, angle = np.exp(place[0]) * side, place[1]
    sine, cosine = np.sin(angle) * zoom, np.cos(angle) * zoom
    room = np.array([max(0, width - zoom) / width, max(0, height - zoom) / height])
    x, y = place[2:] * room
    # Across is mirrored by walking it the other way.
    way = -1 if mirrored else 1
    matrix = [[way * cosine / width, -sine / width, x], [way * sine / height, cosine / height, y]]
    grid = F.affine_grid(torch.tensor([matrix], dtype=torch.float32), [1, 1, side, side], align_corners=False)
    return F.grid_sample(picture[None].float().cpu(), grid, padding_mode="reflection", align_corners=False)


def _loss(network: Network, known: Tensor, asked: Tensor, search: flow.Motion) -> Tensor:
    """Of colouring the one picture, told the other."""
    pictures = [flow.visible(one[0, 0].cpu().numpy()) for one in (asked, known)]
    motion = torch.from_numpy(search.between(*pictures).transpose(2, 0, 1).copy())[None].to(known.device)
    told, sight = network.see(known[:, :1]), network.see(asked[:, :1])
    said = known[:, 1:3], known[:, 3:].clamp(0, 1)
    candidates = [
        network.guess(sight),
        carried("chain", sight, known[:, :1], said, motion),
        carried("direct", sight, known[:, :1], said, motion),
        network.recall(sight, network.remember(told, *said)),
    ]
    ab, confidence, _ = network.fuse(sight, candidates)
    there = asked[:, 3:].round()
    # Where the reference does not reach, nothing is known to be wrong.
    true = torch.lerp(ab.detach(), asked[:, 1:3], there)
    return lesson.weighted(lesson.terms(candidates, ab, confidence, true), WEIGHTS)
