"""The methods of a run, one behind the other: each one's output is the next one's draft."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from . import clips, methods
from .clips import Piece
from .errors import MethodError
from .segments import Carried, Handover
from .types import Clip, Method, Onward, Painted, Reference, Shot, Tunable, VideoInfo

Size = tuple[int, int]


@dataclass(frozen=True)
class Step:
    """One method of the chain, ready to work."""

    name: str
    options: Any
    method: Method
    size: Size


@dataclass(frozen=True)
class Tuning:
    """How a method is taught before it colours a shot."""

    steps: int
    file: Path
    """What it has learned is kept here."""
    device: str


@dataclass(frozen=True)
class Outcome:
    """What each method of the chain says of each frame of a clip, and what it carries on."""

    said: tuple[list[Painted], ...]
    carried: tuple[Carried, ...]

    def boundary(self, index: int) -> tuple[Painted, ...]:
        """What each method says of one frame of the clip."""
        return tuple(said[index] for said in self.said)


def load(names: str, options: Mapping[str, str], device: str, info: VideoInfo, height: int | None) -> tuple[Step, ...]:
    """The methods of `--method NAME[,NAME]` with the options of `--set METHOD.OPTION=VALUE`."""
    wanted = [name.strip() for name in names.split(",")]
    if "" in wanted:
        raise MethodError(f"--method {names}: a name is missing. Write NAME, or NAME,NAME for one behind the other.")
    if height is not None and height < 16:
        raise MethodError(f"--height {height} is too small to see anything. Give 16 or more; 240 is usual.")
    texts: dict[str, dict[str, str]] = {name: {} for name in wanted}
    for key, value in options.items():
        name, dot, option = key.partition(".")
        if not dot or name not in texts:
            raise MethodError(
                f"--set {key}={value}: write it as METHOD.OPTION=VALUE with a method of this run ({', '.join(wanted)})."
            )
        texts[name][option] = value
    steps = []
    for n, name in enumerate(wanted):
        kind = methods.load(name)
        if n and "draft" not in kind.uses:
            raise MethodError(f"--method {names}: {name} makes nothing of a draft, so it can only come first.")
        if not n and "draft" in kind.needs:
            raise MethodError(f"The method {name} needs a draft. Name the method that makes it: --method flow,{name}")
        chosen = methods.parse_options(name, texts[name])
        method = kind(chosen, chosen_device(device))
        size = clips.small_size(info, height) if height else method.working_size(*info.upright_size)
        steps.append(Step(name, chosen, method, size))
    return tuple(steps)


def tuned(step: Step, references: Sequence[Reference], tuning: Tuning, tell: Callable[[int], None]) -> Step:
    """The step with the weights that these references have taught, from the file where that was done before."""
    if not isinstance(step.method, Tunable) or not references:
        return step
    if not tuning.file.exists():
        step.method.tune(references, tuning.steps, tuning.file, tell)
    options = replace(step.options, weights=str(tuning.file))
    return replace(step, options=options, method=type(step.method)(options, tuning.device))


def chosen_device(device: str) -> str:
    """`auto` becomes the best that this machine has; one that it lacks is an error."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return "cuda" if there["cuda"] else "mps" if there["mps"] else "cpu"
    if device not in there:
        raise MethodError(f"--device {device} is unknown. Choose auto, cpu, cuda or mps.")
    if not there[device]:
        raise MethodError(
            f"--device {device} is not usable here (`kinochrome doctor` says why). --device cpu always is."
        )
    return device


def run(
    steps: tuple[Step, ...],
    clip: Callable[[Size], Clip],
    before: Handover | None,
    after: Handover | None,
    tell: Callable[[float], None] = lambda share: None,
    take: Callable[[Painted], None] = lambda painted: None,
) -> Outcome:
    """Colours one clip with each method in turn.

    `clip` makes the clip at a working size, without what this chain hands over: drafts, the neighbours' colours and
    carried state are put in here. `tell` hears of each coloured frame (as a fraction for chains of several methods);
    `take` gets what the last method says of each frame as soon as it is said.
    """
    said: list[list[Painted]] = []
    carried: list[Carried] = []
    for n, step in enumerate(steps):
        bare = clip(step.size)
        full = replace(
            bare,
            draft=torch.stack([clips.resized(one, step.size).ab for one in said[-1]]) if said else None,
            previous=before.boundary[n] if before else None,
            following=after.boundary[n] if after else None,
            carried=before.carried[n] if before else None,
            brought=after.carried[n] if after else None,
        )
        hear = take if n == len(steps) - 1 else lambda painted: None
        painted, keep = _drain(step, full, lambda: tell(1 / len(steps)), hear)
        said.append(painted)
        carried.append(keep)
    return Outcome(tuple(said), tuple(carried))


def scribbled(step: Step, clip: Clip) -> Reference:
    """The one frame of a clip as its scribbles (and stills of other moments) tell it to the method: a reference.

    It leaves open what they do not tell: confidence says so. A method takes references from outside a clip, so every
    piece of the shot hears of the scribbles, and pieces say what the whole shot would.
    """
    painted, _ = _drain(step, clip)
    return Reference(clip.lightness[0], painted[0].ab, painted[0].confidence, clip.start)


def ways_back(steps: Sequence[Step], references: Sequence[Reference]) -> list[int]:
    """Frames where a way back can begin (`clips.backward_starts`); none where nobody listens to later pieces."""
    listens = any(not isinstance(step.method, Onward) for step in steps)
    return clips.backward_starts(references) if listens else []


class Kept(Protocol):
    """Where brought-back colours are kept by the number of the piece that they end; a dict is one."""

    def get(self, number: int) -> Handover | None: ...

    def __setitem__(self, number: int, handover: Handover) -> None: ...


def bring_back(
    pieces: Sequence[Piece],
    number: int,
    starts: Sequence[int],
    run_piece: Callable[[Piece, Handover | None], Outcome],
    kept: Kept,
) -> Handover | None:
    """What the pieces after this one, run backward from a later reference, say of its last frame.

    None where no reference lies later in the same shot; `starts` are `ways_back` of its references.
    `run_piece` colours a piece given what follows it.
    """
    piece = pieces[number]
    later = (one for one in range(number + 1, len(pieces)) if pieces[one].shot == piece.shot)
    holding = next((n for n in later if any(pieces[n].start <= frame < pieces[n].last for frame in starts)), None)
    if holding is None:
        return None
    if (stored := kept.get(number)) is not None:
        return stored
    # From the first piece that holds such a reference, its colours are handed back from piece to piece.
    handover = None
    for one in range(holding, number, -1):
        back = clips.backward_piece(pieces[one], starts)
        outcome = run_piece(back, handover)
        handover = Handover(boundary=outcome.boundary(back.overlap - 1), carried=outcome.carried)
        kept[one - 1] = handover
    return handover


def colour_shot(
    steps: tuple[Step, ...],
    shot: Shot,
    longest: int,
    lightness: Callable[[Size, int, int], torch.Tensor],
    references: Callable[[Size], Sequence[Reference]],
) -> Iterator[Painted]:
    """Colours one shot in memory, piece by piece, as the film's own path does with its project folder.

    `lightness(size, first, last)` gives (T, 1, h, w); `references(size)` all of the shot's.
    """
    pieces = clips.split([shot], min(longest, *(step.method.longest for step in steps)))
    starts = ways_back(steps, references(steps[0].size))

    def run_piece(piece: Piece, before: Handover | None, after: Handover | None) -> Outcome:
        def clip(size: Size) -> Clip:
            near = clips.near(references(size), piece.first, piece.last)
            return Clip(piece.first, piece.overlap, lightness(size, piece.first, piece.last), near)

        return run(steps, clip, before, after)

    before: Handover | None = None
    kept: dict[int, Handover] = {}
    for number, piece in enumerate(pieces):
        after = bring_back(pieces, number, starts, lambda back, following: run_piece(back, None, following), kept)
        kept.pop(number, None)
        outcome = run_piece(piece, before, after)
        before = Handover(boundary=outcome.boundary(-1), carried=outcome.carried)
        yield from outcome.said[-1][piece.overlap :]


def _drain(
    step: Step,
    clip: Clip,
    tell: Callable[[], None] = lambda: None,
    take: Callable[[Painted], None] = lambda painted: None,
) -> tuple[list[Painted], Carried]:
    """Everything that a method yields and what it returns; a method that breaks its word is an error."""
    painted: list[Painted] = []
    with closing(step.method.colorize(clip)) as generator:
        while True:
            try:
                painted.append(next(generator))
            except StopIteration as end:
                if len(painted) != len(clip):
                    raise MethodError(
                        f"The method {step.name} coloured {len(painted)} of {len(clip)} frames from frame {clip.start} "
                        "on. This is a fault of the method; please report it."
                    ) from None
                return painted, end.value
            take(painted[-1])
            if len(painted) > clip.overlap:
                tell()
