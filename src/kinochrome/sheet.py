"""Pictures and films to judge by eye: a contact sheet, a film's colours in one strip, before and after side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from . import color, video
from .errors import HintError, VideoError
from .project import check_free, made_folder
from .types import CHROMA_STEPS, Encoding, Frame, FrameTable, VideoInfo

Cell = tuple[np.ndarray, str]
"""A picture (h, w, 3) uint8 R'G'B' and its caption."""

GAP = 12
CAPTION = 24
PAPER, INK = (22, 22, 25), (222, 219, 212)


def stills(
    info: VideoInfo,
    table: FrameTable,
    numbers: Iterable[int],
    folder: Path,
    picture: Callable[[Frame, VideoInfo], np.ndarray] | None = None,
    overwrite: bool = False,
) -> Iterator[Path]:
    """Writes frames as pictures named by their numbers, which is what `--reference FOLDER` takes once coloured.

    `picture` colours one; without it they stay as they are. Those that are there may have been painted by hand: they
    are replaced only to `overwrite`.
    """
    made_folder(folder)
    paths = {number: folder / f"{number:06d}.png" for number in numbers}
    for path in paths.values():
        check_free(path, overwrite)
    for frame in frames_of(info, table, paths):
        video.write_picture(paths[frame.index], (picture or picture_of)(frame, info))
        yield paths[frame.index]


def frames_of(info: VideoInfo, table: FrameTable, numbers: Iterable[int]) -> Iterator[Frame]:
    """Single frames of a film; HintError for a number that it has not."""
    for number in numbers:
        if not 0 <= number < len(table):
            raise HintError(f"{info.path.name} has no frame {number}; its frames are 0 to {len(table) - 1}.")
        yield from video.frames(info, table, number, number + 1)


def picture_of(frame: Frame, info: VideoInfo) -> np.ndarray:
    """(h, w, 3) uint8 R'G'B' of a frame as a viewer sees it: upright, pixels square."""
    height, width = frame.luma.shape
    if frame.chroma is None:
        neutral = np.full_like(frame.luma, 1 << (info.depth - 1))
        cb, cr = neutral, neutral
    else:
        cb, cr = (cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in frame.chroma)
    picture = color.to_depth(color.rgb_from_planes(frame.luma, (cb, cr), info), info.depth, 8, full=True)
    picture = np.rot90(picture, -info.rotation // 90)
    upright = info.upright_size
    if picture.shape[:2] != upright:
        picture = cv2.resize(picture, upright[::-1], interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture)


def contact_sheet(rows: Sequence[Sequence[Cell]], width: int = 1344) -> np.ndarray:
    """(h, width, 3) uint8 R'G'B': each row's pictures share the width evenly, their captions beneath them."""
    bands = [np.full((GAP, width, 3), PAPER, np.uint8)]
    for row in rows:
        wide = (width - GAP * (len(row) + 1)) // len(row)
        tall = max(round(picture.shape[0] * wide / picture.shape[1]) for picture, _ in row)
        band = np.full((tall + CAPTION + GAP, width, 3), PAPER, np.uint8)
        for number, (picture, caption) in enumerate(row):
            left = GAP + number * (wide + GAP)
            small = cv2.resize(
                picture, (wide, round(picture.shape[0] * wide / picture.shape[1])), interpolation=cv2.INTER_AREA
            )
            band[: small.shape[0], left : left + wide] = small
            place = (left, tall + CAPTION - 7)
            cv2.putText(band, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, INK, 1, cv2.LINE_AA)
        bands.append(band)
    return np.concatenate(bands)


def squeezed(picture: np.ndarray, height: int = 48) -> np.ndarray:
    """(height, 1, 3): the picture squeezed to one column."""
    return cv2.resize(picture, (1, height), interpolation=cv2.INTER_AREA)


def strip(columns: Sequence[np.ndarray], width: int = 1320) -> np.ndarray:
    """(height, width, 3): squeezed frames in order; colour that pops or drifts shows."""
    return cv2.resize(np.concatenate(columns, 1), (width, columns[0].shape[0]), interpolation=cv2.INTER_NEAREST)


def film_sheet(film: Path, target: Path, count: int = 12) -> None:
    """Writes a contact sheet of `count` frames, evenly spaced over a film."""
    info = video.probe(film)
    table = video.scan(info)
    cells = []
    for index in np.unique(np.linspace(0, len(table) - 1, count).round().astype(int)):
        for frame in video.frames(info, table, int(index), int(index) + 1):
            cells.append((picture_of(frame, info), f"frame {index}"))
    rows = [cells[first : first + 3] for first in range(0, len(cells), 3)]
    blank = (np.full_like(cells[0][0], PAPER), "")
    rows[-1] += [blank] * (len(rows[0]) - len(rows[-1]))
    video.write_picture(target, contact_sheet(rows))


def side_by_side(before: Path, after: Path, target: Path) -> None:
    """Writes a film that shows `before` on the left and `after`, of the same size and length, on the right.

    Times and sound are those of `before`.
    """
    left, right = video.probe(before), video.probe(after)
    table, other = video.scan(left), video.scan(right)
    if len(table) != len(other) or left.height != right.height:
        raise VideoError(
            f"{after} ({len(other)} frames, {right.height} high) and {before} ({len(table)} frames, {left.height} "
            "high) do not belong together; give a film and its own coloured copy."
        )
    double = replace(left, width=left.width + right.width, depth=max(left.depth, right.depth))
    encoding = video.encoding_for(target, double)
    segment = target.with_name(f"{target.stem}.picture{target.suffix}")
    try:
        with video.Writer(segment, double, encoding) as writer:
            pairs = zip(video.frames(left, table), video.frames(right, other), strict=True)
            for first, second in pairs:
                planes = [_planes(first, left, encoding), _planes(second, right, encoding)]
                writer.write(first.pts, *(np.concatenate(both, 1) for both in zip(*planes, strict=True)))
        video.join([(segment, 0)], left, table, encoding)
    finally:
        segment.unlink(missing_ok=True)


def _planes(frame: Frame, info: VideoInfo, encoding: Encoding) -> list[np.ndarray]:
    """Luma, Cb, Cr at the encoding's depth and subsampling."""
    down, across = CHROMA_STEPS[encoding.subsampling]
    rows, columns = -(-frame.luma.shape[0] // down), -(-frame.luma.shape[1] // across)
    if frame.chroma is None:
        neutral = np.full((rows, columns), 1 << (info.depth - 1), frame.luma.dtype)
        cb, cr = neutral, neutral
    else:
        cb, cr = (cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA) for plane in frame.chroma)
    return [color.to_depth(plane, info.depth, encoding.depth) for plane in (frame.luma, cb, cr)]
