"""The true clips of a data folder, and the colour frames that other tools made of them, read a frame at a time."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from kinochrome import color, video
from kinochrome.errors import VideoError, did_you_mean
from kinochrome.metrics.picture import Picture
from kinochrome.project import is_picture
from kinochrome.types import Encoding, FrameTable, VideoInfo
from kinochrome.upsample import Renderer
from kinochrome.video.pictures import picture_files

FILMS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mxf", ".ts", ".webm", ".y4m"})
"""What counts as a film, by name."""

NEARLY_GREY = 2
"""Channels that differ by no more codes of 255 than this show no colour."""


@dataclass(frozen=True)
class PictureClip:
    """A folder of pictures in the order of their numbers, or (`stills`) of photographs in the order of their names."""

    name: str
    files: tuple[Path, ...]
    stills: bool = False

    def __len__(self) -> int:
        return len(self.files)

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width) of the first frame."""
        height, width = video.read_picture(self.files[0]).shape[:2]
        return height, width

    @property
    def labels(self) -> list[str]:
        """What the frames are called."""
        return [file.stem for file in self.files]

    @property
    def fingerprint(self) -> str:
        return _fingerprint(self.files)

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """R'G'B' (h, w, 3) of frames start to stop (excluded): uint8 of 8-bit ones, of others float32 0..1."""
        for file in self.files[start:stop]:
            rgb = video.read_picture(file, as_codes=True)
            if not self.stills and rgb.shape[:2] != self.size:
                raise VideoError(
                    f"{file} is {_shown(rgb.shape)}, but the clip's first frame {_shown(self.size)}: frames of a clip "
                    "are of one size. Put pictures of other sizes into a folder of their own."
                )
            yield rgb


@dataclass(frozen=True)
class FilmClip:
    """A film; its chroma is brought to full size by interpolation."""

    name: str
    info: VideoInfo
    table: FrameTable

    def __len__(self) -> int:
        return len(self.table)

    @property
    def size(self) -> tuple[int, int]:
        return self.info.upright_size

    @property
    def labels(self) -> list[str]:
        return [f"{index:05d}" for index in range(len(self))]

    @property
    def fingerprint(self) -> str:
        return _fingerprint([self.info.path])

    def frames(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """R'G'B' (h, w, 3) of frames start to stop (excluded): uint8 of 8-bit ones, of others float32 0..1."""
        renderer = Renderer(self.info, encoding_of(self.info))
        with closing(video.frames(self.info, self.table, start, stop)) as frames:  # type: ignore[type-var]
            for frame in frames:
                luma, blue, red = renderer.keep(frame)
                rgb = color.rgb_from_planes(luma, (blue, red), self.info)
                upright = np.ascontiguousarray(np.rot90(rgb, -self.info.rotation // 90))
                eight_bit = upright.dtype == np.uint8
                yield upright if eight_bit else upright.astype(np.float32) / np.float32(self.info.maximum)


TrueClip = PictureClip | FilmClip


def encoding_of(info: VideoInfo) -> Encoding:
    """How a frame is rendered for scoring: at the film's depth and full chroma; nothing is encoded."""
    name = "yuv444p" if info.depth == 8 else f"yuv444p{info.depth}le"
    return Encoding(info.path, "pictures", "none", "none", "rawvideo", name, info.depth, "444")


def square_film(path: Path, height: int, width: int) -> VideoInfo:
    """A full-range 8-bit film of square pixels, as pictures of this size make one."""
    return VideoInfo(
        path=path, width=width, height=height, pixel_format="yuv444p", depth=8, subsampling="444", rgb=False,
        matrix="bt709", range="full", primaries="bt709", transfer="bt709", chroma_location="center",
        rate=Fraction(24), time_base=Fraction(1, 24),
    )  # fmt: skip


# --- Finding them ---


def find(data: Path, wanted: Sequence[str] = (), stills: bool = False, option: str = "--data") -> list[TrueClip]:
    """The clips of a data folder (`<clip>/<frame>.jpg` or films), in the order of their names; all or the wanted.

    `option` is what names the folder.
    """
    if not data.is_dir():
        raise VideoError(f"{data} is not a folder. {option} names the folder that holds the clips.")
    _check_name(data)
    places: dict[str, Path] = {}
    for place in sorted(data.iterdir()):
        if place.name.startswith(".") or not _is_clip(place):
            continue
        _check_name(place)
        name = place.name if place.is_dir() else place.stem
        if name in places:
            raise VideoError(f"{data} holds {places[name].name} and {place.name}: two clips of one name. Leave one.")
        places[name] = place
    if not places:
        raise VideoError(f"{data} holds no clips: {_hint(data, option)}")
    for name in wanted:
        if name not in places:
            hint = did_you_mean(name, places)
            raise VideoError(f"{data} holds no clip {name!r}{hint} There are: {_few(sorted(places))}.")
    return [_opened(name, places[name], stills) for name in places if not wanted or name in wanted]


def matching(results: Path, truth: TrueClip) -> TrueClip:
    """What another tool made of a true clip: the same names (or, of a film, as many frames) at the same size."""
    if not results.is_dir():
        raise VideoError(f"{results} is not a folder. --results names the folder that holds <clip>/<frame>.png.")
    _check_name(results)
    stills = isinstance(truth, PictureClip) and truth.stills
    folder = results / truth.name
    films = [one for one in sorted(results.glob("*.*")) if one.stem == truth.name and one.suffix.lower() in FILMS]
    places = [folder] * folder.is_dir() + films
    if not places:
        raise VideoError(f"{results} has nothing for the clip {truth.name}: neither a folder nor a film of that name.")
    if len(places) > 1:
        there = " and ".join(one.name for one in places)
        raise VideoError(f"{results} holds {there}: which of them is the clip {truth.name}? Leave one.")
    place = places[0]
    if place.is_dir() and isinstance(truth, PictureClip):
        found: TrueClip = PictureClip(truth.name, _named_alike(place, truth), stills)
    else:
        found = _opened(truth.name, place, stills)
    if len(found) != len(truth):
        raise VideoError(f"{place} has {len(found)} frames, the true clip {len(truth)}. Write every frame, none twice.")
    if not stills and found.size != truth.size:
        raise VideoError(
            f"{place} is {_shown(found.size)}, the true clip {_shown(truth.size)}: results are scored at the true "
            "size. Let the tool write that, or scale its frames once, by a filter that you name."
        )
    return found


def check_colour(clip: TrueClip) -> None:
    """An error where the truth holds no colour to compare with: its first, middle and last frames are grey."""
    for index in sorted({0, len(clip) // 2, len(clip) - 1}):
        codes = Picture(next(clip.frames(index, index + 1))).codes
        if (codes.max(axis=2) - codes.min(axis=2)).max() > NEARLY_GREY:
            return
    raise VideoError(
        f"The clip {clip.name} is black and white: there is no true colour to score against. Leave it out."
    )


def _check_name(place: Path) -> None:
    """An error where a name is bytes that are no text, which no report can hold."""
    try:
        place.resolve().name.encode()
    except UnicodeEncodeError as error:
        raise VideoError(f"The name of {place} is not in UTF-8, so that no report can print it. Rename it.") from error


def _is_clip(place: Path) -> bool:
    if place.is_dir():
        return any(is_picture(file) for file in place.iterdir())
    return place.suffix.lower() in FILMS


def _opened(name: str, place: Path, stills: bool) -> TrueClip:
    if place.is_dir():
        if stills:
            return PictureClip(name, tuple(sorted(filter(is_picture, place.iterdir()))), True)
        return PictureClip(name, tuple(picture_files(place)))
    if stills:
        raise VideoError(f"{place} is a film; the protocol `still` scores folders of photographs.")
    info = video.probe(place)
    if info.interlaced:
        raise VideoError(f"{place} is interlaced, so its frames are not what is scored. Deinterlace it first.")
    if info.sample_aspect != 1:
        raise VideoError(
            f"{place} has pixels that are not square ({info.sample_aspect}). Scale it to square ones first."
        )
    return FilmClip(name, info, video.scan(info))


def _named_alike(folder: Path, truth: PictureClip) -> tuple[Path, ...]:
    """A folder's pictures in the true clip's order, one for each true name."""
    if twice := [name for name, count in Counter(truth.labels).items() if count > 1]:
        raise VideoError(
            f"The true clip {truth.name} has two pictures called {twice[0]}, so that results of that name fit both. "
            "Rename one."
        )
    found: dict[str, Path] = {}
    for file in sorted(filter(is_picture, folder.iterdir())):
        if file.stem in found:
            raise VideoError(f"{folder} has {found[file.stem].name} and {file.name}: two results for one frame.")
        found[file.stem] = file
    missing = [label for label in truth.labels if label not in found]
    foreign = [name for name in found if name not in set(truth.labels)]
    if missing or foreign:
        faults = {"lacks": missing, "has besides": foreign}
        listed = " and ".join(f"{verb} {len(names)} ({_few(names)})" for verb, names in faults.items() if names)
        raise VideoError(
            f"{folder} {listed} of the frames of {truth.name}, whose {len(truth)} are called {truth.labels[0]} to "
            f"{truth.labels[-1]}. Write every frame under its true name."
        )
    return tuple(found[label] for label in truth.labels)


def _hint(data: Path, option: str) -> str:
    if any(map(is_picture, data.iterdir())):
        return f"its pictures lie in it directly. Name the folder above: {option} {data.absolute().parent}"
    for inner in sorted(data.rglob("*")):
        if inner.is_dir() and _is_clip(inner):
            return f"but {inner.parent} does. Name that."
    return "wanted are <clip>/<frame>.jpg (or .png) or films."


def _fingerprint(files: Sequence[Path]) -> str:
    """Of names, sizes and times of change."""
    digest = hashlib.sha256()
    for file in files:
        try:
            state = file.stat()
        except OSError as error:
            raise VideoError(f"{file} cannot be read ({error.strerror}). A link to what has moved? Mend it.") from error
        digest.update(os.fsencode(file.absolute()) + f"|{state.st_size}|{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _shown(size: Sequence[int]) -> str:
    return f"{size[1]}x{size[0]}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
