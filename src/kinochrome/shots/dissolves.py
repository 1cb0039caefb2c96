"""Dissolves, found from thumbnails and each frame's amount of detail.

While one picture dissolves into another, every frame is a weighted sum of both. Two things follow that movement, pans
and zooms do not share: the frames lie on a straight line between the two pictures, and fine detail, which the two do
not have in common, falls to one half in the middle and rises again along a parabola.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REACHES = (4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32)
"""Frames from the supposed middle to the two pure pictures: dissolves of 4 to about 56 frames are seen."""
BLOCK = 2048
SURE = 1.5
"""Evidence from which a dissolve is believed; see `_evidence`."""
MISFIT = 0.08
"""The most that the found ramp may leave unexplained; smoke and fast motion leave more."""
VARIANCE = 36.0
"""A picture with less (8-bit codes squared, over the thumbnail) is too flat to be one side of a dissolve."""


@dataclass(frozen=True)
class Dissolve:
    """Frames `middle - half` to `middle + half` (excluded) mix two shots."""

    middle: int
    half: int


def find_dissolves(thumbnails: np.ndarray, detail: np.ndarray) -> list[Dissolve]:
    """All dissolves, rising, apart from each other. thumbnails: (T, 24, 32) uint8; detail: (T,), mean squared slope."""
    film = _Film(thumbnails, detail)
    candidates = [candidate for first in range(0, len(detail), BLOCK) for candidate in film.candidates(first)]
    found: list[Dissolve] = []
    for _, middle, reach in sorted(candidates, reverse=True):
        if any(abs(middle - other.middle) <= max(reach, other.half + 4) for other in found):
            continue
        dissolve = film.fit(middle, reach)
        if dissolve and all(abs(dissolve.middle - other.middle) > dissolve.half + other.half for other in found):
            found.append(dissolve)
    return sorted(found, key=lambda dissolve: dissolve.middle)


class _Film:
    def __init__(self, thumbnails: np.ndarray, detail: np.ndarray) -> None:
        self.thumbnails = thumbnails
        self.detail = detail.astype(np.float64)

    def vectors(self, start: int, stop: int) -> np.ndarray:
        """Thumbnails around their mean, (n, 768), scaled so that a dot product is a covariance."""
        flat = self.thumbnails[start:stop].reshape(stop - start, -1).astype(np.float32)
        return (flat - flat.mean(axis=1, keepdims=True)) / np.sqrt(flat.shape[1])

    def candidates(self, first: int) -> list[tuple[float, int, int]]:
        """(evidence, middle, reach) wherever it is enough, for middles in the block at `first`."""
        last = min(first + BLOCK, len(self.detail))
        start, stop = max(0, first - REACHES[-1]), min(len(self.detail), last + REACHES[-1])
        vectors, detail = self.vectors(start, stop), self.detail[start:stop]
        lags = sorted({0, *REACHES, *(2 * reach for reach in REACHES)})
        products = {lag: np.einsum("ij,ij->i", vectors[: len(vectors) - lag], vectors[lag:]) for lag in lags}
        found = []
        for reach in REACHES:
            if len(detail) > 2 * reach:
                evidence = _evidence(products, detail, reach)
                middles = np.flatnonzero(evidence > SURE)
                found += [(float(evidence[i]), int(i) + start + reach, reach) for i in middles]
        return [candidate for candidate in found if first <= candidate[1] < last]

    def fit(self, middle: int, reach: int) -> Dissolve | None:
        """The ramp that explains the frames around best, if any does well enough."""
        start = max(0, middle - 2 * reach - 4)
        stop = min(len(self.detail), middle + 2 * reach + 5)
        vectors = self.vectors(start, stop)
        products, detail = vectors @ vectors.T, self.detail[start:stop]
        fits = [
            (_misfit(products, detail, candidate - start, half), candidate, half)
            for candidate in range(middle - 3 * reach // 4 - 1, middle + 3 * reach // 4 + 2)
            for half in range(2, int(1.3 * reach) + 3)
            if start < candidate - half and candidate + half < stop
        ]
        misfit, candidate, half = min(fits, default=(1.0, 0, 0))
        return Dissolve(candidate, half) if misfit < MISFIT else None


def _evidence(products: dict[int, np.ndarray], detail: np.ndarray, reach: int) -> np.ndarray:
    """(n - 2 reach,) how surely each frame is the middle of a dissolve; above 0 it is likelier than not.

    products: covariances of all frames with those so many frames later. The weights are a logistic regression on
    dissolves made from real clips against the same clips unmixed.
    """
    aa, mm, bb = products[0][: -2 * reach], products[0][reach:-reach], products[0][2 * reach :]
    am, bm, ab = products[reach][:-reach], products[reach][reach:], products[2 * reach]
    correlation = ab / np.sqrt(aa * bb + 1e-3)
    path = np.sqrt(np.maximum(aa + mm - 2 * am, 0)) + np.sqrt(np.maximum(bb + mm - 2 * bm, 0))
    straight = np.sqrt(np.maximum(aa + bb - 2 * ab, 0)) / (path + 1e-3)
    dip = detail[reach:-reach] / (0.5 * (detail[: -2 * reach] + detail[2 * reach :]) + 1e-3)
    shares = _shares(aa, bb, ab, am, bm)
    possible = (np.minimum(aa, bb) > VARIANCE) & (correlation < 0.75) & (dip < 0.95) & (straight > 0.5)
    possible &= np.minimum(*shares) > 0.15
    # A dip below one half is blur or smoke and no better evidence than one half.
    score = 1.2 - 2.6 * correlation + 16.6 * np.log(straight + 1e-6) - 13.9 * np.log(np.maximum(dip, 0.5))
    return np.where(possible, score, -np.inf)


def _misfit(products: np.ndarray, detail: np.ndarray, middle: int, half: int) -> float:
    """What a dissolve at `middle` leaves unexplained: 0 none, 1 all. products: covariances of the frames around."""
    frames = np.arange(len(detail))
    weight = np.clip((frames - middle + half + 0.5) / (2 * half), 0, 1)
    a, b = middle - half - 1, middle + half
    before, after = _shares(products[a, a], products[b, b], products[a, b], products[a], products[b])
    share = np.clip(after / np.maximum(before + after, 0.2), -0.5, 1.5)
    one, other = detail[: a + 1].mean(), detail[b:].mean()
    expected = (1 - weight) ** 2 * one + weight**2 * other
    relative = (detail - expected) / (0.5 * (one + other) + 1e-3)
    return float(np.mean((share - weight) ** 2) + np.mean(np.minimum(relative**2, 1)))


def _shares(
    aa: np.ndarray, bb: np.ndarray, ab: np.ndarray, am: np.ndarray, bm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How much of pictures a and b a frame m holds, by least squares from their covariances."""
    determinant = aa * bb - ab * ab + 1e-3
    return (am * bb - bm * ab) / determinant, (bm * aa - am * ab) / determinant
