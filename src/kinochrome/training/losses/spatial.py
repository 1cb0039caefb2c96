"""How the colours of one frame should lie beside each other."""

from __future__ import annotations

import torch
from torch.nn import functional

from .reconstruction import l1


def smoothness(ab: torch.Tensor) -> torch.Tensor:
    """The mean absolute difference to the pixel on the right, plus that to the pixel below."""
    right, below = (ab.diff(dim=dim).abs() for dim in (-1, -2))
    return right.sum() / max(right.numel(), 1) + below.sum() / max(below.numel(), 1)


def guided_smoothness(ab: torch.Tensor, lightness: torch.Tensor, spread: float = 10.0) -> torch.Tensor:
    """The mean absolute difference to what the 3x3 pixels around are on average, those of like lightness before others.

    A pixel's weight is exp(-(difference of lightness)² / spread). As Zhang et al. 2019 (deep exemplar), whose spread
    is 10.
    """
    around = _neighbours(lightness)
    likeness = (-(around - lightness[:, :, None]).square() / spread).softmax(dim=2)
    return l1(ab, (likeness * _neighbours(ab)).sum(dim=2))


def _neighbours(image: torch.Tensor) -> torch.Tensor:
    """(B, C, 9, H, W): each pixel's 3x3, itself among them; beyond the edge the edge goes on."""
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    height, width = image.shape[-2:]
    return torch.stack(
        [padded[..., y : y + height, x : x + width] for y in range(3) for x in range(3)],
        dim=2,
    )


def edge(ours: torch.Tensor, guide: torch.Tensor) -> torch.Tensor:
    """How unlike the edges of `ours` are to those of `guide`: root mean square of the difference of their strength.

    The guide has as many channels as ours, or one for all: the lightness, whose edges BiSTNet asks colours to keep.
    """
    # 1e-12: a root has no gradient at 0.
    return ((edges(ours) - edges(guide)).square().mean() + 1e-12).sqrt()


def edges(image: torch.Tensor) -> torch.Tensor:
    """Sobel's gradient, its length at each pixel of each channel: 4 on both sides of a step of 1."""
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    # The two directions are each a difference along one side and a 1 2 1 along the other.
    across = padded[..., 2:] - padded[..., :-2]
    across = across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]
    down = padded[..., 2:, :] - padded[..., :-2, :]
    down = down[..., :-2] + 2 * down[..., 1:-1] + down[..., 2:]
    return (across.square() + down.square() + 1e-12).sqrt()


def bilateral_neighbours(guide: torch.Tensor, count: int = 5, reach: float = 500.0) -> torch.Tensor:
    """(B, H W, count) indices of the pixels most alike in the guide and in place, none its own.

    As Lei and Chen 2019 (FAVC): the guide is the true R'G'B' 0..1, beside x and y in pixels divided by `reach`. Every
    pixel meets every other: for small images.
    """
    height, width = guide.shape[-2:]
    y, x = torch.meshgrid(*(torch.arange(size).to(guide) / reach for size in (height, width)), indexing="ij")
    points = torch.cat([guide, torch.stack([x, y]).expand(len(guide), 2, height, width)], dim=1).flatten(2).mT
    found = []
    for start in range(0, height * width, 1024):
        distance = torch.cdist(points[:, start : start + 1024], points, compute_mode="donot_use_mm_for_euclid_dist")
        own = torch.arange(start, start + distance.shape[1], device=guide.device)
        distance[:, own - start, own] = torch.inf
        found.append(distance.topk(count, dim=2, largest=False).indices)
    return torch.cat(found, dim=1)


def neighbour_regularisation(ours: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
    """The mean absolute difference between each pixel and its neighbours as `bilateral_neighbours` found them."""
    flat = ours.flatten(2)
    places = neighbours.flatten(1)[:, None].expand(-1, flat.shape[1], -1)
    others = flat.gather(2, places).view(*flat.shape, neighbours.shape[2])
    return (others - flat[..., None]).abs().mean()
