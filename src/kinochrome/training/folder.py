"""A run as it was asked for, and its folder: who is at work there, and what it goes on from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kinochrome.errors import ProjectError, TrainingError
from kinochrome.project import locked


@dataclass(frozen=True)
class Job:
    """One run: what, from what, where."""

    recipe: Path
    data: tuple[Path, ...]
    folder: Path
    dev: Path | None = None
    """Clips to judge by; none: there is no best."""
    store: Path | None = None
    """Decoded frames are kept here; the run's folder, if nothing is said."""
    start_from: Path | None = None
    """First weights; a resumed run has its own."""
    device: str = "cpu"
    resume: bool = False


def is_begun(folder: Path) -> bool:
    """There is a checkpoint to go on from."""
    return (folder / "state.pt").exists()


def anew(folder: Path) -> str:
    """How another run takes over what the one in a folder has learnt."""
    return f"begin a new run in another --out with --from {folder / 'last.safetensors'}"


def after(folder: Path, mended: str, otherwise: str) -> str:
    """What is left of a run that failed, and how it goes on once that is mended: `otherwise` with a checkpoint."""
    if is_begun(folder):
        return f"What was saved before is whole. {mended}, then {otherwise}."
    return f"Nothing was saved before. {mended}, then give the same command again."


@contextlib.contextmanager
def opened(job: Job) -> Iterator[None]:
    """A new run's folder, or the resumed one's, with nobody else at work there."""
    with contextlib.ExitStack() as lock:
        try:
            lock.enter_context(locked(job.folder))
        except ProjectError as error:
            raise TrainingError(
                f"Another run is at work in {job.folder}. Wait for it, or name another --out."
            ) from error
        except OSError as error:
            raise TrainingError(
                f"{job.folder} cannot be a run's folder: {error.strerror or error}. Name another --out."
            ) from error
        _check(job)
        yield


def _check(job: Job) -> None:
    if is_begun(job.folder) and not job.resume:
        raise TrainingError(f"{job.folder} holds a run already. Go on with --resume, or name another --out.")
    if job.resume and not is_begun(job.folder):
        raise TrainingError(f"{job.folder} holds no run to resume. Leave out --resume to begin one.")
    kept = job.folder / "recipe.toml"
    if job.resume and kept.exists() and kept.read_bytes() != job.recipe.read_bytes():
        raise TrainingError(
            f"{job.folder} was begun with another recipe ({kept}). Resume with that one, or {anew(job.folder)}."
        )


def read_state(folder: Path) -> dict[str, Any]:
    """What `--resume` goes on from."""
    try:
        return torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    except Exception as error:
        # Damage shows as almost any error, and torch's own text on some of them fills a screen.
        why = str(error).partition("\n")[0].rstrip(".")
        raise TrainingError(f"{folder / 'state.pt'} is damaged ({why}): {anew(folder)}.") from error
