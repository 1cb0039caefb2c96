"""From what a person gave and what the film holds to what a method eats: pieces, small images, references.

The only translator between the two worlds: frames of any depth, turn and pixel shape become upright lightness at
working size; pictures become references; long shots become overlapping pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from . import color
from .types import Frame, Painted, Reference, Scribble, Shot, VideoInfo

OVERLAP = 1
"""Frames that a piece sees of the one before. One is enough to hand colours over."""

NEIGHBOURS = 2
"""References outside a piece that it is shown, on each side."""

STROKE = 0.25
"""The share of a working-size pixel that strokes must cover to colour it. A line as wide as two thirds of such a pixel
(3 of 1080 rows at 240) covers a third of some pixel wherever it lies: it stays unbroken, and is hardly widened."""

Fit = Literal["stretch", "contain", "cover"]


@dataclass(frozen=True)
class Piece:
    """A run of frames that is coloured, rendered, stored and resumed as one."""

    shot: int
    """Index into the list of shots."""
    first: int
    """The clip starts here."""
    start: int
    """Frames from here …"""
    stop: int
    """… to here (excluded) are written."""
    last: int
    """The clip stops here; beyond `stop` lie frames that dissolve into the next shot, which that shot writes."""
    continues: bool
    """The piece before is of the same shot."""

    @property
    def overlap(self) -> int:
        return self.start - self.first if self.continues else 0


def without_bad_fades(shots: Sequence[Shot]) -> list[Shot]:
    """The same shots, with each dissolve no longer than the shots allow and none beside a part in colour."""
    result = list(shots)
    for n, shot in enumerate(result):
        before = result[n - 1] if n else None
        if before is None or shot.colour or before.colour:
            result[n] = replace(shot, fade=0)
        else:
            result[n] = replace(shot, fade=min(shot.fade, (len(before) - before.fade) // 2, len(shot) // 2))
    return result


def split(shots: Sequence[Shot], longest: int, overlap: int = OVERLAP) -> list[Piece]:
    """Pieces that write every frame of the shots exactly once, in order, none across a cut."""
    pieces = []
    for n, shot in enumerate(shots):
        tail = shots[n + 1].fade if n + 1 < len(shots) else 0
        begin, end = shot.start - shot.fade, shot.stop - tail
        # A dissolve's frames come on top of the last piece, so every piece leaves room for them.
        bounds = _bounds(begin, end, max(longest - overlap - 2 * tail, longest // 2, 1), shot.fade)
        for k, (start, stop) in enumerate(pairwise(bounds)):
            pieces.append(
                Piece(
                    shot=n,
                    first=max(begin, start - overlap) if k else start,
                    start=start,
                    stop=stop,
                    last=stop + (2 * tail if stop == end else 0),
                    continues=k > 0,
                )
            )
    return pieces


def _bounds(begin: int, end: int, room: int, fade: int) -> list[int]:
    """Where pieces of at most `room` frames begin, and the end; the first holds the whole dissolve, however long."""
    # … and a frame more, so that what it hands on is of this shot alone.
    head = min(2 * fade + 1, end - begin)
    even = _evenly(begin, end, room)
    return even if even[1] - begin >= head else [begin, *_evenly(begin + head, end, room)]


def _evenly(begin: int, end: int, room: int) -> list[int]:
    """The bounds of pieces of equal length; `begin` alone where no frame is left."""
    count = -(-(end - begin) // room)
    return [begin + (end - begin) * k // max(1, count) for k in range(count + 1)]


def backward_starts(references: Sequence[Reference]) -> list[int]:
    """Frames where a way back can begin: of the references that cover all of theirs, and of the last one.

    Where a reference leaves a part of its frame open, colours for that come from behind it.
    """
    placed = sorted(((r.frame, r) for r in references if r.frame is not None), key=lambda one: one[0])
    return [frame for frame, r in placed if r.confidence.min() == 1 or r is placed[-1][1]]


def backward_piece(piece: Piece, starts: Sequence[int]) -> Piece:
    """The part of a piece that brings a later reference's colours back to its head: up to the first way's start."""
    inside = [frame for frame in starts if piece.start <= frame < piece.last]
    return replace(piece, last=min(inside) + 1, stop=min(inside) + 1) if inside else piece


def small_size(info: VideoInfo, height: int) -> tuple[int, int]:
    """(h, w) of the upright film at a working height; never larger than the film."""
    full_height, full_width = info.upright_size
    height = min(height, full_height)
    return height, max(1, round(full_width * height / full_height))


def lightness(frame: Frame, info: VideoInfo, size: tuple[int, int]) -> torch.Tensor:
    """(1, h, w) lightness of a frame: upright, square pixels, averaged down from the integer luma."""
    height, width = size[::-1] if info.rotation in (90, 270) else size
    luma = frame.luma.astype(np.float32)
    luma *= 65535 / info.maximum if info.range == "full" else 1 << (16 - info.depth)
    small = cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA)
    codes = np.minimum(small + 0.5, 65535).astype(np.uint16)
    values = color.lightness_from_luma(codes, replace(info, depth=16))
    return torch.from_numpy(np.ascontiguousarray(np.rot90(values, -info.rotation // 90)))[None]


def fit(picture: np.ndarray, size: tuple[int, int], how: Fit) -> tuple[np.ndarray, np.ndarray]:
    """A picture (H, W, 3) brought to a size, its shape kept, and where (h, w) it reaches; never squashed."""
    height, width = size
    if how == "stretch":
        return _resize(picture, height, width), np.ones(size, np.float32)
    ratios = height / picture.shape[0], width / picture.shape[1]
    scale = min(ratios) if how == "contain" else max(ratios)
    scaled = _resize(picture, max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale)))
    top, left = (height - scaled.shape[0]) // 2, (width - scaled.shape[1]) // 2
    if how == "cover":
        return scaled[-top : height - top, -left : width - left], np.ones(size, np.float32)
    fitted = np.zeros((height, width, 3), np.float32)
    where = np.zeros(size, np.float32)
    inside = slice(top, top + scaled.shape[0]), slice(left, left + scaled.shape[1])
    fitted[inside], where[inside] = scaled, 1
    return fitted, where


def _resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    shrinks = height * width < picture.shape[0] * picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def is_grey(picture: np.ndarray) -> bool:
    """No pixel of R'G'B' (h, w, 3), 0..1, has a colour worth the name."""
    return float((picture.max(2) - picture.min(2)).max()) < 0.02


def best_fit(picture: np.ndarray, film: torch.Tensor | None, size: tuple[int, int]) -> tuple[Fit, float]:
    """How a picture is laid over a frame of the film, and how well their lights agree (-1..1; 1 where unasked).

    A picture of the film's own shape is stretched by at most 3 %; of any other, the way that agrees best is taken.
    """
    shape = picture.shape[1] / picture.shape[0] / (size[1] / size[0])
    ways: list[Fit] = ["stretch"] if abs(shape - 1) < 0.03 else ["contain", "cover"]
    if film is None:
        return ways[0], 1.0
    scores = []
    for how in ways:
        fitted, where = fit(picture, size, how)
        light = color.lab_from_rgb(torch.from_numpy(fitted).permute(2, 0, 1))[0]
        inside = torch.from_numpy(where) > 0
        scores.append(_correlation(light[inside], film[0][inside]))
    best = int(np.argmax(scores))
    return ways[best], scores[best]


def _correlation(left: torch.Tensor, right: torch.Tensor) -> float:
    left, right = left - left.mean(), right - right.mean()
    spread = float(left.norm() * right.norm())
    return float((left * right).sum()) / spread if spread > 1e-3 else 1.0


def reference(picture: np.ndarray, size: tuple[int, int], how: Fit, film: Frame | None, info: VideoInfo) -> Reference:
    """A picture as a method sees it. Where it *is* a frame of the film, the lightness is the film's own."""
    fitted, where = fit(picture, size, how)
    lab = color.lab_from_rgb(torch.from_numpy(np.ascontiguousarray(fitted)).permute(2, 0, 1))
    light = lab[:1] if film is None else lightness(film, info, size)
    return Reference(light, lab[1:], torch.from_numpy(where)[None], None if film is None else film.index)


def scribble(strokes: np.ndarray, size: tuple[int, int], frame: int) -> Scribble:
    """Strokes (`hints.strokes`) as a method sees them, in the mean colour of their own pixels."""
    small = torch.from_numpy(_resize(np.ascontiguousarray(strokes, np.float32), *size)).permute(2, 0, 1)
    share = small[2:]
    # However thin a stroke is, the pixels that it covers most are left of it. Within a tenth: so a line has no gaps.
    fullest = F.max_pool2d(share, 3, 1, 1)
    where = (share >= STROKE) | ((share > 0) & (share >= 0.9 * fullest))
    return Scribble(frame, small[:2] / share.clamp(min=1e-6) * where, where)


def over(reference: Reference, scribble: Scribble) -> Reference:
    """A reference with scribbles drawn on it: where they are, they count."""
    ab = torch.where(scribble.where, scribble.ab, reference.ab)
    return replace(reference, ab=ab, confidence=torch.where(scribble.where, 1.0, reference.confidence))


def near(references: Sequence[Reference], first: int, last: int) -> tuple[Reference, ...]:
    """The references that a piece is shown: all inside, the nearest outside on each side, all without a place."""
    placed = sorted(((r.frame, r) for r in references if r.frame is not None), key=lambda one: one[0])
    before = [r for frame, r in placed if frame < first][-NEIGHBOURS:]
    inside = [r for frame, r in placed if first <= frame < last]
    after = [r for frame, r in placed if frame >= last][:NEIGHBOURS]
    return tuple(before + inside + after + [r for r in references if r.frame is None])


def resized(painted: Painted, size: tuple[int, int]) -> Painted:
    """The same colours at another working size."""
    if painted.ab.shape[-2:] == size:
        return painted
    both = torch.cat([painted.ab, painted.confidence])[None]
    both = F.interpolate(both, size=size, mode="bilinear", align_corners=False, antialias=True)[0]
    return Painted(both[:2], both[2:].clamp(0, 1))


def crossfade(before: Painted, after: Painted, weight: float) -> Painted:
    """Both sides of a dissolve, `weight` being the later side's share."""
    return Painted(
        before.ab + (after.ab - before.ab) * weight,
        before.confidence + (after.confidence - before.confidence) * weight,
    )
