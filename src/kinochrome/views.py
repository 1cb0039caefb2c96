"""Frames that a sweep remembers: when the film comes back to what it showed, it finds the colours it had then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import cv2
import numpy as np


@dataclass(frozen=True)
class View:
    """One of them, in bytes."""

    planes: np.ndarray
    """(4, h, w) uint8: the picture as `flow.visible` sees it, a and b + 128, confidence * 255."""
    small: np.ndarray
    """The picture's thumbnail."""

    @property
    def picture(self) -> np.ndarray:
        """(h, w) uint8"""
        return self.planes[0]

    @property
    def lightness(self) -> np.ndarray:
        """(h, w) float32, 0..100: what the picture shows."""
        return self.picture.astype(np.float32) / np.float32(2.55)

    @property
    def sure(self) -> float:
        """How confident it is on the mean."""
        return float(self.planes[3].mean())


Views = tuple[View, ...]
"""In the order in which they were met."""
Shown = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A frame's picture (uint8), ab (h, w, 2) and confidence (h, w)."""

EVERY = 2
"""Every so many frames one is worth remembering."""
MOST = 24
"""So many are remembered: spread over all that was shown, and where two show the same, the one that is surer."""
LATEST = 4
"""A film is back where it was when none of so many that were remembered last is as much like it as an earlier one."""
BEHIND = 2
"""So many sources behind it does one remember where a sweep begins anew: a piece is shown no more."""
NEW, ALIKE = 3.0, 8.0
"""Mean difference of thumbnails, of 255: a frame is remembered from the one on, and shows the same below the other."""


def remember(views: Views, shown: Shown) -> Views:
    """The views with this one, if it is like none of them; others make room."""
    picture, ab, confidence = shown
    small = thumbnail(picture)
    if any(unlike(view.small, small) < NEW for view in views):
        return views
    planes = np.stack([*cv2.split(ab + 128), confidence * 255])
    planes = np.clip(planes + 0.5, 0, 255).astype(np.uint8)
    views = (*views, View(np.concatenate([picture[None], planes]), small))
    return views if len(views) <= MOST else _without_one(views)


def _without_one(views: Views) -> Views:
    """The less sure of the two that are most alike is gone; the newest stays."""
    pairs = combinations(range(len(views) - 1), 2)
    alike = min(pairs, key=lambda pair: unlike(views[pair[0]].small, views[pair[1]].small))
    gone = min(alike, key=lambda one: views[one].sure)
    return (*views[:gone], *views[gone + 1 :])


def nearest(views: Views, picture: np.ndarray) -> View | None:
    """The view that is most like a picture, if the film is back there: not where it goes on from the latest."""
    earlier = len(views) - LATEST
    if earlier <= 0:
        return None
    small = thumbnail(picture)
    best = min(range(len(views)), key=lambda one: unlike(views[one].small, small))
    return views[best] if best < earlier else None


def colours(view: View) -> tuple[np.ndarray, np.ndarray]:
    """ab (h, w, 2) and confidence (h, w) of a view."""
    _, *ab, sure = view.planes.astype(np.float32)
    return cv2.merge(ab) - 128, sure / np.float32(255)


def corrected(views: Views, old: Shown, new: Shown) -> Views:
    """What is remembered once a new source speaks: the old one, too, and nothing that could contradict the new."""
    before, now = thumbnail(old[0]), thumbnail(new[0])
    views = remember(tuple(view for view in views if unlike(view.small, before) >= NEW), old)
    # Where the new one shows a place, what was remembered must not bring the error back.
    doubt = np.array([1, 1, 1, 4], np.uint8)[:, None, None]
    return tuple(View(view.planes // doubt, view.small) for view in views if unlike(view.small, now) >= ALIKE)


def behind(sources: Sequence[Shown]) -> Views:
    """What is remembered at the last of these sources, met one after the other."""
    views: Views = ()
    for old, new in pairwise(sources):
        views = corrected(views, old, new)
    return views


def packed(views: Views) -> np.ndarray:
    """(n, 4, h, w) uint8: all of them, to be taken up elsewhere."""
    return np.stack([view.planes for view in views])


def unpacked(planes: Iterable[np.ndarray]) -> Views:
    """What was `packed`."""
    return tuple(View(one, thumbnail(one[0])) for one in planes)


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """By which pictures are compared."""
    return cv2.resize(picture, (32, 18), interpolation=cv2.INTER_AREA)


def unlike(first: np.ndarray, second: np.ndarray) -> float:
    """Mean difference of two thumbnails."""
    return cv2.norm(first, second, cv2.NORM_L1) / first.size
