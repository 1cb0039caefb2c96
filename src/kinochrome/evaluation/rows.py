"""The rows of a table: whatever gives each true frame a colour version of itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch

from kinochrome import chain, methods, weights
from kinochrome.errors import MethodError
from kinochrome.metrics.picture import Picture
from kinochrome.types import Painted, Reference, Shot

from .footage import TrueClip, matching, square_film
from .grey import Grey, Size, size_of
from .protocols import Protocol as Rules
from .protocols import Task
from .strokes import drawn, with_strokes

Frame = np.ndarray | Picture
"""R'G'B' (h, w, 3) float32 0..1 or uint8, or all that was derived from it, too."""
Paint = Callable[[Picture], Frame]
"""From a true frame to its colour version."""

TRUTH_METRICS = ("bleed", "cdc", "colorfulness", "warp_error")
"""The truth has figures of its own in these and what begins with them; all else compares it with itself."""


KEPT = 8
"""Given frames that are kept at a working size while a clip goes by: those around a piece, in most protocols."""


class Row(Protocol):
    """One line of the table."""

    @property
    def name(self) -> str: ...

    def paints(self, clip: TrueClip, task: Task) -> Iterator[Paint]:
        """One for each frame of the task, in order; what is never scored need not be painted."""
        ...

    def drafts(self, clip: TrueClip, task: Task) -> Iterator[Paint] | None:
        """The same of what the last method was given as a draft; None where there was none."""
        ...


class WithoutDraft:
    """A row that no draft stands behind."""

    def drafts(self, clip: TrueClip, task: Task) -> Iterator[Paint] | None:
        return None


@dataclass(frozen=True)
class TruthRow(WithoutDraft):
    """The true frames themselves."""

    name: str = "truth"

    def paints(self, clip: TrueClip, task: Task) -> Iterator[Paint]:
        for _ in range(task.start, task.stop):
            yield lambda true: true


@dataclass(frozen=True)
class GreyRow(WithoutDraft):
    """The film without colours: what a method must beat."""

    grey: Grey
    name: str = "grey"

    def paints(self, clip: TrueClip, task: Task) -> Iterator[Paint]:
        for _ in range(task.start, task.stop):
            yield lambda true: self.grey.pasted(true, np.zeros((2, *size_of(true)), np.float32))


@dataclass(frozen=True)
class CopyRow(WithoutDraft):
    """The ab of the given frame nearest in time (of two, the earlier), pasted in place at full size."""

    grey: Grey
    name: str = "copy"

    def paints(self, clip: TrueClip, task: Task) -> Iterator[Paint]:
        given, ab = -1, np.empty(0)
        for index in range(task.start, task.stop):
            nearest = min(task.references, key=lambda frame: abs(frame - index))
            if nearest != given:
                given, ab = nearest, true_frame(clip, nearest).lab[1:]
            yield self.grey.given if nearest == index else functools.partial(self.grey.pasted, ab=ab)


@dataclass(frozen=True)
class ResultsRow(WithoutDraft):
    """Colour frames that another tool made."""

    name: str
    folder: Path

    def paints(self, clip: TrueClip, task: Task) -> Iterator[Paint]:
        for rgb in matching(self.folder, clip).frames(task.start, task.stop):
            yield functools.partial(_ready, rgb)


@dataclass(frozen=True)
class MethodRow:
    """A method, or several one behind the other."""

    name: str
    """`NAME` or `NAME,NAME`, as given to --method."""
    options: Mapping[str, str]
    grey: Grey
    height: int | None
    device: str

    @functools.cached_property
    def meant(self) -> dict[str, Any]:
        """The options, weights by what they hold; read once for all clips."""
        return weights.by_content(self.options)

    def paints(self, clip: TrueClip, task: Task) -> Iterator[Paint]:
        return self._paints(clip, task, self._steps(clip, task))

    def drafts(self, clip: TrueClip, task: Task) -> Iterator[Paint] | None:
        before = self._steps(clip, task)[:-1]
        return self._paints(clip, task, before) if before else None

    def _steps(self, clip: TrueClip, task: Task) -> tuple[chain.Step, ...]:
        size = size_of(true_frame(clip, task.start))
        film = square_film(Path(clip.name), *size)
        steps = chain.load(self.name, self.options, self.device, film, self.height)
        if not task.strokes:
            return steps

        @functools.lru_cache(maxsize=2)
        def strokes(size: Size) -> list:
            ab = self.grey.ab(true_frame(clip, task.start), size)
            return drawn(clip.name, task.strokes, task.start, ab)

        return tuple(replace(step, method=with_strokes(step.method, strokes)) for step in steps)

    def _paints(self, clip: TrueClip, task: Task, steps: tuple[chain.Step, ...]) -> Iterator[Paint]:
        def lightness(size: Size, first: int, last: int) -> torch.Tensor:
            return torch.stack([self.grey.lightness(Picture(rgb), size) for rgb in clip.frames(first, last)])

        @functools.lru_cache(maxsize=KEPT)
        def read(frame: int, size: Size) -> Reference:
            return self._reference(clip, frame, size)

        def references(size: Size) -> list[Reference]:
            return [cast(Reference, _Given(frame, functools.partial(read, frame, size))) for frame in task.references]

        longest = min(step.method.longest for step in steps)
        said = chain.colour_shot(steps, Shot(task.start, task.stop), longest, lightness, references)
        for index, painted in enumerate(said, start=task.start):
            yield self.grey.given if index in task.references else functools.partial(self._coloured, painted)

    def _reference(self, clip: TrueClip, frame: int, size: Size) -> Reference:
        true = true_frame(clip, frame)
        return Reference(self.grey.lightness(true, size), self.grey.ab(true, size), torch.ones(1, *size), frame)

    def _coloured(self, painted: Painted, true: Picture) -> np.ndarray:
        return self.grey.coloured(true, painted)


class _Given:
    """A reference whose picture is read when a method looks at it: a long film has more than memory holds."""

    def __init__(self, frame: int, read: Callable[[], Reference]) -> None:
        self.frame, self._read = frame, read

    lightness = property(lambda self: self._read().lightness)
    ab = property(lambda self: self._read().ab)
    confidence = property(lambda self: self._read().confidence)


def _ready(rgb: np.ndarray, true: Picture) -> np.ndarray:
    return rgb


def true_frame(clip: TrueClip, index: int) -> Picture:
    """One frame of a clip."""
    return Picture(next(clip.frames(index, index + 1)), f"true frame {index} of {clip.name}")


def check_needs(names: str, rules: Rules) -> None:
    """The protocol gives all that a chain needs, and the chain makes something of what is given."""
    uses: set[str] = set()
    for number, name in enumerate(names.split(",")):
        kind = methods.load(name.strip())
        uses |= kind.uses
        if missing := sorted(kind.needs - rules.gives - ({"draft"} if number else set())):
            raise MethodError(
                f"The method {name} needs a {' and a '.join(missing)}, which the protocol {rules.name} does not give: "
                f"{rules.text}."
            )
    if unused := sorted(rules.gives - uses):
        raise MethodError(
            f"The method {names} makes nothing of a {unused[0]}, which is all that the protocol {rules.name} gives. "
            "Score it under `automatic`."
        )
