"""The few types that everything else speaks in.

Four words are used exactly, here and everywhere:

    luma       the integer Y' plane as decoded, full size, never modified
    lightness  float32 CIE L*, 0..100, working size: what methods see
    ab         float32 CIELAB a*, b*, unscaled, working size: what methods say
    chroma     the integer Cb, Cr planes, ready for the encoder

Methods always see upright frames with square pixels; the planes of a `Frame` lie as the film stores them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    import torch

Subsampling = Literal["grey", "420", "422", "444", "411", "440", "410"]
CHROMA_STEPS: dict[Subsampling, tuple[int, int]] = {
    "444": (1, 1), "422": (1, 2), "420": (2, 2), "440": (2, 1), "411": (1, 4), "410": (4, 4),
}  # fmt: skip
"""Rows and columns of luma that share one sample of chroma, where there is any."""


@dataclass(frozen=True)
class VideoInfo:
    """What a film is made of. Unset colour tags are already resolved (see `video.probe`)."""

    path: Path
    width: int
    """Of the luma plane, as stored (before rotation and pixel aspect)."""
    height: int
    pixel_format: str
    """FFmpeg's name, for instance `yuv420p10le`."""
    depth: int
    """Bits a luma sample, 8 to 16."""
    subsampling: Subsampling
    rgb: bool
    """The source stores R, G, B; its luma is computed on reading, exact where R = G = B."""
    matrix: str
    """`bt709`, `smpte170m`, `bt2020nc`, … in FFmpeg's words."""
    range: Literal["limited", "full"]
    primaries: str
    transfer: str
    chroma_location: str
    rate: Fraction
    """Frames a second, on average; variable frame rate lives in each frame's pts."""
    time_base: Fraction
    sample_aspect: Fraction = Fraction(1)
    rotation: int = 0
    """Degrees clockwise (0, 90, 180, 270) that a player turns the stored picture by."""
    interlaced: bool = False
    deinterlace: bool = False
    """Frames are read through FFmpeg's bwdif."""

    @property
    def maximum(self) -> int:
        """The largest code of a sample, 255 for 8 bit."""
        return (1 << self.depth) - 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """(height, width) as seen by a viewer: turned upright, pixels square, never smaller than stored."""
        height, width = self.height, self.width
        if self.sample_aspect > 1:
            width = round(width * self.sample_aspect)
        elif self.sample_aspect < 1:
            height = round(height / self.sample_aspect)
        return (width, height) if self.rotation in (90, 270) else (height, width)


@dataclass(frozen=True)
class Frame:
    """One decoded frame: planes only, never RGB."""

    index: int
    pts: int
    """In the film's time base."""
    luma: np.ndarray
    """(height, width), uint8 or uint16."""
    chroma: tuple[np.ndarray, np.ndarray] | None = None
    """The film's own Cb and Cr at its own subsampling, or None for grey film."""


@dataclass(frozen=True)
class FrameTable:
    """Where every frame of a film lies in time; made by one pass over it (`video.scan`)."""

    pts: np.ndarray
    """int64, one a frame, rising."""
    keyframes: np.ndarray
    """Indices of frames that decoding can start at."""
    stop_pts: int
    """Where the last frame ends."""
    held: tuple[int, ...] = ()
    """Frames that could not be decoded; their neighbour is shown instead."""

    def __len__(self) -> int:
        return len(self.pts)


@dataclass(frozen=True)
class Shot:
    """Frames `start` to `stop` (excluded) of one continuous view."""

    start: int
    stop: int
    fade: int = 0
    """The shot before dissolves into this one over frames `start - fade` to `start + fade`; 0 for a cut."""
    colour: bool = False
    """The source is already in colour here."""

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Reference:
    """A picture whose colours a person vouches for, at working size."""

    lightness: torch.Tensor
    """(1, h, w)"""
    ab: torch.Tensor
    """(2, h, w)"""
    confidence: torch.Tensor
    """(1, h, w), 0..1; 0 where the picture does not reach (another aspect ratio)."""
    frame: int | None
    """k: this *is* frame k of the film. None: another picture of the same things, to be matched."""


@dataclass(frozen=True)
class Scribble:
    """A few pixels of one frame whose colour is known, at working size."""

    frame: int
    ab: torch.Tensor
    """(2, h, w)"""
    where: torch.Tensor
    """(1, h, w), bool"""


@dataclass(frozen=True)
class Painted:
    """What a method says of one frame."""

    ab: torch.Tensor
    """(2, h, w)"""
    confidence: torch.Tensor
    """(1, h, w), 0..1"""


@dataclass(frozen=True)
class Clip:
    """One piece of one shot at one working size: all that a method gets to see. Never across a cut."""

    start: int
    """Index in the film of the first frame here."""
    overlap: int
    """The first so many frames are context: the piece before has written them."""
    lightness: torch.Tensor
    """(T, 1, h, w)"""
    references: tuple[Reference, ...] = ()
    """Their frame may lie outside the piece, never outside the shot."""
    scribbles: tuple[Scribble, ...] = ()
    draft: torch.Tensor | None = None
    """(T, 2, h, w): colours to be made steady."""
    previous: Painted | None = None
    """What the piece before said of frame `start + overlap - 1`."""
    following: Painted | None = None
    """What the piece after, run backward from a later reference, said of this clip's last frame."""
    carried: dict[str, torch.Tensor] | None = None
    """What this method returned for the piece before."""
    brought: dict[str, torch.Tensor] | None = None
    """What this method returned for the piece after, run backward; it belongs to `following`."""

    def __len__(self) -> int:
        return self.lightness.shape[0]


class Method(Protocol):
    """One way to colour a clip. Made as `Method(options, device)`."""

    needs: ClassVar[frozenset[str]]
    """Hints without which it cannot work: any of "reference", "scribble", "draft"."""
    uses: ClassVar[frozenset[str]]
    """Hints that it can make something of."""
    longest: int
    """The most frames that it wants in one clip."""
    Options: ClassVar[type]

    def __init__(self, options: Any, device: str) -> None: ...

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """The (h, w) that it prefers for an upright film of this size; it must accept any."""
        ...

    def colorize(self, clip: Clip) -> Generator[Painted, None, dict[str, torch.Tensor] | None]:
        """Exactly `len(clip)` Painted, in order. Pure: the same clip gives the same answer."""
        ...


@runtime_checkable
class Onward(Protocol):
    """A method that sees later references by itself: no piece is run backward to bring their colours to it."""

    onward: ClassVar[Literal[True]]


@runtime_checkable
class Tunable(Protocol):
    """A method that a shot's own references can teach a little more; it has an option `weights`, the file to use."""

    def tune(self, references: Sequence[Reference], steps: int, file: Path, tell: Callable[[int], None]) -> None:
        """Writes to `file` what so many steps have taught; `tell` hears of each. The same input gives the same file."""
        ...


@dataclass(frozen=True)
class Encoding:
    """How a target is written; made by `video.encoding_for`."""

    target: Path
    kind: Literal["film", "pictures", "picture", "y4m"]
    preset: str
    format: str
    """FFmpeg's container name, or a picture suffix."""
    codec: str
    pixel_format: str
    depth: int
    subsampling: Subsampling
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Range:
    """What a number in a recipe of training may be, where its field is declared: `Annotated[int, Range(1)]`."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    multiple: int = 1

    def holds(self, number: float) -> bool:
        """Whether the number is finite, and one of these."""
        return (
            math.isfinite(number)
            and (self.least is None or self.least <= number)
            and (self.most is None or number <= self.most)
            and (self.above is None or self.above < number)
            and (self.below is None or number < self.below)
            and (self.multiple == 1 or number % self.multiple == 0)
        )

    def __str__(self) -> str:
        """As in `must be at least 0 and below 1`."""
        ends = {"at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        told = " and ".join(f"{word} {end}" for word, end in ends.items() if end is not None)
        return told if self.multiple == 1 else f"a multiple of {self.multiple}, {told}"


Count = Annotated[int, Range(1)]
"""At least one."""
Share = Annotated[float, Range(0, 1)]
"""Of all: 0 is none, 1 is every one."""
