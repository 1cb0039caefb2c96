"""What `kino` is taught by, in training and in tuning: how far from the truth its answer and its own candidates are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .network import COLOUR, QUARTER, Candidate

SURE = 8.0
"""A confidence of 1/e means a mean error of so many units of ab."""


def terms(candidates: Sequence[Candidate], ab: Tensor, confidence: Tensor, true: Tensor) -> dict[str, Tensor]:
    """L1 of the answer and, at the scale they work on, of each candidate that the network makes; and of confidence."""
    error = (ab - true).abs()
    found = {"colour": error.mean() / COLOUR, "square": (ab - true).square().mean() / COLOUR**2}
    found["confidence"] = surprise(confidence, error)
    small = F.avg_pool2d(true, QUARTER)
    for candidate in candidates:
        if candidate.kind in ("recall", "prior", "scribble"):
            far = (F.avg_pool2d(candidate.ab, QUARTER) - small).abs()
            found[candidate.kind] = far.mean() / COLOUR
        if candidate.kind == "prior":
            found["confidence"] = found["confidence"] + 0.5 * surprise(
                candidate.confidence, (candidate.ab - true).abs()
            )
    return found


def surprise(confidence: Tensor, error: Tensor) -> Tensor:
    """How badly a confidence foretold the error."""
    wanted = torch.exp(-error.detach().float().mean(1, keepdim=True) / SURE)
    said = confidence.float().clamp(1e-4, 1 - 1e-4)
    # Cross-entropy. PyTorch's own is refused in autocast on GPUs, and ends the process where something is no number.
    return -(wanted * said.log() + (1 - wanted) * (1 - said).log()).mean()


def weighted(found: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    """What is minimised."""
    return torch.stack([weights.get(name, 0.0) * value for name, value in found.items()]).sum()
