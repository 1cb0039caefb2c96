"""Which reference serves which shot, and as what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .errors import HintError
from .project import ReferenceHint, settled
from .shots import most_alike
from .types import FrameTable, Shot, VideoInfo


@dataclass(frozen=True)
class Serving:
    """A reference at work in one shot."""

    hint: ReferenceHint
    frame: int | None
    """The frame that the picture is, or None: a picture to be matched."""
    why: str
    """For the report."""


def frame_at(seconds: Fraction, table: FrameTable, info: VideoInfo) -> int:
    """The frame on screen at a time from the film's first frame; beyond the end it is `len(table)`."""
    pts = int(table.pts[0]) + seconds / info.time_base
    if pts >= table.stop_pts:
        return len(table)
    # Times are written with few digits: half a tick early still means this frame.
    return max(0, int(np.searchsorted(table.pts, int(pts + Fraction(1, 2)), side="right")) - 1)


def place(
    hints: Sequence[ReferenceHint], shots: Sequence[Shot], table: FrameTable, info: VideoInfo
) -> list[ReferenceHint]:
    """The same hints with times turned into frames; HintError for one that lies outside the film."""
    placed = []
    taken: dict[int, ReferenceHint] = {}
    for hint in hints:
        if hint.seconds is not None:
            hint = settled(hint, frame_at(hint.seconds, table, info))
        if hint.frame is not None:
            if hint.frame >= len(table):
                raise HintError(
                    f"--reference {hint.picture}: frame {hint.frame} lies beyond the end of {info.path.name}, "
                    f"whose frames are 0 to {len(table) - 1}. Give one of those."
                )
            if hint.frame in taken:
                raise HintError(
                    f"{taken[hint.frame].picture} and {hint.picture} both claim frame {hint.frame}. Give one of them."
                )
            taken[hint.frame] = hint
        if hint.shot is not None and not 1 <= hint.shot <= len(shots):
            raise HintError(
                f"--reference {hint}: there is no shot {hint.shot}; {info.path.name} has shots 1 to {len(shots)} "
                f"(`kinochrome shots {info.path.name}` lists them)."
            )
        placed.append(hint)
    return placed


def assign(hints: Sequence[ReferenceHint], shots: Sequence[Shot], thumbnails: np.ndarray) -> list[list[Serving]]:
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


def _borrowed(placed: Sequence[tuple[int, ReferenceHint]], shot: Shot, thumbnails: np.ndarray) -> Serving:
    """The reference whose frame looks most like the shot's middle; of equals the nearest in time."""
    middle = (shot.start + shot.stop) // 2
    nearest_first = sorted(placed, key=lambda one: abs(one[0] - middle))
    index, likeness = most_alike(thumbnails[middle], thumbnails[[frame for frame, _ in nearest_first]])
    frame, hint = nearest_first[index]
    return Serving(hint, None, f"borrowed from frame {frame}, likeness {likeness:.2f}")
