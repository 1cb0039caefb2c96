"""Pictures that a method makes by itself: of the frame of a shot that is worth it, one or several, kept while needed.

TARGET.kinochrome/automatic/
  shot-003-frame-000120.png   what serves shot 3 as the reference that nobody gave
  made.json                   which frames were chosen, and what each picture was made from
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from . import chain, clips, color, methods, project, sheet, video
from .chain import Step
from .errors import HintError, MethodError
from .shots.likeness import normalised
from .types import Clip, Frame, FrameTable, Method, Shot, VideoInfo
from .upsample import guided

LOOKED_AT = 24
"""So many frames of a shot are compared by their thumbnails, which the scan has kept …"""
DECODED = 8
"""… and so many of those are decoded, to see which is sharp."""
SHARP_HEIGHT = 240
"""Sharpness is measured at this height: what is finer is grain."""
EARLY = 0.2
"""Of a shot's ends so much is taken off: colours go both ways, so from the middle the way is half as long."""
MOST = 12
"""Proposals for one still."""
STILLS = 24
"""… on one contact sheet, …"""
COLUMNS = 4
"""… so many proposals beside each other."""
SHOWN = 640
"""A proposal's width in pixels on its way to the contact sheet."""


# --- who paints ---


@dataclass(frozen=True)
class Wanted:
    """A painter, as a person asks for it."""

    name: str
    """A method, or a `.toml` file that describes one."""
    options: Mapping[str, str]
    """`{"METHOD.OPTION": "VALUE"}`"""
    device: str = "auto"
    height: int | None = None
    option: str = "--auto-reference"
    """What it was asked for with."""


@dataclass(frozen=True)
class Painter:
    """A method that colours a frame from nothing else, ready to work."""

    name: str
    step: Step
    device: str


def options_for(painter: str, names: str, options: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Those of `--set` that are for the chain `--method NAMES`, and those that are for the painter; some for both."""
    chained = {name.strip() for name in names.split(",")}
    mine = {key: value for key, value in options.items() if painter and key.partition(".")[0] == painter}
    return {key: value for key, value in options.items() if key not in mine or painter in chained}, mine


def load(wanted: Wanted, info: VideoInfo) -> Painter:
    """The painter for a film; MethodError where there is none of this name, or it needs to be told something."""
    device = chain.chosen_device(wanted.device)
    if wanted.name.endswith(".toml"):
        return _described(wanted, info, device)
    try:
        kind = methods.load(wanted.name)
    except MethodError as error:
        raise MethodError(f"{wanted.option} {wanted.name}: {error}") from error
    _check_needs_nothing(wanted, kind)
    return Painter(wanted.name, chain.load(wanted.name, wanted.options, device, info, wanted.height)[0], device)


def _described(wanted: Wanted, info: VideoInfo, device: str) -> Painter:
    """The method that a `.toml` file describes."""
    from . import engines

    path = Path(wanted.name)
    if not path.is_file():
        raise MethodError(f"{wanted.option} {path}: there is no such file. Check the path, or name a method.")
    method = engines.load(path, device)
    _check_needs_nothing(wanted, method)
    size = clips.small_size(info, wanted.height) if wanted.height else method.working_size(*info.upright_size)
    return Painter(path.stem, Step(path.stem, method.options, method, size), device)


def _check_needs_nothing(wanted: Wanted, method: type[Method] | Method) -> None:
    if method.needs:
        able = ", ".join(name for name in methods.METHODS if not methods.load(name).needs)
        needed = " and a ".join(sorted(method.needs))
        raise MethodError(
            f"{wanted.option} {wanted.name}: {wanted.name} itself needs a {needed}, so it cannot make the first "
            f"picture. Name a method that needs nothing: {able}."
        )


def painters(wanted: Wanted, info: VideoInfo, count: int = 0) -> list[Painter]:
    """The painter alone; or, with a count, so many of it, each of which guesses otherwise."""
    if count and not 2 <= count <= MOST:
        raise MethodError(f"--proposals {count} is out of range. Give 2 to {MOST}; 4 is a good start.")
    painter = load(wanted, info)
    return _seeded(painter, count) if count else [painter]


def _seeded(painter: Painter, count: int) -> list[Painter]:
    options = painter.step.options
    if not _has_seed(type(options)):
        able = [name for name in methods.METHODS if _has_seed(methods.load(name).Options)]
        other = f"Name a method that has one ({', '.join(able)})" if able else "Take another method"
        raise MethodError(
            f"--proposals {count}: {painter.name} has no option 'seed', so it would say the same each time. "
            f"{other}, or leave --proposals out."
        )
    return [_with_options(painter, replace(options, seed=options.seed + n)) for n in range(count)]


def _with_options(painter: Painter, options: Any) -> Painter:
    method = type(painter.step.method)(options, painter.device)
    return replace(painter, step=replace(painter.step, options=options, method=method))


def _has_seed(options: type) -> bool:
    return typing.get_type_hints(options).get("seed") is int


def picture(painter: Painter, frame: Frame, info: VideoInfo) -> np.ndarray:
    """(h, w, 3) uint8 R'G'B' of a frame in the painter's colours: upright, pixels square, its lightness the film's."""
    small = clips.lightness(frame, info, painter.step.size)
    outcome = chain.run((painter.step,), lambda size: Clip(frame.index, 0, small[None]), None, None)
    said = outcome.said[0][0].ab.detach().cpu().float()
    light = clips.lightness(frame, info, info.upright_size)
    # In Lab, not in the film's own planes: pictures are sRGB, whatever the film's curve and primaries are.
    ab = guided(small[0].numpy(), [plane.numpy() for plane in said], light[0].numpy())
    rgb = color.fitted_rgb_from_lab(torch.cat([light, torch.from_numpy(np.stack(ab))]))
    return np.rint(rgb.permute(1, 2, 0).numpy() * 255).astype(np.uint8)


# --- which frame ---


@dataclass(frozen=True)
class Film:
    """A film, and what its one scan has kept of every frame."""

    info: VideoInfo
    table: FrameTable
    thumbnails: np.ndarray
    """(T, 24, 32) uint8, of a `ShotFinder`."""

    def frame(self, index: int) -> Frame:
        return next(video.frames(self.info, self.table, index, index + 1))


def clear_span(shots: Sequence[Shot], index: int, part: Shot | None = None) -> range:
    """The frames of a shot (or of a part of it) that dissolve into no other; all, where there are no such frames."""
    shot, after = shots[index], shots[index + 1].fade if index + 1 < len(shots) else 0
    part = part or shot
    start, stop = max(part.start, shot.start + shot.fade), min(part.stop, shot.stop - after)
    return range(start, stop) if start < stop else range(part.start, part.stop)


def best_frame(film: Film, span: range) -> int:
    """The frame to be coloured: sharp, rich, well exposed, like the rest, and rather in the middle.

    Of a long span only LOOKED_AT frames are compared, and DECODED of them read.
    """
    held = set(film.table.held)
    whole = [index for index in span if index not in held] or list(span)
    looked_at = [whole[n] for n in sorted({round(n) for n in np.linspace(0, len(whole) - 1, LOOKED_AT)})]
    middle, half = (span.start + span.stop - 1) / 2, max(len(span) / 2, 1)
    central = np.array([1 - EARLY * abs(index - middle) / half for index in looked_at])
    # Where nothing shows (leader, black) the middle still wins.
    promise = (_worth(film.thumbnails[looked_at]) + 1e-6) * central
    chosen = np.sort(np.argsort(-promise, kind="stable")[:DECODED])
    if len(chosen) == 1:
        return looked_at[chosen[0]]
    sharp = np.array([sharpness(film.frame(looked_at[n]), film.info) for n in chosen])
    return looked_at[chosen[int(np.argmax(promise[chosen] * (sharp / max(sharp.max(), 1e-6) + 1e-6)))]]


def _worth(thumbnails: np.ndarray) -> np.ndarray:
    """How much each of a shot's thumbnails shows, 0..1: tones, few of them cut off, and what the others show."""
    vectors = normalised(thumbnails)
    like = (vectors @ vectors.T).mean(axis=1).clip(0, 1)
    flat = thumbnails.reshape(len(thumbnails), -1)
    exposed = ((flat > 12) & (flat < 243)).mean(axis=1)
    shares = np.stack([np.bincount(one // 8, minlength=32) / len(one) for one in flat])
    tones = -(shares * np.log2(np.maximum(shares, 1e-9))).sum(axis=1) / 5
    return like * exposed * tones


def sharpness(frame: Frame, info: VideoInfo) -> float:
    """The variance of the Laplacian of small lightness; what moves or is out of focus has little."""
    light = clips.lightness(frame, info, clips.small_size(info, SHARP_HEIGHT))[0].numpy()
    return float(cv2.Laplacian(light, cv2.CV_32F).var())


# --- what is kept beside a film's pieces ---


class Album:
    """The automatic pictures in a project folder: made once, and never written over where a person corrected one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "automatic"
        self.frames: dict[str, int] = {}
        """By a digest of film and span."""
        self.pictures: dict[str, list[str]] = {}
        """What each was made from, and what it holds, both in short."""
        # A file that is missing or damaged tells nothing; then all pictures that are here count as a person's.
        with suppress(OSError, ValueError, TypeError, KeyError):
            made = json.loads((self.folder / "made.json").read_text(encoding="utf-8"))
            self.frames, self.pictures = dict(made["frames"]), dict(made["pictures"])

    def frame(self, key: str, choose: Callable[[], int]) -> int:
        """The frame chosen under this key, now or by an earlier run."""
        if key not in self.frames:
            self.frames[key] = choose()
            self._save()
        return self.frames[key]

    def picture(self, name: str, key: str, paint: Callable[[], np.ndarray]) -> Path:
        """The picture of this name: as it is if it was painted from the same, or if a person has changed it."""
        path = self.folder / name
        if path.exists() and (self._is_foreign(name) or self.pictures[name][0] == key):
            video.read_picture(path)  # a person's may be of any kind, and an error must not cost an hour
            return path
        self.folder.mkdir(exist_ok=True)
        fresh = self.folder / "unfinished.png"
        video.write_picture(fresh, paint())
        # Whenever this is stopped, no picture stands that would be taken for a person's.
        path.unlink(missing_ok=True)
        self.pictures[name] = [key, project.file_digest(fresh)]
        self._save()
        fresh.replace(path)
        return path

    def clear(self) -> None:
        """Removes everything but what a person has changed or put here."""
        if not self.folder.is_dir():
            return
        ours = [path for path in self.folder.glob("shot-*.png") if not self._is_foreign(path.name)]
        for path in [*ours, *(self.folder / name for name in ("unfinished.png", "made.json", "made.json.partial"))]:
            project.remove(path)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()
        self.frames, self.pictures = {}, {}

    def _is_foreign(self, name: str) -> bool:
        known = self.pictures.get(name)
        return known is None or known[1] != project.file_digest(self.folder / name)

    def _save(self) -> None:
        self.folder.mkdir(exist_ok=True)
        made = {"frames": self.frames, "pictures": self.pictures}
        project.write_atomically(self.folder / "made.json", json.dumps(made, indent=2).encode())


@dataclass(frozen=True)
class Maker:
    """Makes the references that nobody gave."""

    painter: Painter
    film: Film
    album: Album
    film_key: str
    """Tells the film from others."""
    painter_key: str
    """Tells what is painted from what another painter, or the same with other options, would paint."""

    def reference(self, number: int, span: range) -> tuple[Path, int]:
        """The picture that serves shot `number`, and which frame of the span it is."""
        key = project.digest(self.film_key, span.start, span.stop)
        frame = self.album.frame(key, lambda: best_frame(self.film, span))

        def paint() -> np.ndarray:
            return picture(self.painter, self.film.frame(frame), self.film.info)

        name = f"shot-{number:03d}-frame-{frame:06d}.png"
        return self.album.picture(name, project.digest(self.film_key, frame, self.painter_key), paint), frame


@contextmanager
def swept(folder: Path, keep: bool) -> Iterator[None]:
    """Automatic pictures stay as long as the pieces that were coloured from them do; `keep`: longer."""
    finished = False
    try:
        yield
        finished = True
    finally:
        if not keep and (finished or not project.is_begun(folder)):
            Album(folder).clear()


# --- what a person chooses from ---


def best_frames(film: Film, shots: Sequence[Shot]) -> list[int]:
    """One of each grey shot."""
    grey = [index for index, shot in enumerate(shots) if not shot.colour]
    if not grey:
        raise HintError(f"{film.info.path.name} is in colour already. Say which of its frames are to be coloured.")
    return [best_frame(film, clear_span(shots, index)) for index in grey]


def write(
    painters: Sequence[Painter], film: Film, frames: Iterable[int], folder: Path, overwrite: bool = False
) -> Iterator[Path]:
    """Writes frames coloured by one painter as stills; by several as proposals, each frame by each of them."""
    if len(painters) > 1:
        return _written_proposals(painters, film, frames, folder, overwrite)
    return sheet.stills(film.info, film.table, frames, folder, partial(picture, painters[0]), overwrite)


def _written_proposals(
    painters: Sequence[Painter], film: Film, frames: Iterable[int], folder: Path, overwrite: bool
) -> Iterator[Path]:
    """Pictures in a folder of their own, where none is taken for a reference before it is chosen, and their sheets.

    The frame's number comes last in a name: the one that is chosen and copied elsewhere still says where it belongs.
    As of stills, what is there is replaced only to `overwrite`.
    """
    inside = project.made_folder(project.made_folder(folder) / "proposals")
    paths = {
        frame: [inside / f"proposal-{n}-frame-{frame:06d}.png" for n in range(1, len(painters) + 1)] for frame in frames
    }
    sheets = [_sheet_path(inside, number) for number in range(1, -(-len(paths) // STILLS) + 1)]
    for path in (*(path for made in paths.values() for path in made), *sheets):
        project.check_free(path, overwrite)
    rows: list[list[sheet.Cell]] = []
    for done, frame in enumerate(sheet.frames_of(film.info, film.table, paths), 1):
        cells = []
        for n, (painter, path) in enumerate(zip(painters, paths[frame.index], strict=True), 1):
            made = picture(painter, frame, film.info)
            video.write_picture(path, made)
            yield path
            cells.append((_small(made), f"frame {frame.index}: proposal {n}"))
        rows += [cells[first : first + COLUMNS] for first in range(0, len(cells), COLUMNS)]
        if done % STILLS == 0 or done == len(paths):
            yield _written_sheet(rows, sheets[(done - 1) // STILLS])
            rows = []


def _sheet_path(folder: Path, number: int) -> Path:
    """`proposals.png`, and of a long film `proposals-2.png` and so on."""
    return folder / ("proposals.png" if number == 1 else f"proposals-{number}.png")


def _written_sheet(rows: list[list[sheet.Cell]], path: Path) -> Path:
    blank = (np.full_like(rows[0][0][0], sheet.PAPER), "")
    longest = max(map(len, rows))
    video.write_picture(path, sheet.contact_sheet([row + [blank] * (longest - len(row)) for row in rows]))
    return path


def _small(rgb: np.ndarray) -> np.ndarray:
    scale = min(1.0, SHOWN / rgb.shape[1])
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
