"""Several answers to one frame, that they be different."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def diversity(answers: Sequence[Sequence[torch.Tensor]], truth: Sequence[torch.Tensor]) -> torch.Tensor:
    """The best answer's distance from the truth, plus a little of everyone's, less for each that follows.

    Answers and truth are features, lists of (B, C, h, w); a distance is the mean absolute difference, summed over the
    layers. The last of n answers counts 0.01, each before it twice as much: Lei and Chen 2019 (FAVC), whose n is 4.
    Each frame of the batch has its own best.
    """
    distances = torch.stack([_distances(answer, truth) for answer in answers])
    last = len(answers) - 1
    little = distances.new_tensor([0.01 * 2 ** (last - number) for number in range(len(answers))])
    return (distances.amin(dim=0) + (little[:, None] * distances).sum(dim=0)).mean()


def _distances(answer: Sequence[torch.Tensor], truth: Sequence[torch.Tensor]) -> torch.Tensor:
    """(B,)."""
    layers = [(first - second).abs().flatten(1).mean(dim=1) for first, second in zip(answer, truth, strict=True)]
    return torch.stack(layers).sum(dim=0)
