"""Where a job reads and writes: checked before any work, and the project folder held while it is done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from . import project, video
from .errors import KinochromeError, VideoError
from .plan import Job, place_of
from .video.pictures import matching


@contextmanager
def workplace(job: Job) -> Iterator[Job]:
    """The project folder, held by this run alone; gone once the film stands, or if nothing was begun in it.

    Whatever the system refuses (a read-only folder, a full disk, too long a name) is told as a VideoError.
    """
    if str(job.target) == "-" and job.project is None:
        # Whoever reads the pipe is gone when it breaks: nothing to resume, and no target to put the work beside.
        with TemporaryDirectory(prefix="kinochrome-") as folder, workplace(replace(job, project=Path(folder))) as inner:
            yield inner
        return
    try:
        check_places(job)
        with project.locked(job.folder):
            yield from _held(job)
    except OSError as error:
        if isinstance(error, KinochromeError | BrokenPipeError):  # whoever listened to the progress is gone
            raise
        place = error.filename or job.folder
        raise VideoError(
            f"{place} cannot be written: {error.strerror or error}. Name another place for {job.target}."
        ) from error


def _held(job: Job) -> Iterator[Job]:
    """The job, its source kept first if it is a pipe, which cannot be read twice; and the clearing up afterwards."""
    kept = video.spool(sys.stdin.buffer, job.folder / project.SPOOLED) if str(job.source) == "-" else None
    finished = False
    try:
        yield replace(job, source=kept) if kept else job
        finished = True
    finally:
        if kept:
            kept.unlink(missing_ok=True)
        if job.project is None and (finished or not project.is_begun(job.folder)):
            project.empty_folder(job.folder)


def check_places(job: Job) -> None:
    """The source is there, the targets may be written, and nothing that a person gave is written over."""
    check_named("source", job.source)
    check_named("target", job.target)
    if not _is_there(job.source):
        raise VideoError(f"{job.source} does not exist. Check the path; it is looked for from {Path.cwd()}.")
    if job.folder.exists() and not job.folder.is_dir():
        raise VideoError(f"{job.folder} is a file, and the work wants a folder. Name another with --project.")
    given = [job.source, *([job.shots] if job.shots else [])]
    given += [hint.picture for text in job.references for hint in project.parse_reference(text)]
    given += [hint.picture for text in job.scribbles for hint in project.parse_scribble(text)]
    targets = [target for target in (job.target, job.confidence) if target]
    for target in targets:
        if str(target) != "-":
            _check_place(place_of(target), given, job)
            _check_pictures(target, given)
    if len({place_of(target).absolute() for target in targets}) < len(targets):
        raise VideoError(f"--confidence and the target are both {job.place}. Give --confidence its own name or folder.")


def check_named(what: str, path: Path) -> None:
    """The source or target (`what`) was not left empty; a path of nothing would mean the working folder."""
    if path == Path():
        raise VideoError(
            f"The {what} is empty (an unset variable?), or is the working folder. Name a film; or, if the pictures "
            f"in this folder are meant, write {Path.cwd()}."
        )


def _is_there(source: Path) -> bool:
    return str(source) == "-" or source.exists() or place_of(source) != source


def _check_place(place: Path, given: list[Path], job: Job) -> None:
    for one in given:
        if place.exists() and one.exists() and place.samefile(one):
            what = "the source itself" if one == job.source else f"{one}, which was given"
            raise VideoError(f"{place} is {what}; it is never touched. Name another target.")
    project.check_free(place, job.overwrite)
    parent = place.absolute().parent
    if not parent.is_dir():
        raise VideoError(f"The folder {parent} does not exist. Create it, or name another target.")
    try:
        with TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise VideoError(f"{parent} cannot be written: {error.strerror}. Name another place for {place}.") from error


def _check_pictures(target: Path, given: list[Path]) -> None:
    """No picture that a person gave has the name of one that will be written."""
    there = matching(target) if place_of(target) != target else []
    for one in given:
        if one.exists() and any(one.samefile(file) for file in there):
            raise VideoError(f"{one} could be written over by {target}. Name another folder for the pictures.")
