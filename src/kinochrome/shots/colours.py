"""Whether parts of a film are in colour already; a cast, a toning or noise around one hue is none."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from kinochrome.shots.likeness import THUMBNAIL

COLOUR = 1.0
"""Colourfulness from which a frame is surely in colour …"""
SURELY_GREY = 0.35
"""… and up to which it surely is not."""
MOSTLY = 0.55
"""A shot of one kind is in colour from this median on."""
SHORTEST = 8
"""Frames that a change within a shot must last."""
KNOTS = 9
STIFFNESS = 2.0


def colourfulness(luma: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> float:
    """How far chroma spreads in two dimensions beyond what luma explains, in 8-bit codes.

    luma, cb, cr: (24, 32), 8-bit codes, luma full range, chroma around 0. Sepia, tinting and split toning are curves
    of chroma over luma: they are fitted and removed. What neighbouring cells do not share is noise and is left out.
    A colour that luma foretells entirely (a cloud in a blue sky) looks like a toning, and is taken for one.
    """
    position = luma.ravel() * ((KNOTS - 1) / 255)
    hats = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(KNOTS)))
    bend = np.diff(np.eye(KNOTS), 2, axis=0)
    normal = hats.T @ hats + STIFFNESS * bend.T @ bend + 1e-3 * np.eye(KNOTS)
    chroma = np.stack([cb.ravel(), cr.ravel()], axis=1)
    rest = (chroma - hats @ np.linalg.solve(normal, hats.T @ chroma)).reshape(*THUMBNAIL, 2)
    right = np.einsum("yxi,yxj->ij", rest[:, 1:], rest[:, :-1]) / rest[:, 1:, 0].size
    below = np.einsum("yxi,yxj->ij", rest[1:], rest[:-1]) / rest[1:, :, 0].size
    shared = (right + right.T + below + below.T) / 4
    minor, major = np.sqrt(np.maximum(np.linalg.eigvalsh(shared), 0))
    # Real colour may be nearly one line (orange and teal), so the long axis helps; without a second axis it is a cast.
    return float(min(np.sqrt(minor * major), 2 * minor))


def in_colour(values: np.ndarray, blank: np.ndarray, spans: list[tuple[int, int]]) -> np.ndarray:
    """(T,) bool: frames in colour, steady. values: (T,) colourfulness; blank: (T,) frames that show nothing.

    spans: of each shot the frames (start, stop) outside its dissolves, at least one.
    """
    edges = [0, *((before[1] + after[0]) // 2 for before, after in pairwise(spans)), len(values)]
    steady = np.zeros(len(values), dtype=bool)
    seen: bool | None = None
    unseen = 0
    for (start, stop), (first, last) in zip(spans, pairwise(edges), strict=True):
        shown = np.flatnonzero(~blank[start:stop])
        if len(shown):
            # Blank frames carry no colour; they go with the frame before, or after where there is none.
            nearest = np.maximum(np.searchsorted(shown, np.arange(stop - start), side="right") - 1, 0)
            inner = _within_shot(values[start:stop][shown])[nearest]
            steady[first:last] = np.pad(inner, (start - first, last - stop), mode="edge")
            if seen is None:
                steady[:unseen] = inner[0]
            seen = bool(inner[-1])
        else:
            steady[first:last] = bool(seen)
            unseen = last if seen is None else unseen
    return steady


def _within_shot(values: np.ndarray) -> np.ndarray:
    """(n,) bool for the frames of one shot: all alike, unless parts of it are surely grey and others surely not."""
    known = np.flatnonzero((values >= COLOUR) | (values <= SURELY_GREY))
    if len(known):
        nearest = np.maximum(np.searchsorted(known, np.arange(len(values)), side="right") - 1, 0)
        flags = _without_short_runs((values >= COLOUR)[known[nearest]])
        if flags.any() and not flags.all():
            return flags
    return np.full(len(values), np.median(values) >= MOSTLY)


def _without_short_runs(flags: np.ndarray) -> np.ndarray:
    """The flags, with runs shorter than 8 frames given to what surrounds them, shortest first."""
    flags = flags.copy()
    while True:
        edges = np.concatenate([[0], np.flatnonzero(np.diff(flags)) + 1, [len(flags)]])
        lengths = np.diff(edges)
        if len(lengths) < 2 or lengths.min() >= SHORTEST:
            return flags
        shortest = int(np.argmin(lengths))
        flags[edges[shortest] : edges[shortest + 1]] ^= True
