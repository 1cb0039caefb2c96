"""Which reference or scribble serves which shot, and as what; and what of a picture is strokes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

from . import color, video
from .errors import HintError
from .project import PictureHint, settled
from .shots import most_alike
from .types import FrameTable, Shot, VideoInfo

COLOURED = 8.0
"""CIELAB chroma from which a pixel of a picture without transparency counts as a stroke. Grey stays below, JPEG too."""


@dataclass(frozen=True)
class Serving:
    """A reference or a scribble at work in one shot."""

    hint: PictureHint
    frame: int | None
    """The frame that the picture is, or None: a picture to be matched."""
    why: str
    """For the report."""
    scribble: bool = False
    """Of the picture only the strokes count."""


def frame_at(seconds: Fraction, table: FrameTable, info: VideoInfo) -> int:
    """The frame on screen at a time from the film's first frame; beyond the end it is `len(table)`."""
    pts = int(table.pts[0]) + seconds / info.time_base
    if pts >= table.stop_pts:
        return len(table)
    # Times are written with few digits: half a tick early still means this frame.
    return max(0, int(np.searchsorted(table.pts, int(pts + Fraction(1, 2)), side="right")) - 1)


def place(
    hints: Sequence[PictureHint], shots: Sequence[Shot], table: FrameTable, info: VideoInfo, option: str = "--reference"
) -> list[PictureHint]:
    """The same hints with times turned into frames; HintError for one that lies outside the film."""
    placed = []
    taken: dict[int, PictureHint] = {}
    for hint in hints:
        given = hint
        if hint.seconds is not None:
            hint = settled(hint, frame_at(hint.seconds, table, info))
        if hint.frame is not None:
            if hint.frame >= len(table):
                where = str(given) if given.seconds is not None else f"{given.picture}: frame {hint.frame}"
                raise HintError(
                    f"{option} {where} lies beyond the end of {info.path.name}, "
                    f"whose frames are 0 to {len(table) - 1}. Give one of those."
                )
            if hint.frame in taken:
                raise HintError(
                    f"{taken[hint.frame].picture} and {hint.picture} both claim frame {hint.frame}. Give one of them."
                )
            taken[hint.frame] = hint
        if hint.shot is not None and not 1 <= hint.shot <= len(shots):
            raise HintError(
                f"{option} {hint}: there is no shot {hint.shot}; {info.path.name} has shots 1 to {len(shots)} "
                f"(`kinochrome shots {info.path.name}` lists them)."
            )
        placed.append(hint)
    return placed


def assign(hints: Sequence[PictureHint], shots: Sequence[Shot], thumbnails: np.ndarray) -> list[list[Serving]]:
    """For each shot the references that serve it: its own, else those without a place, else the most alike."""
    anywhere = [hint for hint in hints if hint.frame is None and hint.shot is None]
    placed = [(hint.frame, hint) for hint in hints if hint.frame is not None]
    result = []
    for number, shot in enumerate(shots, 1):
        own = [Serving(h, h.frame, "its own frame") for frame, h in placed if shot.start <= frame < shot.stop]
        own += [Serving(h, None, "given for this shot") for h in hints if h.shot == number]
        if not own:
            own = [Serving(h, None, "given for the whole film") for h in anywhere]
        if not own and placed:
            own = [_borrowed(placed, shot, thumbnails)]
        result.append([] if shot.colour else own)
    return result


def with_scribbles(
    serving: Sequence[list[Serving]], scribbles: Sequence[PictureHint], shots: Sequence[Shot]
) -> list[list[Serving]]:
    """What serves each shot, with the scribbles in its frames behind it; they take no reference's place."""
    drawn = [(hint.frame, hint) for hint in scribbles if hint.frame is not None]
    return [
        own + [Serving(h, k, f"scribbles on frame {k}", scribble=True) for k, h in drawn if s.start <= k < s.stop]
        if not s.colour
        else own
        for own, s in zip(serving, shots, strict=True)
    ]


def strokes(picture: Path, size: tuple[int, int]) -> np.ndarray:
    """(h, w, 3): a*, b* and 1 where the picture has a stroke, else 0; `size` is that of the film's upright frames.

    Strokes are what is at least half opaque; in a picture without transparency what is clearly coloured.
    """
    rgb = video.read_picture(picture)
    if abs(rgb.shape[1] * size[0] / (rgb.shape[0] * size[1]) - 1) >= 0.03:
        raise HintError(
            f"--scribble {picture} is {rgb.shape[1]}x{rgb.shape[0]}, which is not the shape of a frame "
            f"({size[1]}x{size[0]}). Draw on a still that `kinochrome stills` has saved, and do not crop it."
        )
    lab = color.lab_from_rgb(torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1))
    opaque = _opaque(picture)
    where = lab[1:].norm(dim=0).numpy() > COLOURED if opaque is None else opaque
    if not where.any():
        raise HintError(
            f"--scribble {picture} has no stroke. Strokes are the pixels that are at least half opaque; or, in a "
            f"picture without transparency, those that are clearly coloured (CIELAB chroma above {COLOURED:.0f})."
        )
    return np.dstack([*lab[1:].numpy(), np.ones_like(rgb[..., 0])]) * where[..., None]


def _opaque(picture: Path) -> np.ndarray | None:
    """(h, w) bool: at least half opaque; None for a picture that is so everywhere."""
    if picture.suffix.lower() in (".exr", ".dpx"):  # of film's own formats only colours are read
        return None
    data = np.frombuffer(picture.read_bytes(), np.uint8)
    pixels, kinds, tags = cv2.imdecodeWithMetadata(data, flags=cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim < 3 or pixels.shape[2] < 4:
        return None
    most = {"uint8": 255, "uint16": 65535}.get(pixels.dtype.name, 1)
    opaque = pixels[..., 3] >= most / 2
    if opaque.all():
        return None
    # Colours come turned as a tag (EXIF) says, what is read unchanged does not: written as a picture of its own, with
    # the same tags, it does.
    _, again = cv2.imencodeWithMetadata(".png", opaque.astype(np.uint8), kinds, tags)
    upright = cv2.imdecode(again, cv2.IMREAD_GRAYSCALE)
    assert upright is not None
    return upright > 0


def _borrowed(placed: Sequence[tuple[int, PictureHint]], shot: Shot, thumbnails: np.ndarray) -> Serving:
    """The reference whose frame looks most like the shot's middle; of equals the nearest in time."""
    middle = (shot.start + shot.stop) // 2
    nearest_first = sorted(placed, key=lambda one: abs(one[0] - middle))
    index, likeness = most_alike(thumbnails[middle], thumbnails[[frame for frame, _ in nearest_first]])
    frame, hint = nearest_first[index]
    return Serving(hint, None, f"borrowed from frame {frame}, likeness {likeness:.2f}")
