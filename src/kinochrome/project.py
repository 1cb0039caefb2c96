"""What a person said about a film, kept as JSON in the project folder, and the folder itself.

TARGET.kinochrome/
  project.json        the Project: source, shots, hints, method
  scan.npz            where each frame lies, and what the shot finder saw
  segments/           finished pieces: a film each, and what it hands to its neighbours
  standard-input…mkv  the film itself while a run lasts, if it came through a pipe
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from .errors import HintError, ProjectError, VideoError
from .locks import held
from .types import Shot

VERSION = 2
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".dpx", ".exr"})
"""What counts as a picture, by name."""
NUMBERED = re.compile(r"%(0?\d*)d")
"""The place of a picture's number in a name that means many, such as `frames/%06d.png`."""
SPOOLED = "standard-input.kinochrome.mkv"
"""A film that came through a pipe, kept in the project folder while a run lasts."""


@dataclass(frozen=True)
class PictureHint:
    """A picture that a person gave, and where it belongs; at most one of frame, seconds and shot is set."""

    picture: Path
    frame: int | None = None
    """Counted from 0."""
    seconds: Fraction | None = None
    shot: int | None = None
    """Counted from 1, as `kinochrome shots` prints them."""

    def __str__(self) -> str:
        if self.frame is not None:
            return f"{self.picture}@{self.frame}"
        if self.seconds is not None:
            return f"{self.picture}@{_clock(self.seconds)}"
        return f"{self.picture}@shot:{self.shot}" if self.shot is not None else str(self.picture)


@dataclass(frozen=True)
class Project:
    """What a person said: never what the program made of it."""

    source: str
    fingerprint: str
    method: str
    options: dict[str, str]
    references: tuple[PictureHint, ...] = ()
    scribbles: tuple[PictureHint, ...] = ()
    shots: tuple[Shot, ...] = ()
    """Empty: found by looking."""
    version: int = VERSION


# What turns a project of version n into one of version n + 1, n being the key.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda data: {**data, "version": 2, "scribbles": []},
}


def save(project: Project, folder: Path) -> None:
    """Writes `project.json` at once or not at all."""
    data = asdict(project)
    for kind in ("references", "scribbles"):
        data[kind] = [str(hint) for hint in getattr(project, kind)]
    write_atomically(folder / "project.json", json.dumps(data, indent=2).encode())


def load(folder: Path) -> Project | None:
    """The project in this folder, upgraded to this version; None where there is none."""
    path = folder / "project.json"
    if not path.exists():
        return None
    _check_is_ours(folder)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version = int(data["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise ProjectError(f"{path} is not a readable project ({error}). Start anew with --fresh.") from error
    if version > VERSION:
        raise ProjectError(
            f"{path} was written by a newer Kinochrome (project version {version}, this one reads up to {VERSION}). "
            "Upgrade with `pip install -U kinochrome`, or start anew with --fresh."
        )
    while version < VERSION:
        data = UPGRADES[version](data)
        version += 1
    try:
        for kind in ("references", "scribbles"):
            data[kind] = tuple(parse_reference(text)[0] for text in data[kind])
        data["shots"] = tuple(Shot(**shot) for shot in data["shots"])
        return Project(**data)
    except (TypeError, KeyError) as error:
        raise ProjectError(f"{path} is damaged ({error}). Start anew with --fresh.") from error


def _check_is_ours(folder: Path) -> None:
    """A `project.json` of another program is refused, whatever was asked: it would be written over."""
    path = folder / "project.json"
    # Of a damaged one, its place tells: a folder of our name, or our other files beside it.
    if not path.exists() or folder.suffix == ".kinochrome" or (folder / "scan.npz").exists() or segment_files(folder):
        return
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        words = None
    if not isinstance(words, dict) or not {"version", "fingerprint", "method"} <= words.keys():
        raise ProjectError(
            f"{path} is not a project of Kinochrome; it belongs to another program and is never touched. "
            "Name another folder with --project."
        )


def open_folder(folder: Path, project: Project, fresh: bool) -> None:
    """Makes the folder ready for this project; a folder of another film is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    _check_is_ours(folder)
    old = None if fresh else load(folder)
    if old is not None and old.fingerprint != project.fingerprint:
        raise ProjectError(
            f"{folder} belongs to another film ({old.source}) or that film has changed since. "
            "Name another folder with --project, or start anew with --fresh."
        )
    if fresh:
        empty_folder(folder)
    for path in segment_files(folder):
        if path.name.startswith("."):  # half a piece, of a run that was killed
            remove(path)
    (folder / "segments").mkdir(exist_ok=True)
    save(project, folder)


def segment_files(folder: Path) -> list[Path]:
    """What the program itself has put among the segments; a person's own files are never touched."""
    return [path for path in (folder / "segments").glob("*") if re.match(r"\.?\d{8}-[0-9a-f]{20}(\.|$)", path.name)]


def empty_folder(folder: Path) -> None:
    """Removes what a project folder holds; anything else in it stays."""
    names = ("scan.npz", "scan.npz.partial", "project.json", "project.json.partial", SPOOLED, f"{SPOOLED}.part")
    for path in [*segment_files(folder), *(folder / name for name in names)]:
        remove(path)
    inner = folder / "segments"
    if inner.is_dir() and not any(inner.iterdir()):
        inner.rmdir()


def is_begun(folder: Path) -> bool:
    """A piece is finished here, so a later run can go on."""
    return any(path.suffix == ".safetensors" for path in segment_files(folder))


def remove(path: Path) -> None:
    """Removes a file, or a folder of files such as a segment of pictures; nothing there is fine."""
    if path.is_dir():
        for inner in path.iterdir():
            remove(inner)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else works in this folder meanwhile; the system lets go of it even after a crash.

    If nothing was begun in it, the lock goes afterwards, and with it the folder unless somebody had made it before.
    """
    theirs = folder.is_dir() and not any(folder.iterdir())
    folder.mkdir(parents=True, exist_ok=True)
    busy = ProjectError(f"Another run is at work in {folder}. Wait for it, or name another folder with --project.")
    ours = False
    try:
        with held(folder / "lock", busy):
            ours = True
            yield
    finally:
        if ours and folder.is_dir() and {path.name for path in folder.iterdir()} == {"lock"}:
            remove(folder / "lock" if theirs else folder)


def check_free(place: Path, overwrite: bool) -> None:
    """Nothing of anybody's is there yet, or it was said that it may go."""
    empty = place.is_dir() and not any(place.iterdir())
    if place.exists() and not overwrite and not empty:
        shown = place if place.name else f"The folder {place.absolute()}"
        raise VideoError(f"{shown} exists already. Name another target, or allow it with --overwrite.")


def made_folder(folder: Path, parents: bool = False) -> Path:
    """The folder, made if it was not there (those above it only if asked), and fit to be written into."""
    try:
        folder.mkdir(parents=parents, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise VideoError(f"{folder} cannot be made or written ({error.strerror}). Name another folder.") from error
    return folder


def write_atomically(path: Path, content: bytes) -> None:
    """A file that is either complete or as it was before; a disk that is full, or closed to us, is a VideoError."""
    partial = path.with_name(path.name + ".partial")
    try:
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise VideoError(
            f"{path} could not be written ({error.strerror}). Make room there, or allow it, then give the same command "
            "again."
        ) from error


def bytes_in_words(count: int) -> str:
    """`2.5 GB`, `40 MB`, `3 kB`: never a unit that says 0."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    if 1e6 <= count < 1e7:
        return f"{count / 1e6:.1f} MB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 where nothing is."""
    if path.is_dir():
        return sum(size_of(inner) for inner in path.iterdir())
    return path.stat().st_size if path.exists() else 0


def fingerprint(files: Sequence[Path]) -> str:
    """Tells one film (a file, or its pictures) from another without reading all of it: size and spaced samples."""
    digest = hashlib.sha256()
    samples = 64 if len(files) == 1 else 1
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name if len(files) > 1 else ''}:{size};".encode())
        with path.open("rb") as handle:
            for n in range(samples):
                handle.seek(size * n // samples)
                digest.update(handle.read(16384))
            handle.seek(max(0, size - 16384))
            digest.update(handle.read())
    return digest.hexdigest()


def digest(*parts: Any) -> str:
    """A short name for anything that JSON can say."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:20]


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:20]


def parse_scribble(text: str) -> list[PictureHint]:
    """`PICTURE@FRAME`, `PICTURE@HH:MM:SS`, or a folder of pictures named by frame number: strokes lie in one frame."""
    hints = parse_reference(text, "--scribble")
    if any(hint.frame is None and hint.seconds is None for hint in hints):
        raise HintError(
            f"--scribble {text}: strokes belong to the frame that they were drawn on. "
            "Write its number (strokes.png@120) or a time (strokes.png@00:01:05.5)."
        )
    return hints


def parse_reference(text: str, option: str = "--reference") -> list[PictureHint]:
    """`PICTURE`, `PICTURE@FRAME`, `PICTURE@HH:MM:SS`, `PICTURE@shot:N`, or a folder of stills named by frame number."""
    name, at, where = text.rpartition("@")
    if not text or (at and not name):
        raise HintError(f"{option} '{text}' names no picture. Write a file's name: still.png, or still.png@120.")
    if not at or not re.fullmatch(r"\d+|shot:\d+|(\d+:)?\d+:\d+(\.\d+)?", where):
        if at and not Path(text).exists() and Path(name).exists():
            raise HintError(
                f"{option} {text}: '{where}' is not a place in the film. "
                "Write a frame number (@120), a time (@00:01:05.5) or, of a reference, a shot (@shot:3)."
            )
        path = Path(text)
        return _stills(path, option) if path.is_dir() else [PictureHint(path)]
    path = Path(name)
    if path.is_dir():
        raise HintError(f"{option} {text}: {path} is a folder; its stills are placed by the numbers in their names.")
    if where.isdigit():
        return [PictureHint(path, frame=int(where))]
    if where.startswith("shot:"):
        return [PictureHint(path, shot=int(where[5:]))]
    return [PictureHint(path, seconds=parse_time(where))]


def is_picture(file: Path) -> bool:
    """Whether a file in a folder is a picture that somebody put there, by its name; hidden ones are not."""
    return file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".")


def _stills(folder: Path, option: str) -> list[PictureHint]:
    pictures = sorted(path for path in folder.iterdir() if is_picture(path))
    if not pictures:
        raise HintError(f"{option} {folder}: the folder holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}).")
    hints = []
    for path in pictures:
        numbers = re.findall(r"\d+", path.stem)
        if not numbers:
            raise HintError(
                f"{option} {folder}: {path.name} has no frame number in its name. "
                "Rename it (000120.png is frame 120), or give it by itself as PICTURE@FRAME."
            )
        hints.append(PictureHint(path, frame=int(numbers[-1])))
    taken: dict[int | None, PictureHint] = {}
    for hint in hints:
        other = taken.setdefault(hint.frame, hint)
        if other is not hint:
            raise HintError(
                f"{other.picture} and {hint.picture.name} both claim frame {hint.frame}. Remove one of them."
            )
    return hints


def parse_time(text: str) -> Fraction:
    """Seconds of `HH:MM:SS.fff`, `MM:SS` or plain seconds; HintError for anything else."""
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", text):
        raise HintError(f"'{text}' is not a time. Write it as HH:MM:SS, for instance 00:01:05.5.")
    seconds = Fraction(0)
    for part in text.split(":"):
        seconds = seconds * 60 + Fraction(part)
    return seconds


def _clock(seconds: Fraction) -> str:
    whole, micro = divmod(round(seconds * 1_000_000), 1_000_000)
    digits = f"{micro:06d}".rstrip("0")
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}" + (f".{digits}" if digits else "")


def settled(hint: PictureHint, frame: int) -> PictureHint:
    """The same hint with its place said as a frame."""
    return replace(hint, frame=frame, seconds=None)
