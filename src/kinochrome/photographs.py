"""A folder of photographs: each picture by itself and under its own name, where a film's frames would go together."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from . import pipeline, video
from .errors import HintError, VideoError
from .pipeline import Summary
from .places import check_named
from .plan import Job, Report
from .project import NUMBERED, PICTURE_SUFFIXES, PictureHint, is_picture, made_folder, parse_reference

OF_FILMS = {
    "shots": "--shots", "project": "--project", "confidence": "--confidence", "start": "--from", "stop": "--to",
    "scribbles": "--scribble", "auto_reference": "--auto-reference", "preview": "--preview", "rate": "--rate",
}  # fmt: skip
"""Settings that mean something in a film alone."""
TOLD = 5
"""So many different errors are told at the end."""


def colorize(job: Job, report: Report = lambda event, data: None) -> Summary:
    """Colours every picture of a folder into another one; those that are there stay, so a stopped run goes on."""
    started = time.monotonic()
    targets = _targets(job)
    report("plan", {"frames": len(targets), "shots": len(targets), "pieces": len(targets), "notes": ()})
    done, coloured, failed = 0, 0, []
    for number, (picture, target) in enumerate(targets.items()):
        report("piece", {"shot": number + 1, "start": number, "stop": number + 1})
        if target.exists() and not job.overwrite:
            done += 1
            report("resumed", {"frames": 1})
            continue
        try:
            shots = pipeline.colorize(replace(job, source=picture, target=target), _within(report)).shots
        except VideoError as error:  # one that is damaged must not cost the others
            failed.append(str(error) if picture.name in str(error) else f"{picture.name}: {error}")
            continue
        coloured += all(shot.in_colour for shot in shots)
    notes = _notes(done, coloured, len(targets))
    for note in notes:
        report("note", {"text": note})
    if failed:
        more = f" And {len(failed) - TOLD} more." if len(failed) > TOLD else ""
        told = " ".join(failed[:TOLD]) + more
        raise VideoError(f"{len(failed)} of {len(targets)} photographs could not be coloured. {told}")
    return Summary(job.target, None, len(targets), done, time.monotonic() - started, (), notes)


def _targets(job: Job) -> dict[Path, Path]:
    """What each picture becomes; every foreseeable error is raised here."""
    check_named("source", job.source)
    check_named("target", job.target)
    _check_words(job)
    if not job.source.is_dir():
        raise VideoError(f"{job.source} is no folder of photographs. Name one, or leave --photographs out.")
    taken = job.target.exists() and (not job.target.is_dir() or job.target.samefile(job.source))
    if taken or str(job.target) == "-":
        raise VideoError(f"{job.target} is not a folder of its own. Name another folder for what is coloured.")
    pictures = sorted(one for one in job.source.iterdir() if is_picture(one) and one.is_file())
    if not pictures:
        raise VideoError(f"{job.source} holds no pictures ({' '.join(sorted(PICTURE_SUFFIXES))}). Name another folder.")
    names = [_name(picture) for picture in pictures]
    counts = Counter(names)
    for picture, name in zip(pictures, names, strict=True):
        if counts[name] > 1:
            twins = " and ".join(one.name for one, own in zip(pictures, names, strict=True) if own == name)
            raise VideoError(f"{twins} of {job.source} would both become {name}. Rename one of them.")
        if NUMBERED.search(name):
            raise VideoError(f"{picture}: %d in a name means the frames of a film. Rename it.")
    targets = {picture: job.target / name for picture, name in zip(pictures, names, strict=True)}
    _check_preset(job, targets)
    made_folder(job.target)
    return targets


def _check_preset(job: Job, targets: dict[Path, Path]) -> None:
    """What suits no photograph (a film's preset, say) is told once, before the first is coloured."""
    for picture, target in targets.items():
        try:
            info = video.probe(picture)
        except VideoError:  # a damaged one is told in its turn
            continue
        video.encoding_for(target, info, job.preset, dict(job.encoder))
        return


def _check_words(job: Job) -> None:
    """Nothing was said that means something in a film alone."""
    for name, option in OF_FILMS.items():
        if getattr(job, name) != Job.__dataclass_fields__[name].default:
            raise HintError(f"{option} is for films, and each photograph is coloured by itself. Leave it out.")
    for text in job.references:
        if any(hint != PictureHint(hint.picture) for hint in parse_reference(text)):
            raise HintError(f"--reference {text} is for a frame or a shot of a film. Name the picture alone.")


def _name(picture: Path) -> str:
    """A picture's own name; PNG, which loses nothing, for the kinds that are only read."""
    return picture.name if picture.suffix.lower() in video.WRITTEN_PICTURES else f"{picture.stem}.png"


def _within(report: Report) -> Report:
    """A picture's own events; those that tell of its whole are the folder's to tell."""
    return lambda event, data: report(event, data) if event in ("coloured", "rendered") else None


def _notes(done: int, coloured: int, count: int) -> tuple[str, ...]:
    notes = []
    if done:
        notes.append(f"Coloured by an earlier run: {done} of {count}. --overwrite colours them anew.")
    if coloured:
        notes.append(f"In colour already, and so they stay: {coloured} of {count}. --recolor colours them, too.")
    return tuple(notes)
