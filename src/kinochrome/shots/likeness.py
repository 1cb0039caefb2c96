"""How alike two frames look, judged by their thumbnails alone, whatever their exposure."""

from __future__ import annotations

import numpy as np

THUMBNAIL = (24, 32)
"""Height and width."""
BLANK = 3.0
"""A thumbnail whose codes spread less (standard deviation, 8 bit) shows nothing: leader, black, white."""


def normalised(thumbnails: np.ndarray) -> np.ndarray:
    """Thumbnails as vectors of length 1 around their mean, so that a dot product is a correlation.

    (..., 24, 32) to (..., 768) float32; a blank thumbnail becomes all zeros.
    """
    flat = thumbnails.reshape(*thumbnails.shape[:-2], -1).astype(np.float32)
    flat -= flat.mean(axis=-1, keepdims=True)
    length = np.sqrt(np.square(flat).sum(axis=-1, keepdims=True))
    blank = length < BLANK * np.sqrt(flat.shape[-1])
    return np.where(blank, 0, flat / np.where(blank, 1, length))


def most_alike(thumbnail: np.ndarray, candidates: np.ndarray) -> tuple[int, float]:
    """Which of the candidates looks most like the thumbnail, and how much (-1 to 1; 0 where one of both is blank).

    (24, 32) and (n, 24, 32), n at least 1, any exposure. Of equals the first.
    """
    scores = normalised(candidates) @ normalised(thumbnail)
    best = int(np.argmax(scores))
    return best, float(scores[best])
