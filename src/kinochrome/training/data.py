"""Films and photographs as training data: decoded once, cut into short clips with true colours, in bounded memory."""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import torch

from kinochrome import color, video
from kinochrome.errors import ProjectError, TrainingError, VideoError
from kinochrome.evaluation import footage
from kinochrome.metrics.picture import Picture
from kinochrome.project import PICTURE_SUFFIXES, digest, is_picture, locked, write_atomically

SHORT_SIDE = 256
"""Frames are stored with their short side at most this."""
READ = frozenset({".tar", *footage.FILMS, *PICTURE_SUFFIXES})
"""What is learnt from, by name."""
GAPS = (1, 1, 1, 2, 2, 3, 4, 6)
"""How many frames of a film one step of a clip may span."""


@dataclass(frozen=True)
class Strip:
    """Frames of one film, or one photograph, within the store."""

    name: str
    offset: int
    frames: int
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.frames, self.height, self.width, 3


@dataclass(frozen=True)
class Index:
    """What a store holds of some sources."""

    strips: list[Strip]
    content: str
    """Tells these frames, in this order, from any others, wherever they lie."""


class Footage:
    """Every frame of folders, films and tars of photographs, 8-bit R'G'B', in one file that is mapped, not loaded."""

    def __init__(self, sources: Sequence[Path], store: Path) -> None:
        """Decodes what is not in `store` yet; the sources are only read."""
        files = [file for source in sources for file in files_of(source)]
        if not files:
            raise _nothing_in(sources)
        key = digest([[str(file), state.st_size, state.st_mtime_ns] for file in files for state in [file.stat()]])
        index, self._file = store / f"{key}.json", store / f"{key}.rgb"
        found = _stored(index, self._file) or _filled(files, index, self._file)
        self.strips, self.content = found.strips, found.content
        self.films = [strip for strip in self.strips if strip.frames > 1]
        self.photos = [strip for strip in self.strips if strip.frames == 1]
        self._pixels = np.memmap(self._file, np.uint8, "r")

    def check(self, count: int, photos: float) -> None:
        """TrainingError unless clips of `count` frames can be cut, that share of them from photographs."""
        if photos > 0 and not self.photos:
            raise TrainingError(
                f"lesson.photos = {photos}, but the data has no photographs. Set it to 0, or name a folder or tar of "
                "them, too."
            )
        longest = max((film.frames for film in self.films), default=0)
        if photos < 1 and longest < count:
            raise TrainingError(
                f"lesson.frames = {count}, but the longest of the data's {len(self.films)} films has {longest} frames. "
                "Name longer ones, or set lesson.photos = 1 to learn from photographs alone."
            )

    def __getstate__(self) -> dict[str, Any]:
        """Without the pixels: a process that is told of them maps them itself."""
        return {**self.__dict__, "_pixels": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._pixels = np.memmap(self._file, np.uint8, "r")

    def rgb(self, strip: Strip, frames: Sequence[int]) -> np.ndarray:
        """(n, h, w, 3) uint8"""
        size = int(np.prod(strip.shape))
        whole = self._pixels[strip.offset : strip.offset + size].reshape(strip.shape)
        return np.stack([whole[frame] for frame in frames])


@dataclass(frozen=True)
class Cut:
    """A clip with its true colours."""

    lab: torch.Tensor
    """(T, 3, h, w)"""
    frames: tuple[int, ...]
    """When each frame was, counted from the first."""
    name: str


@dataclass(frozen=True)
class Leaps:
    """Up to so many steps are left out after the first frame of a clip, and before its last."""

    first: int = 0
    last: int = 0


def cut_from_film(footage: Footage, random: np.random.Generator, count: int, side: int, leaps: Leaps) -> Cut:
    """`count` frames of some film, `side` pixels square, forward or backward.

    Films are taken by the root of how many frames they have, so that no short one is worn out.
    """
    films = [film for film in footage.films if film.frames >= count]
    weights = np.sqrt([film.frames for film in films])
    film = films[random.choice(len(films), p=weights / weights.sum())]
    gap = int(random.choice([gap for gap in GAPS if gap * (count - 1) < film.frames]))
    room = (film.frames - 1 - gap * (count - 1)) // gap
    lead = int(random.integers(0, min(leaps.first, room) + 1)) if leaps.first else 0
    tail = int(random.integers(0, min(leaps.last, room - lead) + 1)) if leaps.last else 0
    steps = np.array([0, *(lead + np.arange(1, count - 1)), lead + count - 1 + tail])[:count] * gap
    start = int(random.integers(0, film.frames - steps[-1]))
    indices = start + (steps if random.random() < 0.5 else steps[-1] - steps)
    rgb = _crop(footage.rgb(film, [int(index) for index in indices]), random, side)
    return Cut(_lab(rgb), tuple(int(abs(index - indices[0])) for index in indices), film.name)


def cut_from_photo(footage: Footage, random: np.random.Generator, side: int) -> Cut:
    """One photograph as it is."""
    photo = footage.photos[random.integers(len(footage.photos))]
    return Cut(_lab(_crop(footage.rgb(photo, [0]), random, side)), (0,), photo.name)


def cut_from_photos(footage: Footage, random: np.random.Generator, count: int, side: int) -> Cut:
    """A photograph under a moving camera, with a piece of another one moving before it."""
    behind, before = (footage.photos[random.integers(len(footage.photos))] for _ in range(2))
    back = footage.rgb(behind, [0])[0]
    front = footage.rgb(before, [0])[0]
    shape = _blob(front.shape[:2], random)
    frames = []
    ways = [_path(random, count, strength) for strength in (0.06, 0.15)]
    for ground, figure in zip(*ways, strict=True):
        image = _placed(back, ground, side, 1.0)
        over, where = _placed(front, figure, side, 0.6), _placed(shape, figure, side, 0.6, edge=False)[..., None]
        frames.append((image + where * (over.astype(np.float32) - image)).clip(0, 255).astype(np.uint8))
    rgb = np.stack(frames)
    return Cut(_lab(rgb), tuple(range(count)), behind.name)


def folder_of(name: str) -> str:
    """The name of the folder that a photograph lies in, by its own; in a tar without folders, the tar's."""
    return Path(re.sub(r"\.tar:", "/", name, count=1, flags=re.IGNORECASE)).parent.name


def _crop(rgb: np.ndarray, random: np.random.Generator, side: int) -> np.ndarray:
    """(T, side, side, 3): a random square, sometimes mirrored."""
    height, width = rgb.shape[1:3]
    least = min(side, height, width)
    size = int(random.integers(least, min(height, width) + 1))
    top, left = int(random.integers(0, height - size + 1)), int(random.integers(0, width - size + 1))
    part = rgb[:, top : top + size, left : left + size]
    if random.random() < 0.5:
        part = part[:, :, ::-1]
    how = cv2.INTER_AREA if size > side else cv2.INTER_LINEAR
    return np.stack([cv2.resize(np.ascontiguousarray(frame), (side, side), interpolation=how) for frame in part])


def _path(random: np.random.Generator, count: int, strength: float) -> Iterator[np.ndarray]:
    """Smooth motion as (zoom, angle, x, y) a frame; x and y in sides."""
    place, speed = random.normal(0, strength, 4), random.normal(0, strength, 4)
    for _ in range(count):
        yield place * [1, 0.5, 1, 1]
        speed = 0.8 * speed + random.normal(0, strength / 3, 4)
        place = place + 0.4 * speed


def _placed(image: np.ndarray, motion: np.ndarray, side: int, size: float, edge: bool = True) -> np.ndarray:
    """The image moved into a square; beyond it it is mirrored, or (not `edge`) nothing."""
    height, width = image.shape[:2]
    zoom, angle, x, y = motion
    scale = size * np.exp(zoom) * side / min(height, width) * 1.1
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(np.degrees(angle)), float(scale))
    matrix[:, 2] = matrix[:, 2] + side * (np.array([x, y]) + 0.5) - np.array([width, height]) / 2
    border = cv2.BORDER_REFLECT_101 if edge else cv2.BORDER_CONSTANT
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=border)


def _blob(size: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """(h, w) float32: 1 inside a random outline, 0 outside, soft by a pixel or two."""
    height, width = size
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = 0.32 + sum(random.normal(0, 0.12 / k) * np.cos(k * angles + random.uniform(0, 6.3)) for k in (1, 2, 3, 4))
    points = np.stack([(0.5 + radius * np.cos(angles)) * width, (0.5 + radius * np.sin(angles)) * height], 1)
    shape = np.zeros(size, np.uint8)
    cv2.fillPoly(shape, [points.astype(np.int32)], 255)
    return cv2.GaussianBlur(shape, (0, 0), 1.0).astype(np.float32) / 255


def _lab(rgb: np.ndarray) -> torch.Tensor:
    """(T, 3, h, w) of uint8 (T, h, w, 3)"""
    return color.lab_from_rgb(torch.from_numpy(rgb).permute(0, 3, 1, 2).float().contiguous() / 255)


# --- Files ---


def files_of(source: Path) -> list[Path]:
    """Every film, picture and tar that a source is, or holds, in the order they are read in; hidden ones are none."""
    try:
        if not source.exists():
            raise TrainingError(f"{source} is not there. Name folders, films or tars of pictures.")
        if source.is_file() and source.suffix.lower() not in READ:
            raise VideoError(f"{source} is no folder, film, picture or tar of pictures.")
        return [*_walked(source.absolute())]
    except PermissionError as error:
        raise VideoError(f"{error.filename} may not be read. Give yourself the right to, or take it out.") from error


def _walked(place: Path) -> Iterator[Path]:
    if place.is_dir():
        for inner in sorted(place.iterdir()):
            if not inner.name.startswith("."):
                yield from _walked(inner)
    elif not place.exists():
        raise VideoError(f"{place} is a link to what is not there. Mend it, or take it out of the data.")
    elif place.suffix.lower() in READ:
        yield place


def check_apart(learnt: Sequence[Path], judged: Path, options: tuple[str, str]) -> None:
    """TrainingError where a file, whatever leads to it, is learnt from and judged by; `options` name the two."""
    known = {_identity(file) for file in files_of(judged)}
    for source in learnt:
        for file in files_of(source):
            if _identity(file) in known:
                raise TrainingError(
                    f"{options[0]} {source} and {options[1]} {judged} share {file}: what is learnt from measures "
                    "nothing. Keep them apart."
                )


def _identity(file: Path) -> tuple[int, int]:
    state = file.stat()
    return state.st_dev, state.st_ino


def check_outside(place: Path, sources: Sequence[Path], option: str) -> None:
    """TrainingError where what is written would be learnt from, or judged by; `option` names the place."""
    for source in sources:
        if place.resolve().is_relative_to(source.resolve()):
            raise TrainingError(
                f"{option} {place} lies within {source}: pictures that are written there would become part of it. Name "
                "a place outside."
            )


# --- Decoding ---


def _stored(index: Path, pixels: Path) -> Index | None:
    """What the store holds under this name; None unless it is whole."""
    try:
        told = json.loads(index.read_text(encoding="utf-8"))
        found = Index([Strip(**strip) for strip in told["strips"]], told["content"])
        size = pixels.stat().st_size
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if size == sum(int(np.prod(strip.shape)) for strip in found.strips) else None


def _filled(files: Sequence[Path], index: Path, pixels: Path) -> Index:
    """Decodes into the store. The index comes last: without it there is nothing."""
    try:
        with locked(index.parent):
            # Whoever held the lock before may have done it.
            found = _stored(index, pixels)
            if found is None:
                found = _decode(files, pixels)
                write_atomically(index, json.dumps(asdict(found)).encode())
            return found
    except VideoError:
        raise
    except ProjectError as error:
        raise TrainingError(
            f"Another run is decoding into {index.parent}. Wait until it trains, or name another --store."
        ) from error
    except OSError as error:
        raise TrainingError(
            f"The data cannot be decoded into {index.parent}: {error.strerror or error}. Nothing half was left. Make "
            "room there, or name another --store."
        ) from error


def _decode(files: Sequence[Path], target: Path) -> Index:
    """Writes every frame behind the other; the strips say where."""
    strips: list[Strip] = []
    seen = hashlib.blake2b()
    part = target.with_suffix(".part")
    try:
        with part.open("wb") as handle:
            for file in files:
                for name, frames in _pictures_of(file):
                    strip = _append(name, frames, handle, seen)
                    strips += [strip] if strip.frames else []
        if not strips:
            raise _nothing_in(files)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return Index(strips, digest(seen.hexdigest(), [strip.shape for strip in strips]))


def _nothing_in(places: Sequence[Path]) -> VideoError:
    listed = ", ".join(map(str, places))
    return VideoError(f"No film and no photograph was found in {listed}. Name folders, films or tars of pictures.")


def _append(name: str, frames: Iterator[np.ndarray], file: BinaryIO, seen: hashlib.blake2b) -> Strip:
    """Writes frames of one size; where they are."""
    offset, count, shape = file.tell(), 0, (0, 0, 3)
    for frame in frames:
        shape = shape if count else frame.shape
        if frame.shape != shape:
            raise VideoError(f"{name}: frames of one film must be of one size.")
        content = frame.tobytes()
        seen.update(content)
        file.write(content)
        count += 1
    return Strip(name, offset, count, shape[0], shape[1])


def _pictures_of(file: Path) -> Iterator[tuple[str, Iterator[np.ndarray]]]:
    """(name, frames) of a film, a photograph, or each photograph in a tar."""
    if file.suffix.lower() == ".tar":
        for inner, data in _members(file):
            name = f"{file}:{inner}"
            yield name, iter([_small(video.decode_picture(data, Path(name), as_codes=True))])
    elif file.suffix.lower() in footage.FILMS:
        yield str(file), _film(file)
    else:
        yield str(file), iter([_small(video.read_picture(file, as_codes=True))])


def _film(source: Path) -> Iterator[np.ndarray]:
    info = video.probe(source)
    if info.interlaced:
        raise VideoError(f"{source} is interlaced: combed edges would be learnt. Deinterlace it, or take it out.")
    film = footage.FilmClip(source.stem, info, video.scan(info))
    for frame in film.frames(0, len(film)):
        yield _small(frame)


def _members(source: Path) -> Iterator[tuple[str, bytes]]:
    """The pictures in a tar, by name."""
    place = str(source)
    try:
        with tarfile.open(source) as archive:
            for member in archive:
                place = f"{source}:{member.name}"
                if file := archive.extractfile(member) if is_picture(Path(member.name)) else None:
                    yield member.name, file.read()
    except KeyError as error:
        raise VideoError(f"{place} is a link to what is not in the tar. Take it out of the data.") from error
    # What a compressed one raises where it breaks off, each kind its own.
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise VideoError(
            f"{source} cannot be read as a tar: {error}. Get it again, or take it out of the data."
        ) from error


def _small(frame: np.ndarray) -> np.ndarray:
    rgb = Picture(frame).codes
    height, width = rgb.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    if scale >= 1:
        return rgb
    return cv2.resize(rgb, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
