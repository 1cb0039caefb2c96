"""What finished pieces leave in the project folder: enough to go on from, and nothing that was encoded with loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from .project import write_atomically
from .types import Painted

Carried = dict[str, torch.Tensor] | None


@dataclass(frozen=True)
class Handover:
    """What one piece hands to its neighbours and to the report. Float, as the methods said it."""

    boundary: tuple[Painted, ...] = ()
    """One a method of the chain: of the piece's last written frame (run backward: of its last context frame)."""
    carried: tuple[Carried, ...] = ()
    """One a method of the chain."""
    tail: tuple[Painted, ...] = ()
    """The frames that dissolve into the next shot."""
    explained: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    """The explained share of each written frame."""
    films: int = 0
    """Bytes of the films beside it, so that a damaged one is noticed."""

    def slim(self) -> Handover:
        """The same without what only the next piece of the shot goes on from, which is the most of it."""
        return replace(self, boundary=(), carried=())


def write(handover: Handover, path: Path) -> None:
    """Stores a handover; there completely or not at all. Methods may yield views of one tensor; files hold copies."""
    tensors = {"explained": handover.explained, "films": torch.tensor(handover.films)}
    for kind, painted in (("boundary", handover.boundary), ("tail", handover.tail)):
        for n, one in enumerate(painted):
            tensors[f"{kind}.{n:04d}.ab"] = one.ab.contiguous().clone()
            tensors[f"{kind}.{n:04d}.confidence"] = one.confidence.contiguous().clone()
    for n, carried in enumerate(handover.carried):
        for name, tensor in (carried or {}).items():
            tensors[f"carried.{n:04d}.{name}"] = tensor.contiguous().clone()
    write_atomically(path, save(tensors))


def read(path: Path) -> Handover | None:
    """The handover stored here, or None where there is none, or only a damaged one (a power cut)."""
    try:
        tensors = load(path.read_bytes())
    except (FileNotFoundError, SafetensorError):
        return None
    carried: dict[int, dict[str, torch.Tensor]] = {}
    for name in (name for name in tensors if name.startswith("carried.")):
        _, n, inner = name.split(".", 2)
        carried.setdefault(int(n), {})[inner] = tensors[name]
    boundary = _painted(tensors, "boundary")
    return Handover(
        boundary,
        tuple(carried.get(n) for n in range(len(boundary))),
        _painted(tensors, "tail"),
        tensors["explained"],
        int(tensors["films"]),
    )


@dataclass(frozen=True)
class Kept:
    """Handovers on disk by the number of their piece."""

    path: Callable[[int], Path]

    def get(self, number: int) -> Handover | None:
        return read(self.path(number))

    def __setitem__(self, number: int, handover: Handover) -> None:
        write(handover, self.path(number))


def _painted(tensors: dict[str, torch.Tensor], kind: str) -> tuple[Painted, ...]:
    numbers = sorted({name.split(".")[1] for name in tensors if name.startswith(f"{kind}.")})
    return tuple(Painted(tensors[f"{kind}.{n}.ab"], tensors[f"{kind}.{n}.confidence"]) for n in numbers)
