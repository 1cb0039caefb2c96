"""Colours an endless run of frames as they come, for use inside other programs.

The film is never seen whole: cuts are found within the frames gathered ahead, colours go forward only, and no more
than that window is ever held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import chain as joined
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from . import chain, clips, color, video
from .errors import HintError, VideoError
from .methods import DEFAULT
from .segments import Handover
from .shots import ShotFinder
from .types import Clip, Encoding, Frame, Reference, VideoInfo
from .upsample import Renderer

AHEAD = 48
"""Frames gathered before the first comes out; fewer come out at once where a cut lies between."""

CONTEXT = 8
"""Frames before the window that the search for cuts still sees, and at its end that wait for the next search."""


def stream(
    frames: Iterable[np.ndarray],
    references: Mapping[int, str | Path | np.ndarray],
    *,
    method: str = DEFAULT,
    options: Mapping[str, str] | None = None,
    device: str = "auto",
    height: int | None = None,
    saturation: float = 1.0,
    ahead: int = AHEAD,
) -> Iterator[np.ndarray]:
    """Gives every frame in colour: (H, W, 3) R'G'B' of the depth that came in, in order, as many as came in.

    `frames` are (H, W) grey or (H, W, 3) R'G'B' arrays, uint8 or uint16, all of one size. `references` are pictures
    by frame number (from 0): a file, or an R'G'B' array of uint8, uint16 or floats 0..1. A shot without one is matched
    to the latest before it, or to the first of all. `ahead` is both the delay and the memory, in frames.
    """
    source = iter(frames)
    first = next(source, None)
    if first is None:
        return
    if ahead < 1:
        raise VideoError(f"stream() with ahead={ahead} would hold no frame at all. Give 1 or more; {AHEAD} is usual.")
    painter = _Painter(_info(first), references, (method, options or {}, device, height), saturation)
    yield from painter.paint(_numbered(first, source, painter.info), ahead)


def _info(first: np.ndarray) -> VideoInfo:
    """Arrays are full-range R'G'B' as screens show it."""
    if (
        first.dtype not in (np.uint8, np.uint16)
        or first.ndim not in (2, 3)
        or (first.ndim == 3 and first.shape[2] != 3)
    ):
        raise VideoError(
            f"stream() takes (H, W) or (H, W, 3) arrays of uint8 or uint16, not {first.shape} of {first.dtype}."
        )
    depth = 8 * first.dtype.itemsize
    return VideoInfo(
        path=Path("stream"), width=first.shape[1], height=first.shape[0],
        pixel_format="rgb24" if depth == 8 else "rgb48le", depth=depth, subsampling="444", rgb=True,
        matrix="bt709", range="full", primaries="bt709", transfer="iec61966-2-1", chroma_location="center",
        rate=Fraction(24), time_base=Fraction(1, 24),
    )  # fmt: skip


def _numbered(first: np.ndarray, rest: Iterator[np.ndarray], info: VideoInfo) -> Iterator[Frame]:
    shapes = (info.height, info.width), (info.height, info.width, 3)
    for index, array in enumerate(joined([first], rest)):
        if array.shape not in shapes or 8 * array.dtype.itemsize != info.depth:
            raise VideoError(
                f"frame {index} is {array.shape} of {array.dtype}; the first was {info.height} x {info.width}, "
                f"{info.depth} bit. All frames of a stream must be alike."
            )
        yield Frame(index, index, array if array.ndim == 2 else color.luma_from_rgb(array, info.matrix))


class _Painter:
    """What is known at one moment of the stream: the shot's references and what the window before handed over."""

    def __init__(
        self,
        info: VideoInfo,
        pictures: Mapping[int, str | Path | np.ndarray],
        wanted: tuple[str, Mapping[str, str], str, int | None],
        saturation: float,
    ) -> None:
        if not pictures:
            raise HintError(
                "stream() needs at least one reference: {0: 'still.png'} if it is the first frame in colour."
            )
        self.info = info
        self.steps = chain.load(*wanted[:3], info, wanted[3])
        self.pictures = {number: _picture(picture) for number, picture in sorted(pictures.items())}
        encoding = Encoding(Path("stream"), "pictures", "stream", "rgb", "rgb", info.pixel_format, info.depth, "444")
        self.renderer = Renderer(info, encoding, saturation)
        self.handover: Handover | None = None
        self.last: dict[chain.Size, torch.Tensor] = {}
        self.known: dict[chain.Size, list[Reference]] = {}
        self.begun = 0
        """The frame at which the shot at hand began."""

    def paint(self, frames: Iterator[Frame], ahead: int) -> Iterator[np.ndarray]:
        """Window by window, until the frames end; none is longer than the methods bear, with the frame before it."""
        ahead = min(ahead, *(step.method.longest - 1 for step in self.steps))
        window: list[Frame] = []
        context: deque[Frame] = deque(maxlen=CONTEXT)
        while True:
            window.extend(islice(frames, ahead - len(window)))
            if not window:
                return
            ends = len(window) < ahead
            cut = self._cut([*context, *window], window[0].index)
            ready = cut if cut is not None else len(window) if ends else max(1, len(window) - CONTEXT)
            yield from self._piece(window[:ready])
            if cut is not None:
                self.handover, self.begun = None, window[ready - 1].index + 1
            context.extend(window[:ready])
            del window[:ready]

    def _cut(self, seen: list[Frame], start: int) -> int | None:
        """How many frames of the window lie before its first cut."""
        finder = ShotFinder(self.info)
        for n, frame in enumerate(seen):
            finder.see(Frame(n, n, frame.luma))
        cuts = [shot.start - (start - seen[0].index) for shot in finder.shots()[1:]]
        return min((cut for cut in cuts if cut > 0), default=None)

    def _piece(self, frames: list[Frame]) -> Iterator[np.ndarray]:
        stacks = {
            step.size: torch.stack([clips.lightness(f, self.info, step.size) for f in frames]) for step in self.steps
        }
        references = {size: self._references(frames, size) for size in stacks}
        start = frames[0].index
        overlap = 0
        if self.handover is not None:
            overlap = 1
            stacks = {size: torch.cat([self.last[size], stack]) for size, stack in stacks.items()}
        outcome = chain.run(
            self.steps,
            lambda size: Clip(start - overlap, overlap, stacks[size], references[size]),
            self.handover, None,
        )  # fmt: skip
        self.handover = Handover(boundary=outcome.boundary(-1), carried=outcome.carried)
        self.last = {size: stack[-1:] for size, stack in stacks.items()}
        light = stacks[self.steps[-1].size][overlap:]
        for frame, painted, lightness in zip(frames, outcome.said[-1][overlap:], light, strict=True):
            luma, cb, cr = self.renderer.paint(frame, painted, lightness)
            yield color.rgb_from_planes(luma, (cb, cr), self.info)

    def _references(self, frames: list[Frame], size: chain.Size) -> tuple[Reference, ...]:
        """The shot's own references so far; else the latest before it, or the first of all, to be matched."""
        known = self.known.setdefault(size, [])
        for frame in frames:
            if frame.index in self.pictures:
                picture = self.pictures[frame.index]
                how, _ = clips.best_fit(picture, clips.lightness(frame, self.info, size), size)
                known.append(clips.reference(picture, size, how, frame, self.info))
        own = [one for one in known if one.frame is not None and one.frame >= self.begun]
        if own:
            return clips.near(own, frames[0].index, frames[-1].index + 1)
        if known:
            return (replace(known[-1], frame=None),)
        return (clips.reference(next(iter(self.pictures.values())), size, "contain", None, self.info),)


def _picture(picture: str | Path | np.ndarray) -> np.ndarray:
    """R'G'B' float32 (height, width, 3), 0..1."""
    if not isinstance(picture, np.ndarray):
        return video.read_picture(Path(picture))
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise HintError(f"a reference is an R'G'B' array (H, W, 3), not {picture.shape}: it tells colours.")
    if picture.dtype in (np.uint8, np.uint16):
        return picture.astype(np.float32) / np.iinfo(picture.dtype).max
    # Put so that what is no number is refused, too.
    if picture.dtype.kind != "f" or not ((picture >= 0) & (picture <= 1)).all():
        reach = (
            f" from {picture.min():.4g} to {picture.max():.4g}" if picture.size and picture.dtype.kind in "iuf" else ""
        )
        raise HintError(
            f"a reference is an array of uint8, of uint16, or of floats from 0 to 1, not of {picture.dtype}{reach}. "
            "If its values reach 255, give picture.astype(np.uint8)."
        )
    return picture.astype(np.float32)
