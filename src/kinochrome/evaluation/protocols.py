"""The named protocols: which frames of a clip are coloured together, which are given, and which are scored."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from kinochrome.errors import MethodError, did_you_mean

PROTOCOLS: dict[str, str] = {
    "first-frame": "the true first frame is given; all others are scored",
    "first-and-last": "the true first and last frames are given; all between are scored",
    "bistnet-90": "windows of 90 frames, the first and last of each given; frames 6 to 85 of each are scored",
    "every-N": "every N-th true frame is given, from the first (every-50); all others are scored",
    "automatic": "nothing is given; every frame is scored",
    "scribbles": "10 strokes in the true colours on the first frame (scribbles-N: N of them); every frame is scored",
    "still": "photographs, each by itself, nothing given; all are scored",
}

STROKES = 10
SEED = 20260
"""From which strokes are drawn, the same in every run."""


@dataclass(frozen=True)
class Task:
    """Frames `start` to `stop` (excluded) of a clip, coloured as one shot. All indices are those of the clip."""

    start: int
    stop: int
    references: tuple[int, ...]
    scored: tuple[int, ...]
    strokes: int = 0
    """Drawn on the frame `start`."""


@dataclass(frozen=True)
class Protocol:
    """A protocol as it was asked for."""

    name: str
    text: str
    shortest: int
    """Clips of fewer frames are left out."""
    gives: frozenset[str]
    """Of "reference" and "scribble"."""
    divide: Callable[[int], list[Task]]
    """The tasks of a clip of so many frames, at least `shortest`."""
    stills: bool = False
    """Frames are photographs: of any size, in no order in time."""

    def tasks(self, count: int) -> list[Task]:
        """The tasks of a clip of `count` frames; none where it is too short."""
        return self.divide(count) if count >= self.shortest else []


def protocol_of(name: str, include_exemplar: bool = False) -> Protocol:
    """The protocol of that name; `include_exemplar` scores the given frames too, as some scripts do."""
    found = _named(name)
    if not include_exemplar:
        return found
    if "reference" not in found.gives or found.name == "bistnet-90":
        raise MethodError(
            f"--include-exemplar does not go with {name}, which scores {_scores(found)}. Leave it out, or take "
            "another protocol."
        )

    def divide(count: int) -> list[Task]:
        return [replace(task, scored=tuple(range(task.start, task.stop))) for task in found.divide(count)]

    return replace(found, text=f"{found.text}; and so are the given frames", divide=divide)


def _scores(protocol: Protocol) -> str:
    return "frames 6 to 85 of each window" if "reference" in protocol.gives else "every frame already: none is given"


def _named(name: str) -> Protocol:
    reference, nothing = frozenset({"reference"}), frozenset[str]()
    if found := re.fullmatch(r"every-(\d+)", name):
        step = int(found[1])
        if step < 2:
            raise MethodError(f"{name} would give every frame and score none. Let N be 2 or more: every-50.")
        text = f"one true frame in {step} is given, from the first; all others are scored"
        return Protocol(name, text, 2, reference, lambda count: [_given(count, range(0, count, step))])
    if found := re.fullmatch(r"scribbles(?:-(\d+))?", name):
        strokes = int(found[1] or STROKES)
        if strokes < 1:
            raise MethodError(f"{name} draws no stroke; that is `automatic`.")
        text = f"{strokes} strokes in the true colours on the first frame, drawn from seed {SEED}; all are scored"
        return Protocol(name, text, 1, frozenset({"scribble"}), lambda count: [_nothing_given(count, strokes)])
    text = PROTOCOLS.get(name, "")
    match name:
        case "first-frame":
            return Protocol(name, text, 2, reference, lambda count: [_given(count, (0,))])
        case "first-and-last":
            return Protocol(name, text, 3, reference, lambda count: [_given(count, (0, count - 1))])
        case "bistnet-90":
            text += ", counted from 1; what fills no window is left out"
            return Protocol(name, text, 90, reference, lambda count: [_window(start) for start in _starts(count)])
        case "automatic":
            return Protocol(name, text, 1, nothing, lambda count: [_nothing_given(count)])
        case "still":
            return Protocol(name, text, 1, nothing, _each_alone, True)
    raise MethodError(_unknown(name))


def _unknown(name: str) -> str:
    if name == "every-N":
        return "every-N: write a number for N, for instance every-50."
    return f"There is no protocol {name!r}{did_you_mean(name, PROTOCOLS)} There are: {', '.join(PROTOCOLS)}."


def _given(count: int, frames: range | tuple[int, ...]) -> Task:
    """One task over the clip; what is given is not scored."""
    return Task(0, count, tuple(frames), tuple(frame for frame in range(count) if frame not in frames))


def _nothing_given(count: int, strokes: int = 0) -> Task:
    return Task(0, count, (), tuple(range(count)), strokes)


def _each_alone(count: int) -> list[Task]:
    return [Task(index, index + 1, (), (index,)) for index in range(count)]


def _starts(count: int) -> range:
    return range(0, count - 89, 90)


def _window(start: int) -> Task:
    # The paper says "from frame 6 to frame 85" of 90: counted from 1, five are left out on either side.
    return Task(start, start + 90, (start, start + 89), tuple(range(start + 5, start + 85)))
