"""Frames that a sweep remembers: when the film comes back to what it showed, it finds the colours it had then.

A view is a frame in bytes, (4, h, w) uint8 as `flow.visible` sees it: the picture, a and b + 128, confidence * 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

Views = tuple[np.ndarray, ...]
Shown = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A frame's picture (uint8), ab (h, w, 2) and confidence (h, w)."""

MOST = 8
"""So many are remembered; the oldest make room."""
BEHIND = 2
"""So many sources behind it does one remember where a sweep begins anew: a piece is shown no more."""
NEW, ALIKE = 3.0, 8.0
"""Mean difference of thumbnails, of 255: a frame is remembered from the one on, and found again below the other."""


def remember(views: Views, shown: Shown) -> Views:
    """The views with this one, if it is like none of them."""
    picture, ab, confidence = shown
    if any(unlike(view[0], picture) < NEW for view in views):
        return views
    planes = np.stack([*cv2.split(ab + 128), confidence * 255])
    planes = np.clip(planes + 0.5, 0, 255).astype(np.uint8)
    return (*views, np.concatenate([picture[None], planes]))[-MOST:]


def nearest(views: Views, picture: np.ndarray) -> np.ndarray | None:
    """The most alike view, if one is alike at all."""
    view = min(views, key=lambda one: unlike(one[0], picture), default=None)
    return view if view is not None and unlike(view[0], picture) < ALIKE else None


def colours(view: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ab (h, w, 2) and confidence (h, w) of a view."""
    _, *ab, sure = view.astype(np.float32)
    return cv2.merge(ab) - 128, sure / np.float32(255)


def corrected(views: Views, old: Shown, new: Shown) -> Views:
    """What is remembered once a new source speaks: the old one, too, and nothing that could contradict the new."""
    views = tuple(view for view in views if unlike(view[0], old[0]) >= NEW)
    views = remember(views, old)
    # Where the new one shows a place, what was remembered must not bring the error back.
    doubt = np.array([1, 1, 1, 4], np.uint8)[:, None, None]
    return tuple(view // doubt for view in views if unlike(view[0], new[0]) >= ALIKE)


def behind(sources: Sequence[Shown]) -> Views:
    """What is remembered at the last of these sources, met one after the other."""
    views: Views = ()
    for old, new in pairwise(sources):
        views = corrected(views, old, new)
    return views


def unlike(first: np.ndarray, second: np.ndarray) -> float:
    """Mean difference of two pictures' thumbnails."""
    small, other = (cv2.resize(picture, (32, 18), interpolation=cv2.INTER_AREA) for picture in (first, second))
    return cv2.norm(small, other, cv2.NORM_L1) / small.size
