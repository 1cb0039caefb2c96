"""Bleeding: colour that ends where nothing in the film ends."""

from __future__ import annotations

import cv2
import numpy as np

from .metric import Metric
from .score import Pair

EDGE = 1.5
"""L* a pixel, after a little smoothing: what the film must show nearby for a chroma edge to belong there."""
NEARBY = 5
"""Pixels across: chroma is half as sharp as luma in nearly all footage."""
COLOURLESS = 0.01
"""Mean squared chroma step below which a frame has no chroma edges to speak of."""


class Bleed(Metric):
    """Share 0..1 of chroma edges, weighted by their squares, that lie where the true film has no edge of lightness.

    Saturation does not change it, so greying hides nothing; a grey frame has no figure. Real films have some: the
    truth's own figure is the mark.
    """

    better = "truth"

    def of(self, pair: Pair) -> float | None:
        edges = _step_squares(pair.result.lab[1:])
        total = cv2.sumElems(edges)[0]
        if total < COLOURLESS * edges.size:
            return None
        light = _step_squares(pair.truth.lab[:1])
        empty = cv2.dilate(light, np.ones((NEARBY, NEARBY), np.uint8)) < EDGE**2
        return cv2.norm(edges, cv2.NORM_L1, empty.view(np.uint8)) / total


def _step_squares(planes: np.ndarray) -> np.ndarray:
    """(h, w): the squared change a pixel across and down, summed over planes (n, h, w)."""
    total = np.zeros(planes.shape[1:], np.float32)
    for plane in planes:
        smooth = cv2.GaussianBlur(plane, (5, 5), 1)
        for across, down in ((1, 0), (0, 1)):
            step = cv2.Sobel(smooth, cv2.CV_32F, across, down, scale=1 / 8)
            step *= step
            total += step
    return total
