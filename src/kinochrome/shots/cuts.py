"""Cuts and fades through black: boundaries at one frame, told from flashes and changes of light."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kinochrome.shots.likeness import BLANK, normalised

SAME_PICTURE = 0.85
"""Above this correlation across a jump only the light has changed (exposure, flicker, lamp)."""
OTHER_PICTURE = 0.6
"""A faint jump (dark or faded film) counts only below this correlation."""
STRONG_JUMP = 15.0
"""Mean change of luma, in 8-bit codes, that no longer is faint."""
FLASH = 4
"""Frames after a jump within which a flash, a splice or a burst is over."""
FADE_REACH = 48
"""Frames from black within which a fade has come up to a picture."""
PICTURE = 4 * BLANK
"""Spread of codes that a picture reaches on both sides of the black."""
DARK = 64
"""Mean code below which a blank frame is black rather than white."""
STILL_FADING = 0.75
"""Share of a picture's spread that a frame next to black has at most, in a fade."""


def verified_cuts(jumps: np.ndarray, strengths: np.ndarray, thumbnails: np.ndarray) -> list[int]:
    """Those of the jumps between frames that are cuts, rising: first frames of shots.

    jumps: (n,) frame indices, rising; strengths: (n,) mean change of luma; thumbnails: (T, 24, 32).
    Jumps close together are one event, placed where the picture changes most.
    """
    cuts = []
    for event in np.split(np.arange(len(jumps)), np.flatnonzero(np.diff(jumps) > FLASH) + 1):
        if not len(event):
            continue
        frames = jumps[event]
        before = frames[0] - 1
        around = normalised(thumbnails[before : frames[-1] + FLASH + 1])
        across = np.sum(around[frames - before - 1] * around[frames - before], axis=1)
        after = around[frames[-1] - before :] @ around[0]
        limit = SAME_PICTURE if strengths[event].max() >= STRONG_JUMP else OTHER_PICTURE
        if across.min() < limit and not _comes_back(across.min(), after):
            cuts.append(int(frames[np.argmin(across)]))
    return cuts


def _comes_back(across: float, after: np.ndarray) -> bool:
    """After the jump the picture of before is seen again: a flash, not a cut."""
    return bool(after.max() > SAME_PICTURE or after.max() > max(OTHER_PICTURE, across + 0.15))


def fades_through_black(thumbnails: np.ndarray) -> list[tuple[int, int]]:
    """Dark stretches (start, stop) that one picture fades into and another out of, rising; leader is none."""
    dark = blank_frames(thumbnails) & (_over_blocks(thumbnails, np.mean) < DARK)
    spread = _over_blocks(thumbnails, np.std)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], dark, [False]]).astype(np.int8)))
    stretches = []
    for start, stop in edges.reshape(-1, 2).tolist():
        before, after = spread[max(0, start - FADE_REACH) : start], spread[stop : stop + FADE_REACH]
        if not before.size or not after.size or min(before.max(), after.max()) < PICTURE:
            continue
        # Black that comes and goes at once is a flash, or a shot between two cuts.
        if before[-1] < STILL_FADING * before.max() or after[0] < STILL_FADING * after.max():
            stretches.append((start, stop))
    return stretches


def blank_frames(thumbnails: np.ndarray) -> np.ndarray:
    """(T,) bool: frames that show nothing."""
    return _over_blocks(thumbnails, np.std) < BLANK


def _over_blocks(thumbnails: np.ndarray, statistic: Callable[..., np.ndarray], length: int = 4096) -> np.ndarray:
    """(T,) the statistic of each thumbnail; in blocks, so that float copies of a long film stay small."""
    starts = range(0, len(thumbnails), length)
    return np.concatenate([statistic(thumbnails[first : first + length], axis=(1, 2)) for first in starts])
