"""Images seen along a flow, as `kinochrome.flow.warp` does it, for networks and their losses."""

from __future__ import annotations

import torch
from torch.nn import functional


def warp(image: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
    """`image` (B, C, H, W) seen from where `motion` (B, 2, H', W') starts: (B, C, H', W'), bilinear.

    `motion` says where in the image a pixel lies, in pixels (x, y) from where it is; beyond the image its edge goes
    on. Differentiable in both.
    """
    height, width = image.shape[-2:]
    x = torch.arange(motion.shape[-1], dtype=motion.dtype, device=motion.device) + motion[:, 0]
    y = torch.arange(motion.shape[-2], dtype=motion.dtype, device=motion.device)[:, None] + motion[:, 1]
    # -1 and 1 are the outer borders of the first and last pixels, so that an image one pixel wide has a scale too.
    places = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return functional.grid_sample(image, places.to(image.dtype), padding_mode="border", align_corners=False)
