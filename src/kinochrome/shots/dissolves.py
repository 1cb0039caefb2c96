"""Dissolves, found from thumbnails and each frame's amount of detail.

While one picture dissolves into another, every frame is a weighted sum of both. Two things follow that movement, pans
and zooms do not share: the frames lie on a straight line between the two pictures, and fine detail, which the two do
not have in common, falls to one half in the middle and rises again along a parabola.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinochrome.shots.likeness import THUMBNAIL

REACHES = (4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32)
"""Frames from the supposed middle to the two pure pictures: dissolves of 4 to about 56 frames are seen."""
BLOCK = 2048
SURE = 3.5
"""Evidence from which a dissolve is believed; see `_evidence`."""
MISFIT = 0.14
"""The most that the found ramp may leave unexplained; smoke and fast motion leave more."""
DARKEST = 8.0
"""Added to a frame's mean code before dividing by it, so that the noise of black does not count."""
TINY = 1e-6
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
    """Thumbnails and detail relative to each frame's light, so that flicker and fades of one picture leave no trace."""

    def __init__(self, thumbnails: np.ndarray, detail: np.ndarray) -> None:
        self.thumbnails = thumbnails
        self.light = np.array([thumbnail.mean() for thumbnail in thumbnails]) + DARKEST
        self.detail = detail / self.light**2

    def vectors(self, start: int, stop: int) -> np.ndarray:
        """Thumbnails around their mean, (n, 768), scaled so that a dot product is a covariance."""
        flat = self.thumbnails[start:stop].reshape(stop - start, -1).astype(np.float32)
        flat -= flat.mean(axis=1, keepdims=True)
        return flat / (np.sqrt(flat.shape[1]) * self.light[start:stop, None]).astype(np.float32)

    def candidates(self, first: int) -> list[tuple[float, int, int]]:
        """(evidence, middle, reach) wherever it is enough, for middles in the block at `first`."""
        last = min(first + BLOCK, len(self.detail))
        start, stop = max(0, first - REACHES[-1]), min(len(self.detail), last + REACHES[-1])
        vectors, detail, light = self.vectors(start, stop), self.detail[start:stop], self.light[start:stop]
        lags = sorted({0, *REACHES, *(2 * reach for reach in REACHES)})
        products = {
            lag: np.einsum("ij,ij->i", vectors[: len(vectors) - lag], vectors[lag:])
            for lag in lags
            if lag < len(vectors)
        }
        # Detail seen fine and coarse, with and without its light: a pull of focus, an exposure or its correction
        # spares one of them, a dissolve none.
        details = [detail, detail * light**2, _mean_squared_slopes(vectors)]
        found = []
        for reach in REACHES:
            if len(detail) > 2 * reach:
                evidence = _evidence(products, details, light, reach)
                middles = np.flatnonzero(evidence > SURE)
                found += [(float(evidence[i]), int(i) + start + reach, reach) for i in middles]
        return [candidate for candidate in found if first <= candidate[1] < last]

    def fit(self, middle: int, reach: int) -> Dissolve | None:
        """The ramp that explains the frames around best, if any does well enough."""
        start = max(0, middle - 2 * reach - 4)
        stop = min(len(self.detail), middle + 2 * reach + 5)
        vectors, detail, light = self.vectors(start, stop), self.detail[start:stop], self.light[start:stop]
        products = vectors @ vectors.T

        def best(middles: range, halves: range) -> tuple[float, int, int]:
            inside = [(m, h) for m in middles for h in halves if 1 < h < m and m + h < len(detail)]
            return min(
                ((_misfit(products, detail, light, Dissolve(m, h)), m, h) for m, h in inside), default=(1.0, 0, 0)
            )

        # Coarse to fine; the misfit is smooth.
        step, around = max(1, reach // 6), 3 * reach // 4 + 1
        centre = middle - start
        _, m, h = best(range(centre - around, centre + around + 1, step), range(2, int(1.3 * reach) + 3, step))
        misfit, m, h = best(range(m - step, m + step + 1), range(h - step, h + step + 1))
        return Dissolve(m + start, h) if misfit < MISFIT else None


def _evidence(products: dict[int, np.ndarray], details: list[np.ndarray], light: np.ndarray, reach: int) -> np.ndarray:
    """(n - 2 reach,) how surely each frame is the middle of a dissolve; above 0 it is likelier than not.

    products: covariances of all frames with those so many frames later. The weights are a logistic regression on
    dissolves made from real clips against the same clips unmixed, flickering, fading.
    """
    before, middle, after = slice(None, -2 * reach), slice(reach, -reach), slice(2 * reach, None)
    aa, mm, bb = (products[0][part] for part in (before, middle, after))
    am, bm, ab = products[reach][:-reach], products[reach][reach:], products[2 * reach]
    correlation = ab / np.sqrt(aa * bb + TINY)
    path = np.sqrt(np.maximum(aa + mm - 2 * am, 0)) + np.sqrt(np.maximum(bb + mm - 2 * bm, 0))
    straight = np.sqrt(np.maximum(aa + bb - 2 * ab, 0)) / (path + TINY)
    dips = [d[middle] / (0.5 * (d[before] + d[after]) + TINY) for d in details]
    # Contrast falls less, by what the two pictures have in common; beyond that it tells the same.
    dip = np.max([*dips, 2 * mm / (aa + bb + 2 * ab + TINY)], axis=0)
    possible = np.minimum(aa * light[before] ** 2, bb * light[after] ** 2) > VARIANCE
    possible &= (correlation < 0.75) & (dip < 0.95) & (straight > 0.5)
    possible &= np.minimum(*_shares(aa, bb, ab, am, bm)) > 0.15
    # A dip below one half is blur or smoke and no better evidence than one half.
    score = 4.8 - 6.1 * correlation + 16.3 * np.log(straight + TINY) - 9.3 * np.log(np.maximum(dip, 0.5))
    return np.where(possible, score, -np.inf)


def _mean_squared_slopes(vectors: np.ndarray) -> np.ndarray:
    pictures = vectors.reshape(-1, *THUMBNAIL)
    across, down = np.diff(pictures, axis=2), np.diff(pictures, axis=1)
    return np.einsum("nij,nij->n", across, across) + np.einsum("nij,nij->n", down, down)


def _misfit(products: np.ndarray, detail: np.ndarray, light: np.ndarray, dissolve: Dissolve) -> float:
    """What a dissolve leaves unexplained of the frames around: 0 none. products: covariances of all with all.

    Three curves are compared with the ramp: the later shot's share, the fall of detail, and that of contrast.
    """
    frames = np.arange(len(detail))
    a, b = dissolve.middle - dissolve.half - 1, dissolve.middle + dissolve.half
    weight = np.clip((frames - dissolve.middle + dissolve.half + 0.5) / (2 * dissolve.half), 0, 1)
    weight = weight * light[b] / ((1 - weight) * light[a] + weight * light[b])
    aa, bb, ab = products[a, a], products[b, b], products[a, b]
    before, after = _shares(aa, bb, ab, products[a], products[b])
    share = np.clip(after / np.maximum(before + after, 0.2), -0.5, 1.5)
    one, other = detail[: a + 1].mean(), detail[b:].mean()
    texture = (1 - weight) ** 2 * one + weight**2 * other
    contrast = (1 - weight) ** 2 * aa + weight**2 * bb + 2 * weight * (1 - weight) * ab
    errors = [
        np.square(share - weight),
        np.square((detail - texture) / (0.5 * (one + other) + TINY)),
        np.square((products.diagonal() - contrast) / (0.5 * (aa + bb) + TINY)),
    ]
    return float(sum(np.minimum(error, 1).mean() for error in errors))


def _shares(
    aa: np.ndarray, bb: np.ndarray, ab: np.ndarray, am: np.ndarray, bm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How much of pictures a and b a frame m holds, by least squares from their covariances."""
    determinant = aa * bb - ab * ab + TINY
    return (am * bb - bm * ab) / determinant, (bm * aa - am * ab) / determinant
