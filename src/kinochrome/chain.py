"""The methods of a run, one behind the other: each one's output is the next one's draft."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from . import clips, methods
from .errors import MethodError
from .segments import Carried, Handover
from .types import Clip, Method, Painted, VideoInfo

Size = tuple[int, int]


@dataclass(frozen=True)
class Step:
    """One method of the chain, ready to work."""

    name: str
    options: Any
    method: Method
    size: Size


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
    tell: Callable[[float], None],
) -> Outcome:
    """Colours one clip with each method in turn.

    `clip` makes the clip at a working size, without what this chain hands over: drafts, the neighbours' colours and
    carried state are put in here. `tell` hears of each coloured frame (as a fraction for chains of several methods).
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
        )
        painted, keep = _drain(step, full, lambda: tell(1 / len(steps)))
        said.append(painted)
        carried.append(keep)
    return Outcome(tuple(said), tuple(carried))


def _drain(step: Step, clip: Clip, tell: Callable[[], None]) -> tuple[list[Painted], Carried]:
    """Everything that a method yields and what it returns; a method that breaks its word is an error."""
    painted: list[Painted] = []
    generator = step.method.colorize(clip)
    while True:
        try:
            painted.append(next(generator))
        except StopIteration as end:
            if len(painted) != len(clip):
                raise MethodError(
                    f"The method {step.name} coloured {len(painted)} of {len(clip)} frames from frame {clip.start} on. "
                    "This is a fault of the method; please report it."
                ) from None
            return painted, end.value
        if len(painted) > clip.overlap:
            tell()
