"""One clip: every row that is not scored yet, in one pass over the true frames; and where figures are kept."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from kinochrome import metrics
from kinochrome.errors import KinochromeError
from kinochrome.metrics.picture import picture_of
from kinochrome.metrics.score import Moment, Score, Truth
from kinochrome.project import made_folder, write_atomically

from .footage import PictureClip, TrueClip
from .protocols import Task
from .rows import TRUTH_METRICS, Frame, MethodRow, Row, TruthRow
from .worst import Worst

Figures = dict[str, "float | None"]

WORDS, PICTURE = "words", "picture"
"""Under which names a file of figures holds them, as JSON, and the picture, beside arrays named as their metrics."""
APART = 1000
"""Photographs are numbered in such steps where figures are made, so that no metric takes two for neighbours in time."""


@dataclass(frozen=True)
class Scored:
    """What is known of one row on one clip."""

    figures: Figures
    """Metric -> the clip's figure."""
    index: list[int]
    """The scored frames."""
    frames: dict[str, list[float | None]]
    """Metric -> the figure of each of them."""
    gathered: dict[str, np.ndarray] = field(default_factory=dict)
    """Metric -> what its figure over all clips is made of."""
    picture: bytes = b""
    """JPEG of the worst frame: truth, result, error."""
    worst: int | None = None
    """The index of that frame."""


def metrics_of(row: Row, names: Sequence[str]) -> list[str]:
    """Those that say something of a row; drafts are known of chains of methods alone."""
    if isinstance(row, TruthRow):
        return [name for name in names if name.startswith(TRUTH_METRICS)]
    chained = isinstance(row, MethodRow) and "," in row.name
    return [name for name in names if chained or "draft" not in metrics.load(name).needs]


@dataclass
class _Sheet:
    """A row while its frames go by."""

    row: Row
    score: Score
    with_draft: bool
    worst: Worst = field(default_factory=Worst)
    index: list[int] = field(default_factory=list)
    frames: dict[str, list[float | None]] = field(default_factory=dict)

    def add(self, index: int, moment: Moment, frame: Frame, draft: Frame | None) -> None:
        result = picture_of(frame, f"result's frame {moment.index}")
        figures = self.score.add(moment, result, draft)
        self.index.append(index)
        for name, figure in figures.items():
            self.frames.setdefault(name, []).append(figure)
        self.worst.see(index, figures.get("psnr"), moment.picture, result)

    def finish(self) -> Scored:
        gathered = {
            name: metric.gathered()  # type: ignore[attr-defined]
            for name, metric in self.score.metrics.items()
            if getattr(metric, "pooled", False)
        }
        figures = {name: _finite(figure) for name, figure in self.score.finish().items()}
        return Scored(figures, self.index, self.frames, gathered, self.worst.jpeg(), self.worst.index)


@dataclass(frozen=True)
class Measures:
    """What is measured, and by what means."""

    names: Sequence[str]
    """Of metrics."""
    flow: str = "dis"
    """How the true film's motion is found."""
    device: str = "cpu"
    """Where metrics' networks work."""


def score_clip(
    clip: TrueClip,
    tasks: Sequence[Task],
    rows: Sequence[Row],
    measures: Measures,
    tell: Callable[[int], None] = lambda frames: None,
) -> dict[str, Scored]:
    """Each row's figures on a clip. `tell` hears of every frame that went by."""
    # glibc keeps twice the largest block it ever saw freed; the rest it returns, and gets back page by page.
    np.empty(30 << 20, np.uint8)
    truth = Truth(measures.flow, measures.device)
    sheets = []
    for row in rows:
        wanted = metrics_of(row, measures.names)
        with_draft = any("draft" in metrics.load(name).needs for name in wanted)
        sheets.append(_Sheet(row, Score(wanted, measures.device), with_draft))
    for task in tasks:
        _score_task(clip, task, sheets, truth, tell)
    return {sheet.row.name: sheet.finish() for sheet in sheets}


def _score_task(
    clip: TrueClip, task: Task, sheets: Sequence[_Sheet], truth: Truth, tell: Callable[[int], None]
) -> None:
    scored, apart = set(task.scored), APART if isinstance(clip, PictureClip) and clip.stills else 1
    with ExitStack() as stack:
        paints = [opened(sheet.row.paints(clip, task), stack) for sheet in sheets]
        drafts = [opened(sheet.row.drafts(clip, task), stack) if sheet.with_draft else None for sheet in sheets]
        frames = opened(clip.frames(task.start, task.stop), stack)
        for index, rgb in enumerate(frames, start=task.start):
            moment = truth.show(index * apart, rgb) if index in scored else None
            for sheet, paint, draft in zip(sheets, paints, drafts, strict=True):
                try:
                    _add(sheet, index, moment, paint, draft)
                except KinochromeError as error:
                    raise type(error)(f"{sheet.row.name}, clip {clip.name}, frame {index}: {error}") from error
            tell(1)


def _add(sheet: _Sheet, index: int, moment: Moment | None, paint: Iterator, draft: Iterator | None) -> None:
    """The next frame of a row; where it is not scored, the row only goes on."""
    show, show_draft = next(paint), next(draft) if draft else None
    if moment is not None:
        sheet.add(index, moment, show(moment.picture), show_draft(moment.picture) if show_draft else None)


def opened(frames: Any, stack: ExitStack) -> Any:
    """The same generator, closed when the clip is done or an error stops it."""
    return stack.enter_context(closing(frames)) if hasattr(frames, "close") else frames


def _finite(figure: float | None) -> float | None:
    return figure if figure is not None and np.isfinite(figure) else None


# --- Where figures are kept ---


def place(out: Path, row: str, clip: str) -> Path:
    """Where all that is known of a row on a clip is kept: one file, so that nothing of two runs is ever mixed."""
    return out / "scores" / row / f"{clip}.npz"


def keep(path: Path, key: str, scored: Scored) -> None:
    """Writes what is known, all of it or nothing."""
    made_folder(path.parent, parents=True)
    words = {"key": key, "figures": scored.figures, "worst": scored.worst, "index": scored.index}
    text = json.dumps(words | {"frames": scored.frames}).encode()
    whole = {WORDS: _bytes(text), PICTURE: _bytes(scored.picture), **scored.gathered}
    packed = io.BytesIO()
    np.savez(packed, **whole)  # type: ignore[arg-type]
    write_atomically(path, packed.getvalue())


def kept(path: Path, key: str) -> Scored | None:
    """What an earlier run found under the same conditions; None where there is nothing, or all has changed."""
    try:
        with np.load(path) as held:
            told = json.loads(held[WORDS].tobytes())
            if told["key"] != key:
                return None
            gathered = dict(held)
        picture = gathered.pop(PICTURE).tobytes()
        del gathered[WORDS]
        return Scored(told["figures"], told["index"], told["frames"], gathered, picture, told["worst"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
        return None


def _bytes(text: bytes) -> np.ndarray:
    return np.frombuffer(text, np.uint8)


def mean(values: Iterable[float | None]) -> float | None:
    """Over those that are there."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None
