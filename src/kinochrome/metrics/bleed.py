"""Bleeding: colour that ends where nothing in the film ends."""

from __future__ import annotations

import cv2
import numpy as np

from .metric import Metric
from .picture import step_squares
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
        edges = step_squares(pair.result.lab[1:])
        total = cv2.sumElems(edges)[0]
        if total < COLOURLESS * edges.size:
            return None
        empty = cv2.dilate(pair.truth.light_edges, np.ones((NEARBY, NEARBY), np.uint8)) < EDGE**2
        return cv2.norm(edges, cv2.NORM_L1, empty.view(np.uint8)) / total
