"""Tiny clips with known truth, and their scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import cv2
import numpy as np

from kinochrome.metrics.motion import Motion
from kinochrome.metrics.picture import Picture
from kinochrome.metrics.score import Moment, Pair, Score


def texture(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """A colourful picture, uint8, with broad shapes and fine grain."""
    random = np.random.default_rng(seed)
    broad = cv2.resize(random.random((6, 8, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(random.random((height, width, 1)).astype(np.float32), (0, 0), 1.2)
    return np.clip(255 * (0.7 * broad + 0.8 * (fine[..., None] - 0.5) + 0.1), 0, 255).astype(np.uint8)


def panned(frames: int, step: int = 2, seed: int = 0) -> list[np.ndarray]:
    """A picture that moves to the left by `step` pixels a frame."""
    wide = texture(48, 64 + step * frames, seed)
    return [np.ascontiguousarray(wide[:, step * k : step * k + 64]) for k in range(frames)]


def noisy(frames: Iterable[np.ndarray], size: int, seed: int = 1) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [
        np.clip(frame.astype(int) + random.integers(-size, size + 1, frame.shape), 0, 255).astype(np.uint8)
        for frame in frames
    ]


def grey(frames: Iterable[np.ndarray]) -> list[np.ndarray]:
    return [frame.mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, 2) for frame in frames]


def known(first: Picture, second: Picture, forward: np.ndarray, backward: np.ndarray) -> Motion:
    """A motion whose flows are given."""
    return Motion(first, second, lambda start, _: forward if start is first else backward)


def moved(first: Picture, second: Picture, x: float, y: float = 0) -> Motion:
    """Everything moves by (x, y)."""
    forward = np.full((*first.given.shape[:2], 2), (x, y), np.float32)
    return known(first, second, forward, -forward)


def moments(truth: Sequence[np.ndarray], x: float = 0) -> list[Moment]:
    """The true film, which moves x pixels to the right a frame."""
    pictures = [Picture(frame) for frame in truth]
    motions = [None, *(moved(*both, x) for both in pairwise(pictures))]
    return [Moment(k, *both) for k, both in enumerate(zip(pictures, motions, strict=True))]


def clip_figure(name: str, results: Sequence[np.ndarray], truth: Sequence[np.ndarray], x: float = 0) -> float | None:
    """A metric of a clip whose true motion is x pixels a frame to the right."""
    score = Score([name])
    for moment, result in zip(moments(truth, x), results, strict=True):
        score.add(moment, result)
    return score.finish()[name]


def pair_of(result: np.ndarray, truth: np.ndarray) -> Pair:
    return Pair(Moment(0, Picture(truth), None), Picture(result), None, None, None)


def flat(*rgb: float, size: tuple[int, int] = (12, 16)) -> np.ndarray:
    """One colour, uint8 where all are whole numbers above 1, else float32 0..1."""
    whole = all(float(value).is_integer() for value in rgb) and max(rgb) > 1
    return np.full((*size, 3), rgb, np.uint8 if whole else np.float32)
