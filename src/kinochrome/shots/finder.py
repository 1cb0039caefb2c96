"""`ShotFinder`: sees every frame of a scan once, keeps under a kilobyte of each, and tells the shots."""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

from kinochrome.shots.colours import colourfulness, in_colour
from kinochrome.shots.cuts import blank_frames, fades_through_black, verified_cuts
from kinochrome.shots.dissolves import Dissolve, find_dissolves
from kinochrome.shots.likeness import THUMBNAIL, most_alike
from kinochrome.types import Frame, Shot, VideoInfo

if TYPE_CHECKING:
    from scenedetect.detectors import AdaptiveDetector

WIDEST, HIGHEST = 256, 144
"""Cuts are looked for in pictures of at most this size."""
DETAIL = (48, 64)
"""Height and width at which detail is measured: fine enough for texture, too coarse for grain."""
FAINTEST_JUMP = 8.0
"""Mean change of luma, in 8-bit codes, from which a jump is looked at."""
ANOTHER_PICTURE = 0.5
"""A jump to a picture less alike is a cut, whatever is around it."""
RATE = 25.0
"""The detector is made to count frames; any rate does."""


class ShotFinder:
    """Finds the shots of one film: show every frame of a scan to `see`, in order, then ask for `shots()`."""

    def __init__(self, info: VideoInfo) -> None:
        self.info = info
        self._pixels = bytearray()
        self._detail = array("f")
        self._change = array("f")
        self._colourfulness = array("f")
        self._jumps = array("q")
        self._detector: AdaptiveDetector | None = None
        self._previous: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._detail)

    def see(self, frame: Frame) -> None:
        """Take note of the next frame; its planes are not kept."""
        if frame.index != len(self) or (len(self) and self._previous is None):
            raise ValueError(
                f"{self.info.path}: frame {frame.index} shown to a finder that has seen {len(self)} frames"
            )
        luma = full_range(reduced(frame.luma, HIGHEST, WIDEST), self.info)
        thumbnail = np.rint(cv2.resize(luma, THUMBNAIL[::-1], interpolation=cv2.INTER_AREA)).astype(np.uint8)
        self._look_for_jump(np.rint(luma).astype(np.uint8))
        self._colourfulness.append(self._colour_of(thumbnail, frame))
        self._detail.append(_mean_squared_slope(cv2.resize(luma, DETAIL[::-1], interpolation=cv2.INTER_AREA)))
        self._pixels += thumbnail.tobytes()

    def shots(self, recolor: bool = False) -> list[Shot]:
        """The shots, covering all frames exactly. `recolor`: none is in colour, and no boundary is due to colour."""
        if not len(self):
            return []
        thumbnails = self.thumbnails
        shots = _shots_between(self._boundaries(thumbnails), len(self))
        if recolor or not any(self._colourfulness):
            return shots
        fades = [*(shot.fade for shot in shots), 0]
        spans = [(shot.start + shot.fade, shot.stop - fade) for shot, fade in zip(shots, fades[1:], strict=True)]
        flags = in_colour(np.array(self._colourfulness), blank_frames(thumbnails), spans)
        return [part for shot in shots for part in _parts_by_colour(shot, flags)]

    @property
    def thumbnails(self) -> np.ndarray:
        """(T, 24, 32) uint8, full-range luma, frames as the film stores them (not turned upright)."""
        return np.frombuffer(self._pixels, np.uint8).reshape(-1, *THUMBNAIL).copy()

    def arrays(self) -> dict[str, np.ndarray]:
        """All that was seen, to be kept on disk and handed to `from_arrays`."""
        return {
            "thumbnails": self.thumbnails,
            "detail": np.array(self._detail),
            "change": np.array(self._change),
            "colourfulness": np.array(self._colourfulness),
            "jumps": np.array(self._jumps),
        }

    @classmethod
    def from_arrays(cls, info: VideoInfo, arrays: dict[str, np.ndarray]) -> ShotFinder:
        """The finder as it was after its scan: it tells the same shots, and sees no more frames."""
        finder = cls(info)
        finder._pixels = bytearray(np.ascontiguousarray(arrays["thumbnails"], np.uint8).tobytes())
        finder._detail.extend(arrays["detail"].tolist())
        finder._change.extend(arrays["change"].tolist())
        finder._colourfulness.extend(arrays["colourfulness"].tolist())
        finder._jumps.extend(arrays["jumps"].tolist())
        return finder

    def _look_for_jump(self, luma: np.ndarray) -> None:
        # Imported on first use: it brings video readers that `kinochrome --help` must not load.
        from scenedetect import FrameTimecode
        from scenedetect.detectors import AdaptiveDetector

        if self._detector is None:
            self._detector = AdaptiveDetector(luma_only=True, min_scene_len=1, min_content_val=FAINTEST_JUMP)
        previous = luma if self._previous is None else self._previous
        self._change.append(cv2.norm(luma, previous, cv2.NORM_L1) / luma.size)
        found = self._detector.process_frame(FrameTimecode(len(self), RATE), cv2.cvtColor(luma, cv2.COLOR_GRAY2BGR))
        self._jumps.extend(jump.frame_num for jump in found)
        self._previous = luma

    def _colour_of(self, thumbnail: np.ndarray, frame: Frame) -> float:
        if frame.chroma is None:
            return 0.0
        scale = (1.0 if self.info.range == "limited" else 224 / 255) / (1 << (self.info.depth - 8))
        neutral = 1 << (self.info.depth - 1)
        # Of large planes some rows are enough.
        rows = [plane[:: max(1, plane.shape[0] // 400)] for plane in frame.chroma]
        small = [reduced(plane, 4 * THUMBNAIL[0], 4 * THUMBNAIL[1]) for plane in rows]
        cells = [
            (cv2.resize(plane.astype(np.float32), THUMBNAIL[::-1], interpolation=cv2.INTER_AREA) - neutral) * scale
            for plane in small
        ]
        return colourfulness(thumbnail, cells[0], cells[1])

    def _boundaries(self, thumbnails: np.ndarray) -> list[Dissolve]:
        """Every boundary that the picture tells, rising; a cut is a dissolve of no length."""
        found = find_dissolves(thumbnails, np.array(self._detail))
        jumps = np.array(self._jumps, dtype=np.int64)
        for cut in verified_cuts(jumps, np.array(self._change)[jumps], thumbnails):
            over = [other for other in found if abs(cut - other.middle) <= other.half + 1]
            # A dissolve shown in steps (repeated frames) jumps, too, but no step changes the whole picture.
            if most_alike(thumbnails[cut], thumbnails[cut - 1 : cut])[1] < ANOTHER_PICTURE:
                found = [other for other in found if other not in over]
                over = []
            if not over:
                found.append(Dissolve(cut, 0))
        for start, stop in fades_through_black(thumbnails):
            if all(not start - 2 <= other.middle <= stop + 2 for other in found):
                found.append(Dissolve((start + stop) // 2, 0))
        return sorted(found, key=lambda boundary: boundary.middle)


def reduced(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """The plane averaged over whole blocks until it is at most height x width; block sizes are integers for speed."""
    down, across = -(-plane.shape[0] // height), -(-plane.shape[1] // width)
    if down == across == 1:
        return plane
    rows, columns = plane.shape[0] // down, plane.shape[1] // across
    whole = plane[: rows * down, : columns * across]
    return cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)


def full_range(luma: np.ndarray, info: VideoInfo) -> np.ndarray:
    """float32 luma, 0 black to 255 white, whatever the film's depth and range."""
    code = luma.astype(np.float32) / (1 << (info.depth - 8))
    if info.range == "full":
        return code * (255 * (1 << (info.depth - 8)) / info.maximum)
    return np.clip((code - 16) * (255 / 219), 0, 255)


def _mean_squared_slope(luma: np.ndarray) -> float:
    across, down = np.diff(luma, axis=1), np.diff(luma, axis=0)
    return float(np.vdot(across, across) / across.size + np.vdot(down, down) / down.size)


def _shots_between(boundaries: list[Dissolve], count: int) -> list[Shot]:
    """Shots over all `count` frames; fades are cut short so that each shot keeps a frame of its own."""
    shots: list[Shot] = []
    edges = [0, *(boundary.middle for boundary in boundaries), count]
    halves = [0, *(boundary.half for boundary in boundaries)]
    for (start, stop), half in zip(pairwise(edges), halves, strict=True):
        before = len(shots[-1]) - shots[-1].fade if shots else 1
        shots.append(Shot(start, stop, min(half, before - 1, stop - start - 1)))
    return shots


def _parts_by_colour(shot: Shot, flags: np.ndarray) -> list[Shot]:
    """The shot, split where colour begins or ends within it."""
    changes = shot.start + 1 + np.flatnonzero(np.diff(flags[shot.start : shot.stop]))
    edges = [shot.start, *changes.tolist(), shot.stop]
    return [
        Shot(start, stop, shot.fade if start == shot.start else 0, bool(flags[start]))
        for start, stop in pairwise(edges)
    ]
