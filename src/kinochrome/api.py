"""The command line's verbs as plain functions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

from . import pipeline, shots, video
from .errors import HintError, MethodError, VideoError
from .photographs import colorize as colorize_each
from .pipeline import Summary
from .places import check_named
from .plan import Job, Report
from .project import parse_time
from .types import Shot

Hints = str | Path | Iterable[str | Path] | None


def colorize(
    source: str | Path,
    target: str | Path,
    *,
    references: Hints = (),
    scribbles: Hints = (),
    photographs: bool = False,
    report: Report = lambda event, data: None,
    **settings: Any,
) -> Summary:
    """Colours a film, as `kinochrome colorize SOURCE TARGET` does, and tells what it did.

    `references` and `scribbles`, one or many, are written as on the command line (`"still.png@120"`); `photographs`
    takes a folder of pictures, each by itself. `settings` are the command's options by their names (`method`, `shots`,
    `project`, `overwrite`, `height`, `options`, …; `start` and `stop` for `--from` and `--to`, in seconds or as
    HH:MM:SS; `rate` in frames a second); `report` is called with each event, by one thread at a time, not always
    the same.
    """
    unknown = set(settings) - set(Job.__dataclass_fields__)
    if unknown:
        known = ", ".join(sorted(set(Job.__dataclass_fields__) - {"source", "target"}))
        raise MethodError(f"colorize() knows no setting '{sorted(unknown)[0]}'. It knows: {known}.")
    for name in ("shots", "project", "confidence"):
        settings[name] = Path(settings[name]) if settings.get(name) else None
    for name, kind in (("height", int), ("tune", int), ("saturation", int | float)):
        if name in settings and settings[name] is not None and not isinstance(settings[name], kind):
            raise MethodError(f"colorize({name}={settings[name]!r}) is no number. Leave the quotes away.")
    for name in ("options", "encoder"):
        settings[name] = {key: str(value) for key, value in (settings.get(name) or {}).items()}
    settings["auto_reference"] = str(settings.get("auto_reference") or "")
    for name in ("start", "stop"):
        settings[name] = _seconds(settings.get(name), name)
    settings["rate"] = frame_rate(settings.get("rate"))
    job = Job(Path(source), Path(target), references=_texts(references), scribbles=_texts(scribbles), **settings)
    return (colorize_each if photographs else pipeline.colorize)(job, report)


def _texts(given: Hints) -> tuple[str, ...]:
    return tuple(map(str, [given] if isinstance(given, str | Path) else given or ()))


def _seconds(time: object, name: str) -> Fraction | None:
    if time is None or isinstance(time, str):
        return None if time is None else parse_time(time)
    if isinstance(time, int | float | Fraction) and 0 <= time < math.inf:
        return Fraction(time)
    raise HintError(
        f"colorize({name}={time!r}) is not a time in the film. Give seconds (12.5) or '00:00:12.5', or leave it out."
    )


def frame_rate(given: object) -> Fraction | None:
    """Frames a second, from 18, 23.976 or '24000/1001'."""
    if given is None:
        return None
    try:
        rate = Fraction(str(given))
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise VideoError(f"--rate {given} is no number of frames a second. Write it as 18, 23.976 or 24000/1001.")
    return rate


def find_shots(
    source: str | Path, *, deinterlace: bool = False, rate: object = None, recolor: bool = False
) -> list[Shot]:
    """The shots of a film, as `kinochrome shots SOURCE` prints them."""
    check_named("source", Path(source))
    info = video.probe(Path(source), deinterlace, frame_rate(rate))
    finder = shots.ShotFinder(info)
    video.scan(info, finder.see)
    return finder.shots(recolor)
